/* SPDX-License-Identifier: MIT */
/* `bough tree`: the threads and branches of one process, and their activity. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "json.h"
#include "proc.h"
#include "python/show.h"
#include "text.h"
#include "view.h"

/* ---- one line ---------------------------------------------------------------------------------------------- */

struct printer {
    FILE *out;
    const struct view *view;
    struct strings *strings;
    bool last[VIEW_DEPTH + 2]; /* for each level: is the node the last one of its parent? */
};

/* The thread's id in the command's PID namespace and, in brackets, its id in the process's PID namespace, if that
 * differs. */
static void put_tid(struct printer *p, pid_t here, pid_t own)
{
    if (here && p->view->arena->apart)
        fprintf(p->out, "%d (%d)", (int)here, (int)own);
    else if (p->view->arena->apart)
        fprintf(p->out, "(%d)", (int)own);
    else
        fprintf(p->out, "%d", (int)own);
}

static void put_place(struct printer *p, const char *file, int line)
{
    char name[512];
    strings_get(p->strings, (uint64_t)(uintptr_t)file, name, sizeof name);
    fputs(" at ", p->out);
    put_text(p->out, name);
    fprintf(p->out, ":%d", line);
}

/* An operator's request came through the mailbox, which the library's thread reads. The sender has an id in the
 * namespace of the process that it asks, or no id. */
static void put_sender(struct printer *p, const struct bo_record *r)
{
    const struct arena *a = p->view->arena;
    if (r->kind == BOUGH_OPERATOR && r->value > 0)
        fprintf(p->out, " from process %lld%s", (long long)r->value, a->apart ? " of its PID namespace" : "");
    else if (r->kind == BOUGH_OPERATOR && r->source && r->source == bo_load_relaxed(&a->head.ticker))
        fputs(" from another PID namespace", p->out);
    else if (r->source)
        fputs(" from thread ", p->out), put_tid(p, view_tid(p->view, r->source), r->source);
}

static void put_record(struct printer *p, const struct bo_record *r)
{
    int64_t age = view_age(p->view, bo_load_relaxed(&r->since));
    uint32_t count = bo_record_count(r), flags = bo_record_flags(r);
    fprintf(p->out, "%s! %s%s", colour(RED), bo_kind_name(r->kind), colour(PLAIN));
    if (*r->reason) {
        fputs(" \"", p->out);
        put_text(p->out, r->reason);
        fputs("\"", p->out);
    }
    put_sender(p, r);
    if (age >= 0)
        fputs(" since ", p->out), put_time(p->out, age);
    fprintf(p->out, ", %s", bo_record_status(bo_load_relaxed(&r->state)) == BO_DELIVERED ? "delivered" : "pending");
    fprintf(p->out, ", rung %d of %d%s", bo_load_relaxed(&r->rung), bo_load_relaxed(&r->ceiling),
            bo_load_relaxed(&r->overdue) ? ", overdue" : "");
    if (count > 1)
        fprintf(p->out, ", %u times", count);
    fprintf(p->out, "%s%s\n", flags & BOUGH_FINAL ? ", final" : "", flags & BOUGH_ALONE ? ", thread alone" : "");
}

static void put_region(struct printer *p, const struct bo_thread *t, uint32_t i)
{
    fprintf(p->out, "[ %s region", region_name(t->region[i].kind));
    put_place(p, t->region[i].file, t->region[i].line);
    int64_t age = view_age(p->view, t->region[i].since);
    if (age >= 0) {
        fputs(", for ", p->out);
        put_time(p->out, age);
    }
    if ((int)i == clocked_region(t) && age >= 0) {
        fputs(", budget ", p->out);
        put_time(p->out, bo_load_relaxed(&t->section.budget));
        if (bo_load_relaxed(&t->t.word) & BO_OVERRUN)
            fprintf(p->out, ", %sused up%s", colour(RED), colour(PLAIN));
    }
    fputs("\n", p->out);
}

/* Usually for main: the children are more informative than the futex that main sleeps on. */
static bool put_wait_for_children(struct printer *p, const struct bo_thread *t)
{
    struct bo_branch b;
    uint32_t index = bo_load_relaxed(&t->join.branch);
    if (index == BO_ROOT) {
        fputs(", waits at its exit for the other threads", p->out);
        return true;
    }
    if (index == BO_NONE || !arena_branch(p->view->arena, index, &b))
        return false;
    fputs(", waits for the children of ", p->out);
    put_text(p->out, b.t.name);
    return true;
}

