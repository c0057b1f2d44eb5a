/* SPDX-License-Identifier: MIT */
/*
 * `bough top`: a live view of one process.
 *
 *      collect: arena --view.c--> tree --rows.c--> rows (order, filter, folds) --draw.c--> the visible ones
 *                        |           \--incidents.c--> the last incidents
 *                        \--calls.c--> since when each thread waits
 *      keys.c changes what is shown, act.c posts requests, watch.c sees the process's end.
 *
 * The tree is read once per interval; a key only draws again. Of thousands of threads, only the visible rows are
 * formatted, and in each interval only some of the others are asked for their call.
 */
#ifndef CLI_TOP_TOP_H
#define CLI_TOP_TOP_H

#include <stdbool.h>
#include "attach.h"
#include "proc.h"
#include "python/stacks.h"
#include "target.h"
#include "view.h"

/* ---- calls.c: since when a thread waits ---------------------------------------------------------------------- */

struct call {
    pid_t tid; /* 0: a free place of the table */
    uint32_t generation;
    struct activity now;
    uint64_t turns; /* how often the thread was given a processor: it stays the same while the thread waits */
    int64_t since;  /* on this process's clock */
    bool earlier;   /* the thread waited already when it was first seen */
    unsigned seen;  /* the number of the last frame in which the thread existed */
};

struct calls {
    struct call *table; /* hashed by id */
    size_t room, used;
    unsigned next; /* the thread at which the next interval's samples begin */
};

/* The thread's call, as last sampled; NULL: not sampled yet. */
const struct call *calls_find(const struct calls *c, pid_t tid, uint32_t generation);
/* Sample one thread. NULL: out of memory. */
const struct call *calls_sample(struct calls *c, pid_t pid, pid_t tid, uint32_t generation, unsigned frame);
/* Sample threads in turns, until the time for samples is used up. */
void calls_sample_some(struct calls *c, const struct view *v, unsigned frame);
void calls_free(struct calls *c);
/* The generation of a node's slot; 0 for a thread that only the kernel lists. */
uint32_t node_generation(const struct node *n);

/* ---- incidents.c: the last incidents --------------------------------------------------------------------------- */

enum { INCIDENTS = 200 };

struct incident {
    bool branch;
    uint32_t index, generation, serial;
    int kind, rung, ceiling;
    bool overdue, delivered, there;
    const char *end;      /* how the incident has ended; NULL: it is open */
    int64_t since, ended; /* ended: on this process's clock */
    char name[BO_NAME], reason[BOUGH_REASON_MAX + 1];
};

struct incidents {
    struct incident last[INCIDENTS]; /* the newest first */
    unsigned count;
};

/* Note a request that this command has posted. `now`: of the process's clock. */
struct bo_request;
void incidents_posted(struct incidents *all, const struct found *target, const struct bo_request *answer, int64_t now);
/* Update the list by the records that stand now. */
void incidents_follow(struct incidents *i, const struct view *v);

/* ---- rows.c ------------------------------------------------------------------------------------------------------ */

enum order { BY_TREE, BY_NAME, BY_TIME, BY_STATE, BY_OVERDUE, ORDERS };

struct row {
    const struct node *node;
    int depth;
    unsigned hidden; /* the rows below this one that a fold hides */
};

struct rows {
    struct row *row;
    size_t count, room;
};

/* The selected row, which stays selected wherever it moves. */
struct selected {
    bool branch, unknown;
    uint32_t index, generation;
    pid_t tid;
};

/* Which generation of a branch or thread is folded; 0: none. */
struct folds {
    uint32_t thread[BO_THREADS], branch[BO_BRANCHES];
};

/* ---- the whole ----------------------------------------------------------------------------------------------- */

enum pane { NO_PANE, INCIDENTS_PANE, DETAILS_PANE, HELP_PANE };
enum prompt { NO_PROMPT, FILTER_PROMPT, SEARCH_PROMPT, REASON_PROMPT, RUNG_PROMPT, QUESTION };
enum { INPUT = BOUGH_REASON_MAX + 1 };

struct top {
    struct arena arena;
    int pidfd; /* -1: the kernel has no pidfds */
    struct view *view;
    struct stacks python; /* the innermost Python lines */
    struct strings *strings;
    struct symbols *names; /* of frames; NULL: not needed yet */
    struct calls calls;
    struct incidents incidents;
    struct rows rows;
    struct folds folds;
    unsigned frame;   /* the number of the last collection */
    int64_t cost;     /* the processor time of the last frame, in ns */
    int64_t interval; /* ns */
    int64_t next;     /* when to collect again */
    bool stopped, paused, every_worker;
    bool reading;  /* read once, although the view is paused */
    char end[160]; /* why the process is not watched any more; "": it is watched */

    enum order order;
    char filter[INPUT], search[INPUT];
    struct selected selected;
    size_t cursor, first; /* the selected row, and the first visible one */

    enum pane pane;
    char *pane_text; /* of the details */
    unsigned pane_first;

    enum prompt prompt;
    char input[INPUT], message[256], question[512];
    struct found target; /* of the request that the prompt is for */
    int rung, ceiling;
    char reason[INPUT];

    bool leaving;
};

/* ---- clock.c */
/* CLOCK_MONOTONIC, and the processor time of this thread, in ns. */
int64_t top_clock(void);
int64_t top_processor_time(void);

/* ---- rows.c */
/* Make the rows of the present tree, in the present order. */
void rows_build(struct top *t);
/* The node of the selected row; NULL: there is no row. */
const struct node *top_selected(const struct top *t);
/* Note the selected row, before the tree or the cursor changes. */
void rows_remember(struct top *t);
/* Whether the name, id, call or an incident contains the text, without regard to case. */
bool row_matches(const struct top *t, const struct node *n, const char *text);
/* Fold or open the selected branch, or the branch of the selected thread. */
void fold_toggle(struct top *t);
/* Fold all branches, or open all if any is folded. */
void fold_all(struct top *t);

/* ---- collect.c */
/* Read the process again. False: out of memory. */
bool top_collect(struct top *t);

/* ---- screen.c */
/* How many rows are visible. */
int draw_room(const struct top *t);

/* ---- draw.c, panes.c: drawing with ncurses */
void draw_all(struct top *t);
void draw_pane(struct top *t, int line, int height);
/* Print at most `width` columns of a line, and fill the rest with spaces. `text` is escaped already. */
void draw_text(const char *text, int width);

/* ---- keys.c */
/* Carry out a key's function. */
void top_key(struct top *t, int key);

/* ---- act.c: requests, each with the checks of `bough interrupt` */
/* Begin a request for the selected row: ask for its reason, or for the rung where it begins. */
void act_begin_interrupt(struct top *t);
void act_begin_promote(struct top *t);
/* The input is complete: post the request, or ask first if it can climb above rung 3. */
void act_reason_given(struct top *t);
void act_rung_given(struct top *t);
void act_answered(struct top *t, bool yes);
/* Fill in the text about the selected row: what the tree shows, and a thread's stack. */
void act_show_details(struct top *t);

/* ---- watch.c */
/* Open a descriptor of the process. */
void watch_begin(struct top *t);
/* Fill in `end` if the process has ended. */
void watch_look(struct top *t);
/* Fill in `end` if the process executes another program now. */
void watch_program(struct top *t);

#endif
