/* SPDX-License-Identifier: MIT */
/* Failures: evidence taken where it happens (rule 30), trees of it, and printing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if BO_UNWIND
#include <unwind.h>
#endif
#include "api/branch.h"
#include "base/plain.h"
#include "core/arena.h"
#include "core/current.h"
#include "core/post.h"
#include "core/report.h"

/* ---- evidence ------------------------------------------------------------------------------------------- */

enum { TRACE = (int)(sizeof((struct bo_failure *)0)->trace / sizeof(void *)) };

#if BO_UNWIND
struct unwinding {
    struct bo_failure *failure;
    const void *from; /* NULL: it has been found */
};

/* How many frames of ours lie above depends on what the compiler inlined: the caller's address tells. */
static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument)
{
    struct unwinding *u = argument;
    struct bo_failure *f = u->failure;
    void *pc = (void *)_Unwind_GetIP(context);
    if (pc == u->from)
        u->from = NULL;
    if (pc && u->from)
        return _URC_NO_REASON;
    if (!pc || f->face.depth == TRACE)
        return _URC_END_OF_STACK;
    f->trace[f->face.depth++] = pc;
    return _URC_NO_REASON;
}

static void take_trace(struct bo_failure *f, const void *from)
{
    struct unwinding u = {.failure = f, .from = from};
    _Unwind_Backtrace(step, &u);
    if (u.from) { /* inlined as a whole, by a linker that optimises */
        u.from = NULL;
        _Unwind_Backtrace(step, &u);
    }
}
#else
static void take_trace(struct bo_failure *f, const void *from)
{
    (void)f;
    (void)from;
}
#endif

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

/* Without memory for the list the other is dropped: it is not what the branch returns. */
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

/* The face is the first member: a tree of faces is a tree of failures. */
static struct bo_failure *failure_of(const bough_error *face)
{
    return (struct bo_failure *)(uintptr_t)face;
}

/* A tree is as deep as branches were nested, a stack may be small: the failures yet to be freed are a list. */
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

/* The root may be the caller's copy, so that it is reached by the argument, and never from below. */
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

static struct bo_failure *use_spare(struct bo_family *family, int code)
{
    struct bo_failure *f = family->spare;
    family->spare = NULL;
    if (f)
        f->face.code = code;
    return f;
}

static void append(struct bo_family *family, struct bo_failure *f)
{
    f->next = NULL;
    *family->last_failure = f;
    family->last_failure = &f->next;
}

static void prepend(struct bo_family *family, struct bo_failure *f)
{
    f->next = family->failures;
    if (!f->next)
        family->last_failure = &f->next;
    family->failures = f;
}

/* The first one that counts is primary. A supervisor's children do not count, and of their failures it keeps only
 * the first ones: it may run for ever. */
bool bo_family_failed(struct bo_family *family, int code, struct bo_failure *f, bool body)
{
    bool counts = body || !family->supervisor, primary = counts && !family->code;
    if (primary)
        family->code = code;
    if (!f)
        f = use_spare(family, code);
    if (f && !counts && family->failure_count >= BO_KEPT_FAILURES) {
        bo_failure_free(f);
        return false;
    }
    if (!f)
        return false;
    family->failure_count++;
    if (primary)
        prepend(family, f);
    else
        append(family, f);
    return true;
}

/* ---- bough_fail() ----------------------------------------------------------------------------------------- */

void bo_child_failed(struct bo_child *c, int code, struct bo_failure *f)
{
    if (!c->code)
        c->code = code;
    if (c->failure)
        bo_failure_attach(c->failure, f);
    else
        c->failure = f;
}

/* `f` is NULL if there was no memory, or if the body only leaves because it was interrupted. */
static void body_failed(struct bo_branch *b, int code, struct bo_failure *f)
{
    struct bo_family *family = b->family;
    char reason[BOUGH_REASON_MAX + 1];
    snprintf(reason, sizeof reason, "%s failed: %s", b->t.name,
             f && *f->face.message ? f->face.message : strerror(code));
    bo_lock(&family->lock);
    if (code == ECANCELED)
        family->cut = true;
    else
        bo_family_failed(family, code, f, true);
    bo_unlock(&family->lock);
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = reason};
    bo_post(bo_branch_handle(b), &event, NULL);
}

static struct bo_branch *own_branch(bough_target target, int *error)
{
    struct bo_branch *b = bo_branch_of_handle(target);
    if (!b)
        *error = errno;
    else if (!bo_self || bo_load_relaxed(&b->owner) != bo_self->t.index)
        *error = EPERM, b = NULL;
    return b;
}

static bool is_self(bough_target target)
{
    return !target || (bo_self && (uint64_t)(uintptr_t)target == bo_thread_handle(bo_self));
}

