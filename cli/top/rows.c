/* SPDX-License-Identifier: MIT */
/* The rows: the nodes of the tree in the chosen order, without those that a filter or a fold hides. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "top.h"

/* ---- what is in a row ----------------------------------------------------------------------------------------- */

static const struct call *call_of(const struct top *t, const struct node *n)
{
    return n->branch ? NULL : calls_find(&t->calls, n->tid, node_generation(n));
}

static bool is_in_python_line(const struct top *t, const struct node *n, const char *text)
{
    const struct stacks *s = &t->python;
    const struct py_frame *f =
        n->branch ? NULL : stacks_innermost(s, stacks_thread(s, bo_load_relaxed(&n->slot.thread.tid)));
    return f && (strcasestr(s->text + f->function, text) || strcasestr(s->text + f->file, text));
}

bool row_matches(const struct top *t, const struct node *n, const char *text)
{
    char id[16];
    const struct call *c = call_of(t, n);
    snprintf(id, sizeof id, "%d", (int)n->tid);
    if (strcasestr(n == t->view->root ? "root" : n->slot.target.name, text) || (n->tid && strcmp(id, text) == 0) ||
        (c && strcasestr(c->now.call, text)) || is_in_python_line(t, n, text))
        return true;
    for (unsigned i = 0; i < n->record_count; i++)
        if (strcasestr(n->records[i]->reason, text) ||
            strcasestr(bo_kind_name(bo_load_relaxed(&n->records[i]->kind)), text))
            return true;
    return false;
}

static bool is_shown(const struct top *t, const struct node *n)
{
    return !*t->filter || row_matches(t, n, t->filter);
}

/* ---- folds ------------------------------------------------------------------------------------------------------- */

static uint32_t *fold_of(struct top *t, const struct node *n)
{
    if (n->unknown || n->index >= BO_THREADS)
        return NULL;
    return n->branch ? &t->folds.branch[n->index] : &t->folds.thread[n->index];
}

/* The entry is the folded generation plus 1, because 0 stands for none. */
static bool is_folded(struct top *t, const struct node *n)
{
    const uint32_t *fold = fold_of(t, n);
    return fold && n->first && *fold == node_generation(n) + 1;
}

/* For a thread without branches, the branch that it is a child of is folded. */
void fold_toggle(struct top *t)
{
    const struct node *n = top_selected(t);
    if (n && !n->first)
        n = n->parent;
    uint32_t *fold = n ? fold_of(t, n) : NULL;
    if (!fold || n == t->view->root)
        return;
    *fold = is_folded(t, n) ? 0 : node_generation(n) + 1;
    t->selected = (struct selected){n->branch, n->unknown, n->index, node_generation(n), n->tid};
    rows_build(t);
}

