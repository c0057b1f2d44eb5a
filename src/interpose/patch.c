/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/patch.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/futex.h"
#include "interpose/libc.h"
#include "interpose/pages.h"
#include "state/arena.h"
#include "state/current.h"

/* ---- the patched slots ----------------------------------------------------------------------------------- */

struct patch {
    _Atomic uintptr_t *at; /* NULL: undone */
    uintptr_t before, installed;
    bool seen; /* in this pass: the slot's object is still loaded, and the slot is patched or wanted */
};

/*
 * Sorted by address up to `sorted`; a pass appends entries, which are sorted in after it. Room is made before a pass,
 * which allocates no memory.
 */
static struct {
    struct patch *patch;
    size_t sorted, used, room;
} ledger;

static struct bo_fork_lock patch_lock;
static _Atomic unsigned long long adds = 1, subs;
static _Atomic int again; /* how often to check again; written under the lock, read without it */
enum { PATIENCE = 8 };

static int by_address(const void *a, const void *b)
{
    const struct patch *p = a, *q = b;
    return (p->at > q->at) - (p->at < q->at);
}

static struct patch *find_patch(_Atomic uintptr_t *at)
{
    struct patch key = {.at = at};
    return ledger.sorted ? bsearch(&key, ledger.patch, ledger.sorted, sizeof key, by_address) : NULL;
}

static bool grow_ledger(size_t more)
{
    size_t room = ledger.used + more + 64;
    if (room <= ledger.room)
        return true;
    struct patch *larger = realloc(ledger.patch, room * sizeof *larger);
    if (!larger)
        return errno = ENOMEM, false;
    ledger.patch = larger;
    ledger.room = room;
    return true;
}

static void sort_in(void)
{
    size_t left = 0;
    for (size_t i = 0; i < ledger.used; i++)
        if (ledger.patch[i].installed && ledger.patch[i].seen) {
            ledger.patch[left] = ledger.patch[i];
            ledger.patch[left++].seen = false;
        }
    if (left)
        qsort(ledger.patch, left, sizeof *ledger.patch, by_address);
    ledger.sorted = ledger.used = left;
}

/* ---- the lock -------------------------------------------------------------------------------------------- */

void bo_patch_lock(void)
{
    bo_fork_lock(&patch_lock);
}

void bo_patch_unlock(void)
{
    bo_fork_unlock(&patch_lock);
}

__attribute__((constructor)) static void keep_patches_over_forks(void)
{
    pthread_atfork(bo_patch_lock, bo_patch_unlock, bo_patch_unlock);
}

/* ---- the plan for a slot ------------------------------------------------------------------------- */

enum verdict { LEAVE, SET, RESTORE, LATER, REFUSE };

struct plan {
    enum verdict verdict;
    uintptr_t now, next;
    const char *why;
};

/* Is the slot in a page that should be read-only, but is writable? The loader protects these pages after it has loaded
 * an object, so the loader may still write to such a page. If the page has a patched slot, the patcher could not
 * protect it again. */
static bool unprotected(const struct bo_object *o, const struct bo_slot *slot)
{
    uintptr_t at = (uintptr_t)slot->at;
    return at >= o->relro_low && at < o->relro_high && (bo_page_rights(at) & PROT_WRITE);
}

static struct bo_object program; /* set by the first pass */

/* The plan for a slot that is not patched. */
static struct plan plan_for_other(const struct bo_object *o, const struct bo_slot *slot, struct bo_wish wish,
                                  uintptr_t now)
{
    if (wish.refused)
        return (struct plan){REFUSE, now, 0, wish.refused};
    if (!wish.function || now == wish.function)
        return (struct plan){LEAVE, now, 0, NULL};
    bool lazy = bo_object_has_code(o, now);
    if (lazy && wish.taken)
        return (struct plan){REFUSE, wish.taken, 0, NULL};
    if (now != wish.real && !lazy && !bo_object_jumps_to(&program, slot->symbol, now))
        return now < o->span ? (struct plan){LATER, now, 0, "not loaded completely yet"}
                             : (struct plan){REFUSE, now, 0, NULL};
    return (struct plan){SET, now, wish.function, NULL};
}

static struct plan plan_for(const struct bo_object *o, const struct bo_slot *slot, struct bo_wish wish,
                            const struct patch *p)
{
    uintptr_t now = bo_load_seq(slot->at);
    if (!p || now != p->installed)
        return plan_for_other(o, slot, wish, now);
    if (!wish.function)
        return (struct plan){RESTORE, now, p->before, NULL};
    return wish.function == now ? (struct plan){LEAVE, now, 0, NULL} : (struct plan){SET, now, wish.function, NULL};
}

/* ---- one object ------------------------------------------------------------------------------------------ */

