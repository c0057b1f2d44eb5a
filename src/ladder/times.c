/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ladder/times.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "state/tree.h"
#include "thread/adopt.h"

#define DEFAULT_GRACE BO_SEC(30)
#define CONTAINER_GRACE BO_SEC(9)
/* The dump takes no less time if the grace period is shorter, so its time has a minimum: half a second, or a fifth of a
 * short grace period. With this minimum the times still add up to less than the cap. */
#define LEAST_FOR_DUMP BO_MS(500)
enum { LEAST_PART_FOR_DUMP = 5 };
enum { LONGEST_MS = 2073600000 /* 24 days */, TO_FINAL = BOUGH_RUNG_FINAL, TO_KILL = BOUGH_RUNG_KILL };

/* The defaults, for a grace period of 30 s (rules 34, 38). */
static const struct bough_ladder standard = {
    .grace = DEFAULT_GRACE,
    .time = {[BOUGH_RUNG_FLAG] = BO_SEC(5),
             [BOUGH_RUNG_HANDLER] = BO_SEC(1),
             [BOUGH_RUNG_FINAL] = BO_SEC(5),
             [BOUGH_RUNG_CLOSE] = BO_SEC(2),
             [BOUGH_RUNG_EXIT] = BO_SEC(8),
             [BOUGH_RUNG_KILL] = BO_SEC(2)},
    .cap = BO_SEC(28),
    .ceiling = {[BOUGH_STOP] = TO_FINAL,
                [BOUGH_TIMEOUT] = TO_FINAL,
                [BOUGH_SIBLING] = TO_FINAL,
                [BOUGH_EXCEPTION] = TO_FINAL,
                [BOUGH_SIGNAL] = TO_KILL,
                [BOUGH_EXIT] = TO_KILL,
                [BOUGH_OPERATOR] = TO_KILL},
};

static int64_t process_grace = DEFAULT_GRACE;

/* ---- the environment --------------------------------------------------------------------------------------- */

static int64_t grace_of_environment(void)
{
    const char *text = secure_getenv("BOUGH_GRACE");
    char *end;
    if (!text || !*text)
        return 0;
    double seconds = strtod(text, &end);
    if (*end == '\0' && seconds > 0 && seconds <= LONGEST_MS / 1000.0) /* false for a NaN */
        return (int64_t)(seconds * 1e9);
    bo_report("ignoring BOUGH_GRACE=%s: expected seconds, more than 0 and less than 25 days", text);
    return 0;
}

/* For process 1 the default is shorter: a container runtime waits 10 s, then kills. */
__attribute__((constructor)) static void read_environment_times(void)
{
    int64_t grace = grace_of_environment();
    process_grace = grace ? grace : getpid() == 1 ? CONTAINER_GRACE : DEFAULT_GRACE;
}

/* ---- the values that apply --------------------------------------------------------------------------------------- */

struct bo_branch *bo_wider(const struct bo_target *target)
{
    if (!bo_is_branch(target)) {
        const struct bo_thread *t = (const struct bo_thread *)target;
        return bo_branch_at(bo_load_relaxed(&t->parent));
    }
    uint32_t outer = bo_load_relaxed(&((const struct bo_branch *)target)->outer);
    return outer == BO_NONE ? NULL : bo_branch_at(outer);
}

static int64_t ns_of(uint32_t ms)
{
    return BO_MS(ms);
}

static uint32_t ms_of(int64_t ns)
{
    return (uint32_t)((ns + BO_MS(1) - 1) / BO_MS(1));
}

static void fill_from(struct bough_ladder *l, const struct bo_ladder_cells *cells)
{
    if (!bo_load_acquire(&cells->set))
        return;
    if (!l->grace)
        l->grace = ns_of(bo_load_relaxed(&cells->grace));
    if (!l->cap)
        l->cap = ns_of(bo_load_relaxed(&cells->cap));
    for (int i = 1; i < BOUGH_RUNGS; i++)
        if (!l->time[i])
            l->time[i] = ns_of(bo_load_relaxed(&cells->time[i]));
    for (int i = 0; i < BOUGH_KINDS; i++)
        if (!l->ceiling[i])
            l->ceiling[i] = bo_load_relaxed(&cells->ceiling[i]);
}

