/* SPDX-License-Identifier: MIT */
/*
 * A picture of the whole tree: copies of all live slots, linked.
 *
 *      the root -- threads (main and adopted ones)
 *                    thread -- the branches that it has open, each in the one around it
 *                                branch -- its children, which are threads
 *
 * Each node has exactly one parent, even if the arena is damaged: a node that is not connected, or would be an ancestor
 * of itself, becomes a child of the root and is marked as stray. Nodes are temporarily stray in a tree that changes.
 * Threads that only the kernel lists come last below the root.
 */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <stdio.h>
#include "attach.h"
#include "pid_ns.h"

struct node {
    struct node *parent, *first, *last, *next, *before;
    bool branch, stray, reached;
    bool unknown; /* a thread that only the kernel lists: `slot` has the id in its namespace and the kernel's name */
    bool idle;    /* a thread of the library that waits for work */
    pid_t tid;    /* of a thread: its id here (pid_ns.h); 0: the thread has ended, or its id is not known */
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

enum { VIEW_DEPTH = 400 }; /* deeper nodes are stray */

struct stacks;

struct view {
    const struct arena *arena;
    int64_t now; /* bough_now() of the process; -1: not known */
    struct node *thread[BO_THREADS], *branch[BO_BRANCHES];
    struct node root_instead; /* if there is no root */
    struct node **unknown;    /* threads, `unknowns` of them */
    unsigned unknowns;
    struct node *root;
    unsigned threads, branches, records;
    struct pid_map ids;
    struct node idle_workers;    /* one node instead of the idle workers, if they are folded */
    unsigned folded;             /* how many workers that node stands for */
    const struct stacks *python; /* the threads' Python stacks (python/stacks.h); NULL: not read */
};

/* NULL: out of memory. */
struct view *view_new(const struct arena *a);
void view_free(struct view *v);
/* Replace all workers that wait for work by one node, if there are several. */
void view_fold_idle(struct view *v);

/* Nanoseconds from `then` to now; -1: not known. */
int64_t view_age(const struct view *v, int64_t then);
/* The time left until a deadline: negative if it has passed; BO_FOREVER if there is no deadline, or `now` is not
 * known. */
int64_t view_left(const struct view *v, int64_t deadline);

/* How long the process has had its arena; -1 if that is not known. */
int64_t view_uptime(const struct view *v);

/* Text for the word, a record and a region. */
const char *level_name(const struct bo_thread *t);
const char *region_name(int kind);
/* The listed regions, the outermost first; the index of the critical section whose clock runs, or -1. */
uint32_t regions_of(const struct bo_thread *t);
int clocked_region(const struct bo_thread *t);
/* Whether the tree is of a live process, so that the kernel can be queried about its threads. */
bool view_knows_threads(const struct view *v);
/* The id here of the process's thread with the id `own` (pid_ns.h); 0: there is no such thread. */
pid_t view_tid(const struct view *v, pid_t own);

/* Writing the two forms of the tree. */
struct strings;
void tree_as_text(FILE *out, const struct view *v, struct strings *strings);
/* The tree's first line: the process, and the numbers of threads, branches and incidents. */
void tree_summary(FILE *out, const struct view *v);
/* The lines of one node, without those below it. */
void tree_node_as_text(FILE *out, const struct view *v, struct strings *strings, const struct node *n);
struct json;
void tree_as_json(struct json *j, const char *key, const struct view *v, struct strings *strings);

#endif