struct pass {
    bo_wish_fn *wish;
    const struct bo_object *object;
    struct bo_pages pages;
    size_t slots;         /* only counted */
    bool unsettled;       /* the loader has just written to a slot, or may be about to */
    bool restores, stuck; /* the object has slots to restore; some could not be restored */
    bool full, pages_full;
    bool protects; /* an earlier pass has left pages open */
};

static bool left_open; /* a page could not be protected again */

/* libc, the loader and bough are not patched, or stand-ins would call themselves; the kernel's object has no slots. */
static bool is_spared(const struct bo_object *o)
{
    bool has_bough = bo_object_has(o, (uintptr_t)&patch_lock) && *o->path; /* not a program with bough linked in */
    return has_bough || bo_object_has(o, bo_libc_address()) || bo_object_is_named(o, "ld-*") ||
           bo_object_is_named(o, "linux-vdso.so") || bo_object_is_named(o, "libpthread.so");
}

static bool count_slot(void *context, const struct bo_slot *slot)
{
    struct pass *pass = context;
    pass->slots += pass->wish(pass->object, slot->symbol).function != 0;
    return true;
}

/* Tries again to protect a page that could not be protected before. */
static bool protect(void *context, const struct bo_slot *slot)
{
    struct pass *pass = context;
    struct patch *p = find_patch(slot->at);
    if (p && bo_load_seq(slot->at) == p->installed && unprotected(pass->object, slot))
        left_open |= bo_page_protect((uintptr_t)slot->at) != 0;
    return true;
}

static bool note_page(void *context, const struct bo_slot *slot)
{
    struct pass *pass = context;
    struct patch *p = find_patch(slot->at);
    struct plan plan = plan_for(pass->object, slot, pass->wish(pass->object, slot->symbol), p);
    if (p)
        p->seen = plan.now == p->installed || plan.verdict != LEAVE;
    bool known = bo_pages_has(&pass->pages, (uintptr_t)slot->at);
    if (plan.verdict == SET && !known && unprotected(pass->object, slot))
        plan.verdict = LATER;
    if (plan.verdict != SET && plan.verdict != RESTORE)
        return true;
    pass->restores |= plan.verdict == RESTORE;
    pass->pages_full = !bo_pages_add(&pass->pages, (uintptr_t)slot->at);
    return !pass->pages_full;
}

static void note_slot(struct pass *pass, const struct bo_slot *slot, struct patch *p, struct plan plan)
{
    if (p && plan.verdict == RESTORE) {
        p->installed = 0;
    } else if (p && plan.now == p->installed) {
        p->installed = plan.next;
    } else if (p) { /* another object was loaded at the same address, or the loader has overwritten the patch */
        *p = (struct patch){slot->at, plan.now, plan.next, true};
    } else if (ledger.used < ledger.room) {
        ledger.patch[ledger.used++] = (struct patch){slot->at, plan.now, plan.next, true};
    } else {
        pass->full = true;
    }
}

/*
 * A slot that is bound lazily is written by the loader in whichever thread calls it first. If that is between the
 * patcher's load and the exchange, the exchange fails. If the loader was already binding the slot and writes after the
 * exchange, the patch is overwritten without notice: so the patcher checks again, a few times.
 */
static bool change_slot(void *context, const struct bo_slot *slot)
{
    struct pass *pass = context;
    struct patch *p = find_patch(slot->at);
    struct plan plan = plan_for(pass->object, slot, pass->wish(pass->object, slot->symbol), p);
    if ((plan.verdict != SET && plan.verdict != RESTORE) || !bo_pages_has(&pass->pages, (uintptr_t)slot->at))
        return true;
    if (!p && ledger.used == ledger.room)
        return pass->full = true, false;
    pass->unsettled |= bo_object_has_code(pass->object, plan.now);
    if (bo_cas_seq(slot->at, &plan.now, plan.next))
        note_slot(pass, slot, p, plan);
    else
        pass->unsettled = true;
    return true;
}

static void change_object(struct pass *pass, const struct bo_object *o)
{
    pass->object = o;
    pass->restores = false;
    if (pass->protects)
        bo_object_slots(o, protect, pass);
    do {
        pass->pages.count = 0;
        pass->pages_full = false;
        bo_object_slots(o, note_page, pass);
        if (!pass->pages.count)
            return;
        if (bo_pages_open(&pass->pages) != 0) {
            pass->stuck |= pass->restores;
            return;
        }
        bo_object_slots(o, change_slot, pass);
        left_open |= bo_pages_close(&pass->pages) != 0;
    } while (pass->pages_full && !pass->full);
}

/* ---- all objects ------------------------------------------------------------------------------------------ */

static int count_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct pass *pass = context;
    struct bo_object o;
    (void)size;
    if (!bo_object_open(&o, info) || is_spared(&o))
        return 0;
    pass->object = &o;
    bo_object_slots(&o, count_slot, pass);
    return 0;
}

static int patch_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct bo_object o;
    (void)size;
    adds = info->dlpi_adds;
    subs = info->dlpi_subs;
    if (bo_object_open(&o, info) && !is_spared(&o))
        change_object(context, &o);
    return 0;
}

