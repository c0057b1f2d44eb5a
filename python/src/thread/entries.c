/* SPDX-License-Identifier: MIT */
/*
 * The entries of all threads: a list, the newest first, and a table by number. A thread searches for its entry when it
 * begins to use bough, and removes the entry when it ends. With thousands of threads, a walk through the list would
 * take most of the time of these two steps.
 *
 * The numbers are consecutive, so their lower bits distribute the entries evenly.
 */
#include "thread/thread.h"

enum { FIRST_SIZE = 64 };

static struct bp_thread *first[FIRST_SIZE], **table = first;
static size_t size = FIRST_SIZE, count;

static struct bp_thread **chain(uint64_t id)
{
    return &table[id & (size - 1)];
}

static void put_in_chain(struct bp_thread *t)
{
    t->entry.same = *chain(t->id);
    *chain(t->id) = t;
}

/* If there is no memory for a larger table, the chains grow longer. */
static void grow_table(void)
{
    struct bp_thread **larger = PyMem_RawCalloc(2 * size, sizeof(struct bp_thread *)), **old = table;
    if (!larger)
        return;
    table = larger;
    size *= 2;
    for (struct bp_thread *t = bp.threads; t; t = t->entry.next)
        put_in_chain(t);
    if (old != first)
        PyMem_RawFree(old);
}

struct bp_thread *bp_entry_find(uint64_t id)
{
    struct bp_thread *t = *chain(id);
    while (t && t->id != id)
        t = t->entry.same;
    return t;
}

void bp_entry_add(struct bp_thread *t)
{
    if (count++ == size)
        grow_table();
    put_in_chain(t);
    t->entry.next = bp.threads;
    t->entry.link = &bp.threads;
    if (t->entry.next)
        t->entry.next->entry.link = &t->entry.next;
    bp.threads = t;
}

void bp_entry_remove(struct bp_thread *t)
{
    struct bp_thread **at = chain(t->id);
    while (*at != t)
        at = &(*at)->entry.same;
    *at = t->entry.same;
    *t->entry.link = t->entry.next;
    if (t->entry.next)
        t->entry.next->entry.link = t->entry.link;
    count--;
}