/* `t` is NULL for a thread that bough does not know. */
static void put_state(struct printer *p, pid_t tid, const struct bo_thread *t)
{
    struct activity now = {0};
    if (!view_knows_threads(p->view))
        return;
    if (tid)
        proc_activity(p->view->arena->pid, tid, &now);
    const char *state = state_name(now.state);
    fprintf(p->out, "%s%s", *state ? ", " : "", state);
    if (!(t && put_wait_for_children(p, t)) && *now.call)
        fprintf(p->out, ", in %s%s%s", colour(CYAN), now.call, colour(PLAIN));
}

/* The Python frames are found by the thread's id in the process's PID namespace. */
static void put_python_line(struct printer *p, const struct node *n)
{
    if (p->view->python)
        python_put_line(p->out, p->view->python, bo_load_relaxed(&n->slot.thread.tid));
}

/* Threads of the library have such names. */
static void put_unknown(struct printer *p, const struct node *n)
{
    const char *name = n->slot.target.name;
    if (n == &p->view->idle_workers) {
        fprintf(p->out, "%sbough-worker%s  %u of them, the library's, idle (--all shows each)\n", colour(BOLD),
                colour(PLAIN), p->view->folded);
        return;
    }
    fputs(colour(BOLD), p->out);
    put_text(p->out, *name ? name : "thread");
    fprintf(p->out, "%s  ", colour(PLAIN));
    put_tid(p, n->tid, bo_load_relaxed(&n->slot.thread.tid));
    fprintf(p->out, ", %s", strncmp(name, "bough-", 6) == 0 ? "the library's" : "not known to bough");
    put_state(p, n->tid, NULL);
    put_python_line(p, n);
    fputs("\n", p->out);
}

static void put_thread(struct printer *p, const struct node *n)
{
    if (n->unknown) {
        put_unknown(p, n);
        return;
    }
    const struct bo_thread *t = &n->slot.thread;
    fputs(colour(BOLD), p->out);
    put_text(p->out, *t->t.name ? t->t.name : "thread");
    fprintf(p->out, "%s  ", colour(PLAIN));
    put_tid(p, n->tid, bo_load_relaxed(&t->tid));
    fprintf(p->out, ", %s", level_name(t));
    if (bo_load_relaxed(&t->t.word) & BO_PENDING)
        fprintf(p->out, ", %sinterrupted%s", colour(RED), colour(PLAIN));
    put_state(p, n->tid, t);
    put_python_line(p, n);
    fprintf(p->out, "%s\n", n->stray ? ", (not connected)" : "");
}

static void put_branch(struct printer *p, const struct node *n)
{
    const struct bo_branch *b = &n->slot.of_branch;
    fputs(colour(GREEN), p->out);
    put_text(p->out, n == p->view->root ? "root" : b->t.name);
    fputs(colour(PLAIN), p->out);
    if (n != p->view->root) {
        fputs("  branch", p->out);
        if (b->file)
            put_place(p, b->file, b->line);
        fprintf(p->out, ", %u %s", n->children, n->children == 1 ? "child" : "children");
    }
    int64_t left = view_left(p->view, bo_load_relaxed(&b->deadline));
    if (left != BO_FOREVER && left > 0)
        fputs(", deadline in ", p->out), put_time(p->out, left);
    else if (left != BO_FOREVER)
        fprintf(p->out, ", %sdeadline passed%s", colour(RED), colour(PLAIN));
    fprintf(p->out, "%s\n", n->stray ? ", (not connected)" : "");
}

/* ---- the lines ---------------------------------------------------------------------------------------------- */

static void put_stem(struct printer *p, int depth)
{
    for (int i = 1; i < depth; i++)
        fputs(p->last[i] ? "   " : drawing(STEM), p->out);
}

/* Details of a node come between its line and those of its children. */
static void put_note_stem(struct printer *p, int depth, bool has_more)
{
    put_stem(p, depth);
    if (depth)
        fputs(p->last[depth] ? "   " : drawing(STEM), p->out);
    fputs(has_more ? drawing(STEM) : "   ", p->out);
}