/* Opens everything, if anything is folded; otherwise folds all branches except the root. */
void fold_all(struct top *t)
{
    bool any = false;
    for (uint32_t i = 0; i < BO_BRANCHES; i++)
        any = any || (t->view->branch[i] && is_folded(t, t->view->branch[i]));
    memset(&t->folds, 0, sizeof t->folds);
    for (uint32_t i = 0; !any && i < BO_BRANCHES; i++)
        if (t->view->branch[i] && t->view->branch[i] != t->view->root)
            t->folds.branch[i] = node_generation(t->view->branch[i]) + 1;
    rows_build(t);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static struct row *append(struct rows *r, const struct node *n, int depth)
{
    if (r->count == r->room) {
        size_t room = 2 * r->room + 256;
        struct row *more = realloc(r->row, room * sizeof *more);
        if (!more)
            return NULL;
        r->row = more;
        r->room = room;
    }
    r->row[r->count] = (struct row){.node = n, .depth = depth};
    return &r->row[r->count++];
}

static unsigned count_below(const struct node *n)
{
    unsigned count = 0;
    for (const struct node *child = n->first; child; child = child->next)
        count += 1 + count_below(child);
    return count;
}

/* A filter also shows the ancestors of a row that matches, and ignores folds. Returns whether anything was added. */
static bool add_tree(struct top *t, const struct node *n, int depth)
{
    size_t at = t->rows.count;
    struct row *row = append(&t->rows, n, depth);
    bool shown = is_shown(t, n);
    if (!row)
        return false;
    if (!*t->filter && is_folded(t, n)) {
        row->hidden = count_below(n);
        return true;
    }
    for (const struct node *child = n->first; child; child = child->next)
        shown |= add_tree(t, child, depth + 1); /* VIEW_DEPTH is the limit */
    if (!shown)
        t->rows.count = at;
    return shown;
}

static void add_flat(struct top *t, const struct node *n)
{
    if (n != t->view->root && is_shown(t, n))
        append(&t->rows, n, 0);
    for (const struct node *child = n->first; child; child = child->next)
        add_flat(t, child);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static int by_name(const struct node *a, const struct node *b)
{
    int order = strcmp(a->slot.target.name, b->slot.target.name);
    return order ? order : (a->tid > b->tid) - (a->tid < b->tid);
}

/* The longest wait comes first; nodes that do not wait come last. */
static int64_t waits_since(const struct top *t, const struct node *n)
{
    const struct call *c = call_of(t, n);
    return c && *c->now.call ? c->since : INT64_MAX;
}

static int state_rank(const struct top *t, const struct node *n)
{
    static const char ranks[] = "RDTtS";
    const struct call *c = call_of(t, n);
    const char *at = c && c->now.state ? strchr(ranks, c->now.state) : NULL;
    return at ? (int)(at - ranks) : 9;
}

/* Overdue incidents come first, then others by their rung, then nodes without an incident. */
static int urgency(const struct node *n)
{
    int most = 0;
    for (unsigned i = 0; i < n->record_count; i++) {
        int mine = 1 + bo_load_relaxed(&n->records[i]->rung) + (bo_load_relaxed(&n->records[i]->overdue) ? 100 : 0);
        most = mine > most ? mine : most;
    }
    return most;
}

static int compare_rows(const void *first, const void *second, void *top)
{
    const struct top *t = top;
    const struct node *a = ((const struct row *)first)->node, *b = ((const struct row *)second)->node;
    int order = 0;
    if (t->order == BY_TIME) {
        int64_t x = waits_since(t, a), y = waits_since(t, b);
        order = (x > y) - (x < y);
    } else if (t->order == BY_STATE) {
        order = state_rank(t, a) - state_rank(t, b);
    } else if (t->order == BY_OVERDUE) {
        order = urgency(b) - urgency(a);
    }
    return order ? order : by_name(a, b);
}

/* A thread that only the kernel lists has no slot. */
static bool is_selected(const struct selected *s, const struct node *n)
{
    if (s->branch != n->branch || s->unknown != n->unknown)
        return false;
    return s->unknown ? s->tid == n->tid : s->index == n->index && s->generation == node_generation(n);
}

void rows_remember(struct top *t)
{
    const struct node *n = top_selected(t);
    if (n)
        t->selected = (struct selected){n->branch, n->unknown, n->index, node_generation(n), n->tid};
}

void rows_build(struct top *t)
{
    t->rows.count = 0;
    if (t->order == BY_TREE) {
        add_tree(t, t->view->root, 0);
    } else {
        add_flat(t, t->view->root);
        qsort_r(t->rows.row, t->rows.count, sizeof *t->rows.row, compare_rows, t);
    }
    for (size_t i = 0; i < t->rows.count; i++)
        if (is_selected(&t->selected, t->rows.row[i].node))
            t->cursor = i;
    if (t->cursor >= t->rows.count)
        t->cursor = t->rows.count ? t->rows.count - 1 : 0;
}

const struct node *top_selected(const struct top *t)
{
    return t->cursor < t->rows.count ? t->rows.row[t->cursor].node : NULL;
}