static int64_t time_at_least(int rung, int64_t time, int64_t grace)
{
    int64_t part = grace / LEAST_PART_FOR_DUMP, least = part < LEAST_FOR_DUMP ? part : LEAST_FOR_DUMP;
    return rung == BOUGH_RUNG_KILL && time < least ? least : time;
}

/* Fills in what was not set: the grace period follows from the cap, if that was set; other times are the defaults,
 * scaled to the grace period. */
static void fill_rest(struct bough_ladder *l)
{
    if (!l->grace)
        l->grace = l->cap ? (int64_t)((double)l->cap * DEFAULT_GRACE / (double)standard.cap) : process_grace;
    double scale = (double)l->grace / DEFAULT_GRACE;
    if (!l->cap)
        l->cap = (int64_t)((double)standard.cap * scale);
    for (int i = 1; i < BOUGH_RUNGS; i++)
        if (!l->time[i])
            l->time[i] = time_at_least(i, (int64_t)((double)standard.time[i] * scale), l->grace);
    for (int i = 0; i < BOUGH_KINDS; i++)
        if (!l->ceiling[i])
            l->ceiling[i] = standard.ceiling[i];
}

void bo_ladder_of(const struct bo_target *target, bool pinned, struct bough_ladder *ladder)
{
    memset(ladder, 0, sizeof *ladder);
    fill_from(ladder, &target->ladder);
    const struct bo_branch *b = bo_wider(target);
    uint32_t index = b ? b->t.index : BO_NONE;
    for (int steps = 0; index != BO_NONE && steps < BO_BRANCHES; index = bo_branch_ahead(index, pinned), steps++)
        fill_from(ladder, &bo_branch_at(index)->t.ladder);
    fill_rest(ladder);
}

/* ---- setting --------------------------------------------------------------------------------------------------- */

static bool sensible(const struct bough_ladder *l)
{
    const int64_t longest = ns_of(LONGEST_MS);
    bool good = l->grace >= 0 && l->grace <= longest && l->cap >= 0 && l->cap <= longest && l->time[0] == 0;
    for (int i = 1; i < BOUGH_RUNGS; i++)
        good = good && l->time[i] >= 0 && l->time[i] <= longest;
    for (int i = 0; i < BOUGH_KINDS; i++)
        good = good && l->ceiling[i] < BOUGH_RUNGS;
    return good;
}

static void store(struct bo_ladder_cells *cells, const struct bough_ladder *l)
{
    bo_store_relaxed(&cells->grace, ms_of(l->grace));
    bo_store_relaxed(&cells->cap, ms_of(l->cap));
    for (int i = 1; i < BOUGH_RUNGS; i++)
        bo_store_relaxed(&cells->time[i], ms_of(l->time[i]));
    for (int i = 0; i < BOUGH_KINDS; i++)
        bo_store_relaxed(&cells->ceiling[i], l->ceiling[i]);
    bo_store_release(&cells->set, 1);
}

/* Returns the live slot of a target, NULL meaning the caller; `*branch`: whether it is a branch. */
static struct bo_target *target_to_set(bough_target target, bool *branch)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return NULL;
    *branch = target && bo_handle_is_branch((uint64_t)(uintptr_t)target);
    if (!target)
        return &t->t;
    struct bo_target *slot = bo_target_of((uint64_t)(uintptr_t)target);
    if (slot && !bo_target_is(slot, bo_handle_generation((uint64_t)(uintptr_t)target)))
        return errno = ESRCH, NULL;
    return slot;
}

static bool may_set(const struct bo_target *slot)
{
    if (!bo_is_branch(slot))
        return slot == &bo_self->t;
    return slot->index == BO_ROOT || bo_load_relaxed(&((const struct bo_branch *)slot)->owner) == bo_self->t.index;
}

int bough_ladder_set(bough_target target, const struct bough_ladder *ladder)
{
    bool branch;
    if (!ladder || !sensible(ladder))
        return errno = EINVAL, -1;
    struct bo_target *slot = target_to_set(target, &branch);
    if (!slot)
        return -1;
    if (!may_set(slot))
        return errno = EPERM, -1;
    store(&slot->ladder, ladder);
    bo_tree_marked();
    return 0;
}

int bough_ladder_get(bough_target target, struct bough_ladder *ladder)
{
    bool branch;
    if (!ladder)
        return errno = EINVAL, -1;
    const struct bo_target *slot = target_to_set(target, &branch);
    if (!slot)
        return -1;
    bo_ladder_of(slot, false, ladder);
    return 0;
}
