/* SPDX-License-Identifier: MIT */
/* Requests to the process, as `bough interrupt` makes them, and the details of a thread, as `bough dump` gets them. */
#include <stdlib.h>
#include <string.h>
#include "../dump.h"
#include "../python/show.h"
#include "../request.h"
#include "../symbols.h"
#include "../text.h"
#include "top.h"

enum { NAMES_MS = 2000 }; /* the longest time to find the names in a stack */

static const char default_reason[] = "asked by an operator";

/* ---- the target -------------------------------------------------------------------------------------------------- */

static bool take_target(struct top *t)
{
    const struct node *n = top_selected(t);
    const char *why = *t->end ? "the process has ended" : !n ? "no row is selected" : NULL;
    if (!why && n->unknown)
        why = "bough does not know this thread: it can't be interrupted";
    if (why) {
        snprintf(t->message, sizeof t->message, "%s", why);
        return false;
    }
    t->target = (struct found){0};
    target_note(&t->target, &n->slot.target, n->branch, n->branch ? 0 : bo_load_relaxed(&n->slot.thread.tid));
    if (n == t->view->root)
        strcpy(t->target.name, "root");
    return true;
}

static bool is_root(const struct found *f)
{
    return f->branch && bo_handle_index(f->handle) == BO_ROOT;
}

void act_begin_interrupt(struct top *t)
{
    if (!take_target(t))
        return;
    t->rung = 0;
    t->ceiling = request_ceiling(is_root(&t->target));
    snprintf(t->input, sizeof t->input, "%s", default_reason);
    t->prompt = REASON_PROMPT;
}

/* The prompt suggests the next rung. */
void act_begin_promote(struct top *t)
{
    const struct node *n = top_selected(t);
    int rung = 0;
    if (!take_target(t))
        return;
    for (unsigned i = 0; i < n->record_count; i++)
        if (bo_load_relaxed(&n->records[i]->rung) > rung)
            rung = bo_load_relaxed(&n->records[i]->rung);
    if (!n->record_count) {
        snprintf(t->message, sizeof t->message, "there is no incident here: interrupt it first (i)");
        return;
    }
    snprintf(t->input, sizeof t->input, "%d", rung < RUNG_KILL ? rung + 1 : RUNG_KILL);
    t->prompt = RUNG_PROMPT;
}

/* ---- posting ----------------------------------------------------------------------------------------------------- */

static void post_wish(struct top *t)
{
    struct bo_request answer;
    if (request_post(&t->arena, &t->target, t->reason, t->rung, t->ceiling, &answer)) {
        incidents_posted(&t->incidents, &t->target, &answer, arena_now(&t->arena));
        snprintf(t->message, sizeof t->message, "posted");
    } else {
        snprintf(t->message, sizeof t->message, "%s", t->arena.why);
    }
    t->next = 0;
}

/* The question has the sentences that `bough interrupt` prints. */
static void ask_or_post(struct top *t)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        snprintf(t->message, sizeof t->message, "out of memory: nothing was posted");
        return;
    }
    int reach = request_reach(out, &t->arena, &t->target, t->ceiling);
    request_prospect(out, &t->arena, &t->target, reach);
    fclose(out);
    for (char *c = text; c && *c; c++)
        if (*c == '\n')
            *c = ' ';
    snprintf(t->question, sizeof t->question, "%s", text ? text : "");
    free(text);
    if (reach > RUNG_FINAL)
        t->prompt = QUESTION;
    else
        post_wish(t);
}

void act_reason_given(struct top *t)
{
    snprintf(t->reason, sizeof t->reason, "%s", *t->input ? t->input : default_reason);
    ask_or_post(t);
}

void act_rung_given(struct top *t)
{
    if (strlen(t->input) != 1 || *t->input < '0' + RUNG_FLAG || *t->input > '0' + RUNG_KILL) {
        snprintf(t->message, sizeof t->message, "the rung must be 1 to 6: nothing was posted");
        return;
    }
    t->rung = *t->input - '0';
    t->ceiling = request_ceiling(is_root(&t->target));
    if (t->ceiling < t->rung)
        t->ceiling = t->rung;
    snprintf(t->reason, sizeof t->reason, "%s", default_reason);
    ask_or_post(t);
}

void act_answered(struct top *t, bool yes)
{
    if (yes)
        post_wish(t);
    else
        snprintf(t->message, sizeof t->message, "nothing was posted");
}

/* ---- details ----------------------------------------------------------------------------------------------------- */

/* The names of earlier dumps are kept. */
static void put_names(FILE *out, struct top *t, FILE *in)
{
    char text[2048];
    if (!t->names)
        t->names = symbols_new(proc_alive(t->arena.pid), NULL);
    if (!t->names)
        return;
    symbols_read(t->names, in, NAMES_MS);
    for (unsigned i = 0; symbols_note(t->names, i, text, sizeof text); i++)
        put_text(out, text), fputs("\n", out);
}

/* If the process does not answer, its Python stack can still be read. */
static void put_stack(FILE *out, struct top *t, const struct node *n)
{
    pid_t own = bo_load_relaxed(&n->slot.thread.tid);
    struct stacks python = {0};
    FILE *in = dump_by_itself(&t->arena);
    stacks_read(&python, proc_alive(t->arena.pid));
    if (in) {
        struct mixed *mixed = mixed_new(&t->arena, &python, in);
        put_names(out, t, in);
        dump_stack(in, own, t->names, mixed, out);
        mixed_free(mixed);
        fclose(in);
    } else {
        put_text(out, t->arena.why);
        fputs("\n", out);
        python_put_stack(out, &python, own, 2);
    }
    python_put_problem(out, &python);
    stacks_free(&python);
}

void act_show_details(struct top *t)
{
    const struct node *n = top_selected(t);
    char *text = NULL;
    size_t size;
    FILE *out = n ? open_memstream(&text, &size) : NULL;
    if (!out)
        return;
    tree_node_as_text(out, t->view, t->strings, n);
    if (!n->branch && n != &t->view->idle_workers && !*t->end)
        put_stack(out, t, n);
    fclose(out);
    free(t->pane_text);
    t->pane_text = text;
    t->pane_first = 0;
    t->pane = DETAILS_PANE;
}