static void put_notes(struct printer *p, const struct node *n, int depth)
{
    for (unsigned i = 0; i < n->record_count; i++) {
        put_note_stem(p, depth, n->first);
        put_record(p, n->records[i]);
    }
    for (uint32_t i = 0; !n->branch && !n->unknown && i < regions_of(&n->slot.thread); i++) {
        if (bo_is_internal(n->slot.thread.region[i].line))
            continue;
        put_note_stem(p, depth, n->first);
        put_region(p, &n->slot.thread, i);
    }
}

static void put_node(struct printer *p, const struct node *n, int depth)
{
    p->last[depth] = !n->next;
    put_stem(p, depth);
    if (depth)
        fputs(drawing(n->next ? FORK : CORNER), p->out);
    if (n->branch)
        put_branch(p, n);
    else
        put_thread(p, n);
    put_notes(p, n, depth);
    for (const struct node *child = n->first; child; child = child->next)
        put_node(p, child, depth + 1); /* VIEW_DEPTH limits the recursion */
}

static unsigned open_branches(const struct view *v)
{
    return v->branches ? v->branches - 1 : 0; /* the root is not counted */
}

void tree_summary(FILE *out, const struct view *v)
{
    const struct arena *a = v->arena;
    char command[64];
    proc_command(a->pid, command, sizeof command);
    fprintf(out, "%s", a->pid ? "process " : "arena of process ");
    fprintf(out, "%d", (int)(a->pid ? a->pid : a->head.pid));
    if (a->apart)
        fprintf(out, " (%d in its PID namespace)", (int)a->own_pid);
    if (a->pid)
        fputs(" ", out), put_text(out, command);
    fprintf(out, ": %u thread%s, %u branch%s, %u incident%s", v->threads, v->threads == 1 ? "" : "s", open_branches(v),
            open_branches(v) == 1 ? "" : "es", v->records, v->records == 1 ? "" : "s");
    if (view_uptime(v) >= 0)
        fputs(", up ", out), put_time(out, view_uptime(v));
    fprintf(out, ", bough %s\n", a->head.library);
}

void tree_as_text(FILE *out, const struct view *v, struct strings *strings)
{
    static struct printer p;
    p = (struct printer){.out = out, .view = v, .strings = strings};
    tree_summary(out, v);
    put_node(&p, v->root, 0);
}

void tree_node_as_text(FILE *out, const struct view *v, struct strings *strings, const struct node *n)
{
    static struct printer p;
    p = (struct printer){.out = out, .view = v, .strings = strings};
    if (n->branch)
        put_branch(&p, n);
    else
        put_thread(&p, n);
    put_notes(&p, n, 0);
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static int show_tree(const struct arena *a, bool json, bool all)
{
    struct view *v = view_new(a);
    struct strings *strings = a->pid ? strings_new(a->pid) : NULL;
    if (!v)
        return strings_free(strings), fail("out of memory");
    if (!json && !all)
        view_fold_idle(v);
    struct stacks python = {.is_lines = true};
    if (a->pid)
        stacks_read(&python, proc_alive(a->pid));
    v->python = &python;
    static struct json j;
    j = (struct json){.out = stdout};
    choose_style(stdout);
    if (json)
        tree_as_json(&j, NULL, v, strings);
    else
        tree_as_text(stdout, v, strings), python_put_problem(stdout, &python);
    strings_free(strings);
    view_free(v);
    stacks_free(&python);
    return EXIT_SUCCESS;
}

int tree_main(int argc, char **argv)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = NULL;
    bool json = false, all = false;
    struct arena a;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'j')
            json = true;
        else if (o == 'a')
            all = true;
        else if (o == 'f')
            file = optarg;
        else
            return o == 'h' ? help("tree") : misused("tree");
    if (argc - optind != (file ? 0 : 1))
        return misused("tree");
    pid_t pid = file ? 0 : parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("tree", "'%s' is not a process id", argv[optind]);
    if ((file ? attach_file(&a, file) : attach_process(&a, pid)) != ATTACHED)
        return fail("%s", a.why);
    int status = show_tree(&a, json, all);
    detach(&a);
    return status;
}
