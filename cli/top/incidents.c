/* SPDX-License-Identifier: MIT */
/* The last incidents. Each is followed from the first frame that shows it until its record is closed. */
#include <string.h>
#include "../mailbox.h"
#include "top.h"

static bool is_same(const struct incident *i, const struct node *n, const struct bo_record *r)
{
    return i->branch == n->branch && i->index == n->index && i->generation == node_generation(n) &&
           i->kind == bo_load_relaxed(&r->kind) && i->serial == bo_record_serial(bo_load_relaxed(&r->state));
}

static struct incident *find(struct incidents *all, const struct node *n, const struct bo_record *r)
{
    for (unsigned i = 0; i < all->count; i++)
        if (!all->last[i].end && is_same(&all->last[i], n, r))
            return &all->last[i];
    return NULL;
}

/* Drops the oldest incident if the list is full. */
static struct incident *push(struct incidents *all)
{
    all->count += all->count < INCIDENTS;
    memmove(all->last + 1, all->last, (all->count - 1) * sizeof *all->last);
    return all->last;
}

static struct incident *add_incident(struct incidents *all, const struct node *n, const struct bo_record *r)
{
    struct incident *i = push(all);
    *i = (struct incident){.branch = n->branch,
                           .index = n->index,
                           .generation = node_generation(n),
                           .serial = bo_record_serial(bo_load_relaxed(&r->state)),
                           .kind = bo_load_relaxed(&r->kind),
                           .since = bo_load_relaxed(&r->since)};
    memcpy(i->name, n->slot.target.name, sizeof i->name);
    memcpy(i->reason, r->reason, sizeof i->reason);
    return i;
}

static void note(struct incidents *all, const struct node *n, const struct bo_record *r, unsigned *fresh)
{
    struct incident *i = find(all, n, r);
    if (!i && (*fresh)++ < INCIDENTS)
        i = add_incident(all, n, r);
    if (!i)
        return;
    i->there = true;
    i->rung = bo_load_relaxed(&r->rung);
    i->ceiling = bo_load_relaxed(&r->ceiling);
    i->overdue = bo_load_relaxed(&r->overdue);
    i->delivered = bo_record_status(bo_load_relaxed(&r->state)) == BO_DELIVERED;
}

/* The slot keeps the end of an incident until the next incident of this kind ends there. */
static const char *how_it_ended(const struct view *v, const struct incident *i)
{
    struct bo_record r;
    if (!arena_any_record(v->arena, i->branch, i->index, i->kind, &r))
        return "over";
    uint32_t last = bo_load_relaxed(&r.last);
    if (last >> 4 != i->serial)
        return "over";
    switch (last & 15) {
    case BOUGH_POST_LOST:
        return "lost";
    case BOUGH_POST_CLEARED:
        return "cleared";
    case BOUGH_POST_ENDED:
        return "ended";
    default:
        return "over";
    }
}

/* Without this entry, a request that is over before the next reading would not be seen. If the incident is listed
 * already, no entry is added. */
void incidents_posted(struct incidents *all, const struct found *target, const struct bo_request *answer, int64_t now)
{
    struct incident fresh = {.branch = bo_handle_is_branch(answer->post),
                             .index = bo_handle_index(answer->post),
                             .generation = bo_handle_generation(answer->post),
                             .serial = answer->serial >> 4,
                             .kind = (int)(answer->serial & 15),
                             .rung = answer->rung ? (int)answer->rung : 1,
                             .ceiling = (int)answer->ceiling,
                             .since = now};
    for (unsigned i = 0; i < all->count; i++)
        if (all->last[i].branch == fresh.branch && all->last[i].index == fresh.index &&
            all->last[i].generation == fresh.generation && all->last[i].serial == fresh.serial &&
            all->last[i].kind == fresh.kind)
            return;
    memcpy(fresh.name, target->name, sizeof fresh.name);
    memcpy(fresh.reason, answer->reason, sizeof fresh.reason);
    fresh.name[BO_NAME - 1] = fresh.reason[BOUGH_REASON_MAX] = '\0';
    *push(all) = fresh;
}

static void note_all(struct incidents *all, struct node *const *nodes, uint32_t count, unsigned *fresh)
{
    for (uint32_t i = 0; i < count; i++)
        for (unsigned r = 0; nodes[i] && r < nodes[i]->record_count; r++)
            note(all, nodes[i], nodes[i]->records[r], fresh);
}

void incidents_follow(struct incidents *all, const struct view *v)
{
    unsigned fresh = 0;
    for (unsigned i = 0; i < all->count; i++)
        all->last[i].there = false;
    note_all(all, v->branch, BO_BRANCHES, &fresh);
    note_all(all, v->thread, BO_THREADS, &fresh);
    for (unsigned i = 0; i < all->count; i++)
        if (!all->last[i].there && !all->last[i].end) {
            all->last[i].end = how_it_ended(v, &all->last[i]);
            all->last[i].ended = top_clock();
        }
}
