/* SPDX-License-Identifier: MIT */
#include "ladder/post_watch.h"
#include <bough/ladder.h>
#include "base/futex.h"
#include "base/mask.h"
#include "ladder/helper_threads.h"
#include "ladder/ring.h"
#include "ladder/times.h"
#include "state/arena.h"
#include "state/clock.h"
#include "upcalls.h"

enum { ROOM = 256 };
#define DRAIN_FOR BO_SEC(5) /* unless the callback hangs */

static struct item {
    struct bo_ring_item head;
    bool dropped;  /* the transition did not come about */
    uint64_t mask; /* the signals that the thread had blocked before */
    struct bough_posting posting;
    char name[BO_NAME], wider_name[BO_NAME];
} posting_items[ROOM];
_Static_assert(sizeof(struct item) <= BO_RING_ITEM_MOST, "the ring copies it");

static void hand_posting(void *item);
static struct bo_ring posting_ring = {
    .items = posting_items, .size = sizeof *posting_items, .room = ROOM, .hand_out = hand_posting};

static struct bo_lock posting_lock; /* the callback and its argument change together */
static bough_posting_fn *posting_callback;
static void *posting_argument;
static _Atomic bool
    postings_wanted; /* is there a callback? Atomic, because posters and targets must not wait for a lock */
static _Atomic uint32_t lost;

int bough_on_posting(bough_posting_fn *fn, void *argument)
{
    bo_help_need();
    bo_ring_drain(&posting_ring, bo_clock() + DRAIN_FOR);
    bo_lock(&posting_lock);
    posting_callback = fn;
    posting_argument = argument;
    bo_store_relaxed(&postings_wanted, fn != NULL);
    bo_unlock(&posting_lock);
    return 0;
}

static void hand_posting(void *item)
{
    struct item *i = item;
    if (i->dropped)
        return;
    bo_lock(&posting_lock);
    bough_posting_fn *fn = posting_callback;
    void *argument = posting_argument;
    bo_unlock(&posting_lock);
    if (!fn)
        return;
    i->posting.name = i->name;
    i->posting.wider_name = i->wider_name;
    i->posting.lost = bo_swap_seq(&lost, 0); /* the number of reports lost before this one: the ring was full */
    fn(&i->posting, argument);
}

static void fill_in_names(struct item *i, const struct bo_target *target)
{
    const struct bo_branch *wider = bo_wider(target);
    bo_name_of(target, i->name);
    i->posting.wider = wider ? (bough_target)(uintptr_t)bo_branch_handle(wider) : NULL;
    if (wider && wider->t.index != BO_ROOT)
        bo_name_of(&wider->t, i->wider_name);
}

/* If another thread closes the record meanwhile, its fields may be those of the next post: then the caller drops the
 * report. */
static void fill_in(struct item *i, const struct bo_record *r, uint64_t state, enum bough_post_status status)
{
    struct bough_posting *p = &i->posting;
    bo_record_describe(r, &p->record);
    p->post.record = (uint64_t)(uintptr_t)p->record.target;
    p->post.serial = bo_record_serial(state) << 4 | (uint32_t)p->record.kind;
    p->status = status;
    p->at = bo_now();
    i->name[0] = i->wider_name[0] = '\0';
    const struct bo_target *target = bo_target_of(p->post.record);
    if (target)
        fill_in_names(i, target);
}

/* All signals are blocked until bo_ladder_changed(): if a signal handler left by a jump in between, or the thread were
 * frozen there, its place in the ring would keep all later reports back. */
void *bo_ladder_changes(const struct bo_record *r, uint64_t state, enum bough_post_status status)
{
    if (bo_likely(!bo_load_relaxed(&postings_wanted)))
        return NULL;
    uint64_t mask = bo_signals_off();
    struct item *i = bo_ring_claim(&posting_ring);
    if (!i) {
        bo_add_relaxed(&lost, 1);
        bo_signals_on(mask);
        return NULL;
    }
    i->mask = mask;
    fill_in(i, r, state, status);
    return i;
}

void bo_ladder_changed(void *report, bool done)
{
    struct item *i = report;
    if (bo_likely(!i))
        return;
    uint64_t mask = i->mask;
    i->dropped = !done;
    bo_ring_announce(&posting_ring, i);
    bo_signals_on(mask);
}

void bo_post_watch_after_fork(void)
{
    bo_ring_after_fork(&posting_ring);
    bo_store_relaxed(&lost, 0);
    bo_store_relaxed(&posting_lock.state, 0);
}
