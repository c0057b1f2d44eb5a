/* SPDX-License-Identifier: MIT */
/* Failures with their evidence, trees of failures, and printing. */
#define _GNU_SOURCE
#include "branch/failure.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/plain.h"
#include "base/write.h"
#include "branch/branch_state.h"
#include "state/arena.h"
#include "state/current.h"

/* ---- one failure ------------------------------------------------------------------------------------------- */

/* "connection 7 in clients" */
static void name_who(struct bo_failure *f, const struct bo_thread *t, uint32_t branch)
{
    if (!t)
        return;
    const char *name = t->t.name[0] ? t->t.name : branch || !t->child ? "the body" : "a child";
    if (!branch)
        branch = t->child ? bo_load_relaxed(&t->parent) : bo_load_relaxed(&t->top);
    snprintf(f->who, sizeof f->who, "%s%s%s", name, branch > BO_ROOT ? " in " : "",
             branch > BO_ROOT ? bo_branch_at(branch)->t.name : "");
}

struct bo_failure *bo_failure_of(const struct bo_thread *t, int code, const char *message, uint32_t branch)
{
    size_t length = strlen(message);
    struct bo_failure *f = calloc(1, sizeof *f + length + 1);
    if (!f)
        return NULL;
    memcpy(f->message, message, length + 1);
    name_who(f, t, branch);
    f->face = (struct bough_error){.code = code, .message = f->message, .who = f->who, .trace = f->trace};
    return f;
}

struct bo_failure *bo_failure_new(int code, const char *message, uint32_t branch)
{
    return bo_failure_of(bo_self, code, message, branch);
}

/* ---- trees ---------------------------------------------------------------------------------------------- */

/* If there is no memory for the list, `other` is dropped: it does not determine the branch's result. */
void bo_failure_attach(struct bo_failure *to, struct bo_failure *other)
{
    if (!other)
        return;
    if (to->face.count == to->room) {
        size_t room = to->room ? 2 * to->room : 4;
        const bough_error **more = realloc(to->attached, room * sizeof(bough_error *));
        if (!more) {
            bo_failure_free(other);
            return;
        }
        to->attached = more;
        to->room = room;
    }
    other->above = to;
    other->at = to->face.count;
    to->attached[to->face.count++] = &other->face;
    to->face.attached = to->attached;
}

/* The public struct is the first member, so a tree of these structs is a tree of failures. */
static struct bo_failure *failure_of(const bough_error *face)
{
    return (struct bo_failure *)(uintptr_t)face;
}

/* This is not recursive, because a tree can be as deep as branches were nested, and the stack may be small. The
 * failures that are still to be freed form a list. */
void bo_failure_free(struct bo_failure *f)
{
    if (f)
        f->next = NULL;
    while (f) {
        struct bo_failure *rest = f->next;
        for (size_t i = 0; i < f->face.count; i++) {
            struct bo_failure *attached = failure_of(f->attached[i]);
            attached->next = rest;
            rest = attached;
        }
        free(f->attached);
        free(f);
        f = rest;
    }
}

/* The root may be the caller's copy, so it is taken from the argument and never reached from a child. */
const bough_error *bo_failure_next(const bough_error *root, const bough_error *e, unsigned *depth)
{
    if (e->count) {
        ++*depth;
        return e->attached[0];
    }
    while (*depth) {
        size_t next = failure_of(e)->at + 1;
        e = --*depth ? &failure_of(e)->above->face : root;
        if (next < e->count) {
            ++*depth;
            return e->attached[next];
        }
    }
    return NULL;
}

static struct bo_failure *use_spare(struct bo_branch_state *state, int code)
{
    struct bo_failure *f = state->spare;
    state->spare = NULL;
    if (f)
        f->face.code = code;
    return f;
}

static void append_failure(struct bo_branch_state *state, struct bo_failure *f)
{
    f->next = NULL;
    *state->last_failure = f;
    state->last_failure = &f->next;
}

static void prepend(struct bo_branch_state *state, struct bo_failure *f)
{
    f->next = state->failures;
    if (!f->next)
        state->last_failure = &f->next;
    state->failures = f;
}

/* The first failure becomes the primary one. Failures of a supervisor's children never do, and only the first of them
 * are kept, because a supervisor may run indefinitely. */
bool bo_branch_state_failed(struct bo_branch_state *state, int code, struct bo_failure *f, bool body)
{
    bool counts = body || !state->supervisor, primary = counts && !state->code;
    if (primary)
        state->code = code;
    if (!f)
        f = use_spare(state, code);
    if (f && !counts && state->failure_count >= BO_KEPT_FAILURES) {
        bo_failure_free(f);
        return false;
    }
    if (!f)
        return false;
    state->failure_count++;
    if (primary)
        prepend(state, f);
    else
        append_failure(state, f);
    return true;
}

/* ---- of a child ----------------------------------------------------------------------------------------- */

void bo_child_failed(struct bo_child *c, int code, struct bo_failure *f)
{
    if (!c->code)
        c->code = code;
    if (c->failure)
        bo_failure_attach(c->failure, f);
    else
        c->failure = f;
}

void bo_child_free(struct bo_child *child)
{
    bo_failure_free(child->failure);
    free(child);
}

/* ---- printing --------------------------------------------------------------------------------------------- */

/* Writes one line, truncated if it is too long. */
BOUGH_FORMAT(2, 3) static bool print_line(int fd, const char *format, ...)
{
    char text[2048], line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = bo_plain(line, sizeof line - 1, text); /* the text contains messages and names */
    line[length++] = '\n';
    return bo_write_all(fd, line, length);
}

static bool print_place(int fd, int indent, void *pc)
{
    Dl_info info;
    /* A return address lies after its call: the byte before it is in the calling function. */
    if (!dladdr((char *)pc - 1, &info))
        return print_line(fd, "%*s  at %p", indent, "", pc);
    if (info.dli_sname)
        return print_line(fd, "%*s  at %s+0x%lx (%s)", indent, "", info.dli_sname,
                          (unsigned long)((char *)pc - (char *)info.dli_saddr), info.dli_fname);
    return print_line(fd, "%*s  at %s+0x%lx", indent, "", info.dli_fname,
                      (unsigned long)((char *)pc - (char *)info.dli_fbase));
}

static bool print_failure(int fd, int indent, const bough_error *e)
{
    char place[512] = "";
    if (e->file)
        snprintf(place, sizeof place, " (%s%s%s:%d)", e->function ? e->function : "", e->function ? ", " : "", e->file,
                 e->line);
    return print_line(fd, "%*s%s: %s%s%s%s", indent, "", e->who && *e->who ? e->who : "failure", strerror(e->code),
                      *e->message ? ": " : "", e->message, place);
}

static bool print_one(const bough_error *e, int fd, int indent)
{
    if (!print_failure(fd, indent, e))
        return false;
    for (size_t i = 0; i < e->depth; i++)
        if (!print_place(fd, indent, e->trace[i]))
            return false;
    return true;
}

/* Deeper levels are not indented further: lines have a limited length. */
enum { INDENT = 4, DEEPEST = 24 };

int bough_error_print(const bough_error *error, int fd)
{
    unsigned depth = 0;
    if (!error)
        return errno = EINVAL, -1;
    for (const bough_error *e = error; e; e = bo_failure_next(error, e, &depth))
        if (!print_one(e, fd, INDENT * (int)(depth < DEEPEST ? depth : DEEPEST)))
            return -1;
    return 0;
}
