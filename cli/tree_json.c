/* SPDX-License-Identifier: MIT */
/* The tree as JSON, for programs. */
#include "json.h"
#include "proc.h"
#include "python/show.h"
#include "view.h"

struct writer {
    struct json *json;
    const struct view *view;
    struct strings *strings;
};

static void write_place(struct writer *w, const char *file, int line)
{
    char name[512];
    strings_get(w->strings, (uint64_t)(uintptr_t)file, name, sizeof name);
    json_string(w->json, "file", file ? name : NULL);
    json_number(w->json, "line", line);
}

static void write_record(struct writer *w, const struct bo_record *r)
{
    struct json *j = w->json;
    bool delivered = bo_record_status(bo_load_relaxed(&r->state)) == BO_DELIVERED;
    json_begin(j, NULL, '{');
    json_string(j, "kind", bo_kind_name(r->kind));
    json_string(j, "status", delivered ? "delivered" : "pending");
    json_string(j, "reason", r->reason);
    json_number(j, "rung", bo_load_relaxed(&r->rung));
    json_number(j, "ceiling", bo_load_relaxed(&r->ceiling));
    json_bool(j, "overdue", bo_load_relaxed(&r->overdue));
    json_number(j, "count", bo_record_count(r));
    json_bool(j, "final", bo_record_flags(r) & BOUGH_FINAL);
    json_bool(j, "alone", bo_record_flags(r) & BOUGH_ALONE);
    json_number(j, "signal", r->signo);
    json_number(j, "source", r->source ? view_tid(w->view, r->source) : 0);
    json_number(j, "ns_source", r->source);
    json_number(j, "value", r->value);
    json_seconds(j, "age", view_age(w->view, bo_load_relaxed(&r->since)));
    json_end(j, '}');
}

static void write_records(struct writer *w, const struct node *n)
{
    json_begin(w->json, "records", '[');
    for (unsigned i = 0; i < n->record_count; i++)
        write_record(w, n->records[i]);
    json_end(w->json, ']');
}

static void write_regions(struct writer *w, const struct bo_thread *t)
{
    struct json *j = w->json;
    int clocked = clocked_region(t);
    json_begin(j, "regions", '[');
    for (uint32_t i = 0; i < regions_of(t); i++) {
        bool runs = (int)i == clocked;
        if (bo_is_internal(t->region[i].line))
            continue;
        json_begin(j, NULL, '{');
        json_string(j, "kind", region_name(t->region[i].kind));
        write_place(w, t->region[i].file, t->region[i].line);
        json_seconds(j, "age", view_age(w->view, t->region[i].since));
        json_seconds(j, "budget", runs ? bo_load_relaxed(&t->section.budget) : -1);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_number(j, "regions_not_shown", bo_load_relaxed(&t->depth) - regions_of(t));
}

/* 0: the thread has ended, or its id is not known. */
static void write_ids(struct writer *w, const struct node *n)
{
    json_number(w->json, "tid", n->tid);
    json_number(w->json, "ns_tid", bo_load_relaxed(&n->slot.thread.tid));
}

static void write_activity(struct writer *w, pid_t tid)
{
    struct activity now = {0};
    if (tid && view_knows_threads(w->view))
        proc_activity(w->view->arena->pid, tid, &now);
    json_string(w->json, "state", now.state ? (char[]){now.state, '\0'} : NULL);
    json_string(w->json, "call", *now.call ? now.call : NULL);
}

static void write_python_line(struct writer *w, const struct node *n)
{
    if (w->view->python)
        python_line_as_json(w->json, "python", w->view->python, bo_load_relaxed(&n->slot.thread.tid));
}

/* A thread that only the kernel knows has few fields. */
static void write_thread(struct writer *w, const struct node *n)
{
    const struct bo_thread *t = &n->slot.thread;
    json_bool(w->json, "known", !n->unknown);
    if (n->unknown) {
        write_ids(w, n);
        write_activity(w, n->tid);
        write_python_line(w, n);
        return;
    }
    uint64_t word = bo_load_relaxed(&t->t.word);
    write_ids(w, n);
    json_string(w->json, "level", level_name(t));
    json_bool(w->json, "overrun", word & BO_OVERRUN);
    json_bool(w->json, "interrupted", word & BO_PENDING);
    json_bool(w->json, "interruptible_call", word & BO_IN);
    write_activity(w, n->tid);
    write_python_line(w, n);
    write_regions(w, t);
}

static void write_branch(struct writer *w, const struct node *n)
{
    const struct bo_branch *b = &n->slot.of_branch;
    int64_t left = view_left(w->view, bo_load_relaxed(&b->deadline));
    write_place(w, b->file, b->line);
    json_number(w->json, "children", n->children);
    json_seconds(w->json, "deadline_left", left == BO_FOREVER ? -1 : left > 0 ? left : 0);
    json_bool(w->json, "deadline_passed", left <= 0);
}

static void write_begin(struct writer *w, const char *key, const struct node *n)
{
    json_begin(w->json, key, '{');
    json_string(w->json, "type", n->branch ? "branch" : "thread");
    json_string(w->json, "name", n->slot.target.name);
    json_number(w->json, "slot", n->index);
    json_bool(w->json, "stray", n->stray);
    if (n->branch)
        write_branch(w, n);
    else
        write_thread(w, n);
    write_records(w, n);
    json_begin(w->json, "below", '[');
}

static void write_end(struct writer *w)
{
    json_end(w->json, ']');
    json_end(w->json, '}');
}

static void write_node(struct writer *w, const char *key, const struct node *n)
{
    write_begin(w, key, n);
    for (const struct node *child = n->first; child; child = child->next)
        write_node(w, NULL, child); /* VIEW_DEPTH is the limit */
    write_end(w);
}

void tree_as_json(struct json *j, const char *key, const struct view *v, struct strings *strings)
{
    struct writer w = {.json = j, .view = v, .strings = strings};
    char command[64];
    json_begin(j, key, '{');
    json_number(j, "pid", v->arena->pid ? v->arena->pid : v->arena->head.pid);
    json_number(j, "ns_pid", v->arena->pid ? v->arena->own_pid : v->arena->head.pid);
    proc_command(v->arena->pid, command, sizeof command);
    json_string(j, "command", v->arena->pid ? command : NULL);
    json_string(j, "version", v->arena->head.library);
    json_number(j, "threads", v->threads);
    json_number(j, "branches", v->branches ? v->branches - 1 : 0);
    json_number(j, "incidents", v->records);
    json_seconds(j, "uptime", view_uptime(v));
    if (v->python)
        json_string(j, "python_problem", *v->python->why ? v->python->why : NULL);
    write_node(&w, "tree", v->root);
    json_end(j, '}');
}
