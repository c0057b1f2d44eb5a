/* SPDX-License-Identifier: MIT */
/*
 * A picture of the whole tree: copies of all live slots, linked.
 *
 *      the root -- threads (main and adopted ones)
 *                    thread -- the branches that it has open, each in the one around it
 *                                branch -- its children, which are threads
 *
 * Each node hangs below exactly one other, whatever the arena says: what is not connected, or would be its own
 * ancestor, hangs below the root and is marked as stray. That happens for a moment in a tree that changes. Threads that
 * only the kernel knows come last below the root.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <stdio.h>
#include "attach.h"

struct node {
    struct node *parent, *first, *last, *next;
    bool branch, stray, reached;
    bool unknown; /* a thread that only the kernel knows: in `slot` are its id and the kernel's name */
    uint32_t index;
    unsigned children; /* of a branch: threads */
    unsigned record_count;
    struct bo_record *records[BO_KIND_COUNT];
    union {
        struct bo_target target;
        struct bo_thread thread;
        struct bo_branch of_branch;
    } slot;
};

enum { VIEW_DEPTH = 400 }; /* what is deeper is stray */

struct view {
    const struct arena *arena;
    int64_t now; /* bough_now() of the process; -1: not known */
    struct node *thread[BO_THREADS], *branch[BO_BRANCHES];
    struct node root_instead; /* if there is no root */
    struct node **unknown;    /* threads, `unknowns` of them */
    unsigned unknowns;
    struct node *root;
    unsigned threads, branches, records;
};

/* NULL: out of memory. */
struct view *view_new(const struct arena *a);
void view_free(struct view *v);

/* Nanoseconds from `then` to now; -1 if that is not known. */
int64_t view_age(const struct view *v, int64_t then);
/* Until a deadline: negative if it has passed; BO_FOREVER if there is none or that is not known. */
int64_t view_left(const struct view *v, int64_t deadline);

/* How long the process has had its arena; -1 if that is not known. */
int64_t view_uptime(const struct view *v);

/* What the word, a record and a region say, in words. */
const char *level_name(const struct bo_thread *t);
const char *region_name(int kind);
/* Noted regions, the outermost first; the index of the critical section whose clock runs, or -1. */
uint32_t regions_of(const struct bo_thread *t);
int clocked_region(const struct bo_thread *t);
/* What the process knows about its threads is not what we do, if it is in a namespace of its own. */
bool view_knows_threads(const struct view *v);

/* How the two forms of the tree are written. */
struct strings;
void tree_as_text(FILE *out, const struct view *v, struct strings *strings);
struct json;
void tree_as_json(struct json *j, const char *key, const struct view *v, struct strings *strings);

#endif