static int compare_loads(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    *(bool *)context = info->dlpi_adds != adds || info->dlpi_subs != subs;
    return 1; /* the counters are the same for each object */
}

static int open_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    struct bo_object o;
    (void)size, (void)unused;
    if (bo_object_open(&o, info) && !*o.path)
        program = o;
    return 1; /* the first object is the program */
}

bool bo_patch_is_jump(const char *symbol, uintptr_t address)
{
    dl_iterate_phdr(open_program, NULL);
    return bo_object_jumps_to(&program, symbol, address);
}

static bool loads_moved(void)
{
    bool moved = false;
    dl_iterate_phdr(compare_loads, &moved);
    return moved;
}

int bo_patch_apply(bo_wish_fn *wish)
{
    struct pass pass;
    bool moved = loads_moved();
    do {
        pass = (struct pass){.wish = wish, .protects = left_open};
        dl_iterate_phdr(open_program, NULL);
        dl_iterate_phdr(count_object, &pass);
        if (!grow_ledger(pass.slots))
            return -1;
        left_open = false;
        dl_iterate_phdr(patch_object, &pass);
        sort_in();
    } while (pass.full);
    int left = bo_load_relaxed(&again);
    bo_store_relaxed(&again, moved || pass.unsettled ? PATIENCE : left ? left - 1 : 0);
    if (pass.stuck)
        return errno = EACCES, -1;
    return (int)ledger.sorted;
}

bool bo_patch_stale(void)
{
    return bo_load_relaxed(&again) || loads_moved();
}

/* ---- the report -------------------------------------------------------------------------------------------- */

struct tour {
    bo_wish_fn *wish;
    const struct bo_object *object;
    void (*visit)(void *context, const struct bough_slot *slot);
    void *context;
    int count;
};

static void report_slot(struct tour *tour, const char *symbol, const void *at, enum bough_slot_state state,
                        const char *why)
{
    struct bough_slot slot = {tour->object->path, symbol, at, state, why};
    tour->visit(tour->context, &slot);
    tour->count++;
}

struct owner {
    uintptr_t address;
    char words[256];
};

static int name_owner(struct dl_phdr_info *info, size_t size, void *context)
{
    struct owner *owner = context;
    struct bo_object o;
    (void)size;
    bo_object_open(&o, info);
    if (!bo_object_has(&o, owner->address))
        return 0;
    if (bo_object_has(&o, bo_libc_address()))
        snprintf(owner->words, sizeof owner->words, "another version of the function, which may take other arguments");
    else
        snprintf(owner->words, sizeof owner->words, "taken by %s", *o.path ? o.path : "the program");
    return 1;
}

/* Finds the object with the function whose address the slot holds. */
static void find_owner(struct owner *owner)
{
    snprintf(owner->words, sizeof owner->words, "taken by other code");
    dl_iterate_phdr(name_owner, owner);
}

static void show_refused(struct tour *tour, const struct bo_slot *slot, const struct plan *plan)
{
    struct owner owner = {.address = plan->now};
    const char *why = plan->why;
    if (!why && plan->verdict == REFUSE) {
        find_owner(&owner);
        why = owner.words;
    }
    report_slot(tour, slot->symbol, (const void *)slot->at, BOUGH_SLOT_SKIPPED,
                why ? why : "its page could not be made writable, or it is being loaded");
}

static bool show_slot(void *context, const struct bo_slot *slot)
{
    struct tour *tour = context;
    struct bo_wish wish = tour->wish(tour->object, slot->symbol);
    struct patch *p = find_patch(slot->at);
    struct plan plan = plan_for(tour->object, slot, wish, p);
    if (p && plan.now == p->installed)
        report_slot(tour, slot->symbol, (const void *)slot->at, wish.hooked ? BOUGH_SLOT_HOOKED : BOUGH_SLOT_INTERPOSED,
                    left_open && unprotected(tour->object, slot) ? "its page could not be protected again" : NULL);
    else if (wish.function || wish.refused)
        show_refused(tour, slot, &plan);
    return true;
}

static int show_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct tour *tour = context;
    struct bo_object o;
    (void)size;
    bool open = bo_object_open(&o, info);
    tour->object = &o;
    if (!open)
        report_slot(tour, NULL, NULL, BOUGH_SLOT_SKIPPED, "it has no table of addresses");
    else if (is_spared(&o))
        report_slot(tour, NULL, NULL, BOUGH_SLOT_SKIPPED, "libc, the loader and bough are never patched");
    else
        bo_object_slots(&o, show_slot, tour);
    return 0;
}

int bo_patch_visit(bo_wish_fn *wish, void (*visit)(void *context, const struct bough_slot *slot), void *context)
{
    struct tour tour = {.wish = wish, .visit = visit, .context = context};
    dl_iterate_phdr(show_object, &tour);
    return tour.count;
}