/* What the last branch has collected goes with it, if this is that branch's result and it was nested in this one. What
 * the thread of a child has kept is nested in the child. */
static void say(struct bo_child *c, struct bo_branch *b, struct bo_failure *f, int code)
{
    if (f)
        bo_failure_attach(f, bo_ending_pass_on(code, b ? b->family->ending_before : 0));
    if (c)
        bo_child_failed(c, code, f);
    else
        body_failed(b, code, f);
}

/* A child or a body that fails again and again keeps the first ones. */
static bool one_too_many(struct bo_child *c, const struct bo_branch *b)
{
    unsigned *said = c ? &c->said : &b->family->said;
    if (*said < BO_KEPT_FAILURES) {
        ++*said;
        return false;
    }
    if (*said == BO_KEPT_FAILURES) {
        ++*said;
        bo_report("%s has called bough_fail() more than %d times: only the first %d failures are kept",
                  c ? bo_self->t.name[0] ? bo_self->t.name : "a child" : b->t.name, BO_KEPT_FAILURES, BO_KEPT_FAILURES);
    }
    return true;
}

struct place {
    const char *file, *function;
    int line;
    const void *from; /* the return address of the library's function that the program has called */
};

static struct bo_failure *evidence(int code, const char *message, const struct bo_branch *b, struct place place)
{
    struct bo_failure *f = bo_failure_new(code, message, b ? b->t.index : BO_NONE);
    if (!f)
        return NULL;
    f->face.file = place.file;
    f->face.line = place.line;
    f->face.function = place.function;
    take_trace(f, place.from);
    return f;
}

int bough_fail_at_(bough_target target, const char *file, int line, const char *function, int code, const char *format,
                   ...)
{
    char message[512] = "";
    int saved = errno, error = EPERM;
    va_list arguments;
    va_start(arguments, format);
    if (format)
        vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct bo_child *c = is_self(target) && bo_self ? bo_self->child : NULL;
    struct bo_branch *b = is_self(target) ? NULL : own_branch(target, &error);
    errno = saved;
    if (code <= 0)
        return EINVAL;
    if (!c && !b)
        return error;
    if (code == ECANCELED) {
        if (b)
            body_failed(b, code, NULL);
        return code;
    }
    if (one_too_many(c, b))
        return code;
    struct bo_failure *f =
        evidence(code, message, b, (struct place){file, function, line, __builtin_return_address(0)});
    say(c, b, f, code);
    errno = saved;
    return code;
}

void bo_failure_thrown(bough_branch *branch, const char *file, int line, const char *function)
{
    int error;
    struct bo_branch *b = own_branch(branch, &error);
    if (!b)
        return;
    if (bo_self->last_was_cut) {
        body_failed(b, ECANCELED, NULL);
        return;
    }
    struct bo_failure *f = evidence(EPROTO, "a C++ exception left the block", b,
                                    (struct place){file, function, line, __builtin_return_address(0)});
    if (f)
        f->thrown = true;
    say(NULL, b, f, EPROTO);
}

/* ---- printing --------------------------------------------------------------------------------------------- */

/* One line. Not dprintf(): it does not free its buffer when writing fails. A longer line is cut. */
BOUGH_FORMAT(2, 3) static bool say_to(int fd, const char *format, ...)
{
    char text[2048], line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = bo_plain(line, sizeof line - 1, text); /* messages and names are in it */
    line[length++] = '\n';
    for (size_t done = 0; done < length;) {
        ssize_t r = write(fd, line + done, length - done);
        if (r < 0 && errno != EINTR)
            return false;
        done += r > 0 ? (size_t)r : 0;
    }
    return true;
}

static bool print_place(int fd, int indent, void *pc)
{
    Dl_info info;
    /* A return address lies behind its call: one back is inside. */
    if (!dladdr((char *)pc - 1, &info))
        return say_to(fd, "%*s  at %p", indent, "", pc);
    if (info.dli_sname)
        return say_to(fd, "%*s  at %s+0x%lx (%s)", indent, "", info.dli_sname,
                      (unsigned long)((char *)pc - (char *)info.dli_saddr), info.dli_fname);
    return say_to(fd, "%*s  at %s+0x%lx", indent, "", info.dli_fname,
                  (unsigned long)((char *)pc - (char *)info.dli_fbase));
}

static bool print_failure(int fd, int indent, const bough_error *e)
{
    char place[512] = "";
    if (e->file)
        snprintf(place, sizeof place, " (%s%s%s:%d)", e->function ? e->function : "", e->function ? ", " : "", e->file,
                 e->line);
    return say_to(fd, "%*s%s: %s%s%s%s", indent, "", e->who && *e->who ? e->who : "failure", strerror(e->code),
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

/* What is deeper is not moved further in: a line has an end. */
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
