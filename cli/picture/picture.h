/* SPDX-License-Identifier: MIT */
/*
 * `bough picture`: a recording as a drawing. The parts, in the order in which they run:
 *
 *      tree.c       processes, threads and branches as one tree
 *      fold.c       the lanes that are drawn, and the rows that stand for all others
 *      bars.c       calls, sections and waits, in lines so that none covers another
 *      incidents.c  interrupts from post to end, with their rungs; arrows; marks
 *      place.c      the place of each row
 *      svg.c, svg_rows.c, svg_parts.c, frame.c   the drawing
 *      html.c       the same drawing in a page with zoom, search and folding
 *      events.c     no drawing, but the trace events that Perfetto reads
 *
 * Parts share the scale of time (times.c) and the measures of a row (svg_measures.c).
 *
 * All times in a struct picture are within its window. A picture refers to the recording, which it does not change.
 */
#ifndef BOUGH_CLI_PICTURE_H
#define BOUGH_CLI_PICTURE_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "trace/trace.h"

/* Sizes in pixels. */
enum {
    WIDTH = 1280,
    PLOT_X = 250,
    PLOT_WIDTH = 1006,
    BAR_LINE = 18,
    BAR_HEIGHT = 16,
    STEP_LINE = 21,
    STEP_LEAST = 13, /* the height of the first rung's steps; each higher rung's are taller */
    MARK_LINE = 14,
    ROW_PADDING = 4,
    INDENT = 13,
};
enum { BAR_LINES = 6, STEP_LINES = 3, MOST_LANES = 10000, USUAL_LANES = 150, COLUMNS = 251, DEEPEST = 8 };

struct picture_options {
    int64_t from, until; /* ns since the recording's start; until 0: up to its end */
    int lanes;           /* the largest number of lanes; 0: USUAL_LANES */
};

enum row_kind { ROW_OUTSIDE, ROW_PROCESS, ROW_BRANCH, ROW_THREAD, ROW_MORE };

/* The threads and branches that a row of kind ROW_MORE stands for. */
struct more {
    int processes, threads, branches, failures, interrupted;
    int parent;                                    /* node */
    int32_t alive[COLUMNS + 1], busy[COLUMNS + 1]; /* threads, in each column of the window */
};

struct row {
    enum row_kind kind;
    int index; /* of the process, branch or thread */
    int node;  /* TRACE_NONE: ROW_OUTSIDE, ROW_MORE */
    int depth;
    int y, height;
    int bar_lines, step_lines;
    bool has_marks;
    int first_bar, n_bars, first_incident, n_incidents, first_mark, n_marks;
    struct more *more;
};

enum bar_kind { BAR_CALL, BAR_SECTION, BAR_GIL, BAR_SCOPE, BAR_BRANCH };

/* Merged bars are too short to be seen apart. */
struct bar {
    int64_t at, until;
    int row, line;
    enum bar_kind kind;
    int of;    /* the event; the branch of BAR_SCOPE and BAR_BRANCH */
    int count; /* the number of bars that were merged into this one */
    bool is_open;
};

enum { RUNGS = 6, MOST_STEPS = 16 };
struct step {
    int64_t at;
    int rung, event;
};
/* An interrupt of one target, from its post to the end of its record. */
struct incident {
    int64_t at, until;
    int row, line;
    int posted, over; /* events; NONE: not in the recording */
    int process, target_thread, target_branch;
    uint32_t serial;
    const char *kind;
    int n_steps, count, posts;
    struct step steps[MOST_STEPS];
};

struct mark {
    int64_t at;
    int row, event, count;
    bool is_failure;
};

struct arrow {
    int64_t at;
    int from, to; /* rows */
    int incident; /* whose box it leads to; NONE: to the row */
    int event, count;
};

/* A process, branch or thread; the last one is the root, which has no row but that of ROW_OUTSIDE. */
struct node {
    enum row_kind kind;
    int index, parent, first, last, next; /* nodes */
    int depth, rank, weight;
    int row; /* the row that shows the node, or stands for it */
    int64_t begun, until;
    bool is_shown, has_threads, is_target;
};

struct picture {
    const struct trace *trace;
    int64_t from, until; /* the window */
    int lanes;
    bool is_page; /* the picture can be zoomed, so finer bars are kept */
    struct node *nodes;
    int n_nodes, *order, n_order; /* in the order of the rows */
    struct row *rows;
    int n_rows;
    struct bar *bars;
    int n_bars;
    struct incident *incidents;
    int n_incidents;
    struct mark *marks;
    int n_marks;
    struct arrow *arrows;
    int n_arrows, arrows_left_out;
    int first_failure; /* event */
    int hidden_threads, hidden_branches;
    int top, height; /* pixels */
};

/* NULL: out of memory. */
struct picture *picture_new(const struct trace *trace, const struct picture_options *options, bool is_page);
void picture_free(struct picture *p);
bool picture_tree(struct picture *p);
bool picture_fold(struct picture *p);
bool picture_bars(struct picture *p);
bool picture_incidents(struct picture *p);
void picture_place(struct picture *p);

/* The nodes of a recording's processes, threads and branches. */
int node_of_root(const struct picture *p);
int node_of_process(const struct picture *p, int process);
int node_of_branch(const struct picture *p, int branch);
int node_of_thread(const struct picture *p, int thread);
/* The row that shows the thread or branch, or stands for it; NONE: there is no such row. */
int row_of_thread(const struct picture *p, int thread);
int row_of_branch(const struct picture *p, int branch);
int row_of_process(const struct picture *p, int process);
/* The row of an interrupt's target. */
int row_of_target(const struct picture *p, const struct trace_event *e);

/* An end as it is drawn: an end that was not recorded is that of the thread, process or recording. */
int64_t end_of_event(const struct trace *t, const struct trace_event *e);
int64_t end_of_process(const struct trace *t, int process);
int64_t end_of_thread(const struct trace *t, int thread);
int64_t end_of_branch(const struct trace *t, int branch);
int64_t clamped(const struct picture *p, int64_t at);
/* The x of a time. */
double picture_x(const struct picture *p, int64_t at);
/* The length of time that a number of pixels stands for. */
int64_t picture_span(const struct picture *p, double pixels);

/* Writers. They return false if the output could not be written or memory is short; errno has the reason. */
bool picture_svg(FILE *out, const struct picture *p);
bool picture_html(FILE *out, const struct picture *p);
bool picture_json(FILE *out, const struct trace *trace);

#endif
