/* SPDX-License-Identifier: MIT */
/* bough_fail(): evidence is collected where a failure happens (rule 30), and stored in the child or the branch. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#if BO_UNWIND
#include <unwind.h>
#endif
#include "branch/fail.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "trace/recorder.h"
#include "wake/post.h"

/* ---- evidence ------------------------------------------------------------------------------------------- */

enum { TRACE = (int)(sizeof((struct bo_failure *)0)->trace / sizeof(void *)) };

#if BO_UNWIND
struct unwinding {
    struct bo_failure *failure;
    const void *from; /* the trace begins at the frame of this address; NULL: that frame was found */
};

/* How many innermost frames are the library's depends on inlining, so they are skipped up to the caller's address. */
static _Unwind_Reason_Code trace_step(struct _Unwind_Context *context, void *argument)
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
    _Unwind_Backtrace(trace_step, &u);
    if (u.from) { /* the address was not found, because link-time optimisation has inlined the function */
        u.from = NULL;
        _Unwind_Backtrace(trace_step, &u);
    }
}
#else
static void take_trace(struct bo_failure *f, const void *from)
{
    (void)f;
    (void)from;
}
#endif

struct place {
    const char *file, *function;
    int line;
    const void *from; /* the return address of the library's function that the program has called */
};

static struct bo_failure *evidence_of_failure(int code, const char *message, const struct bo_branch *b,
                                              struct place place)
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

/* ---- the failing branch or child --------------------------------------------------------------------------------- */

/* `f` is NULL if there was no memory, or if the body only leaves because it was interrupted. */
static void body_failed(struct bo_branch *b, int code, struct bo_failure *f)
{
    struct bo_branch_state *state = b->state;
    char reason[BOUGH_REASON_MAX + 1];
    snprintf(reason, sizeof reason, "%s failed: %s", b->t.name,
             f && *f->face.message ? f->face.message : strerror(code));
    if (code != ECANCELED)
        bo_trace_fail(bo_branch_handle(b), code, f ? f->face.message : "");
    bo_lock(&state->lock);
    if (code == ECANCELED)
        state->cut = true;
    else
        bo_branch_state_failed(state, code, f, true);
    bo_unlock(&state->lock);
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = reason};
    bo_post(bo_branch_handle(b), &event, NULL);
}

static struct bo_branch *branch_of_owner(bough_target target, int *error)
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

/* Stores a failure. The failure of the last branch is attached, if `code` is that branch's result and it was nested in
 * `b`. Branches that a child's thread has ended are always nested in the child. */
static void keep_failure(struct bo_child *c, struct bo_branch *b, struct bo_failure *f, int code)
{
    if (f)
        bo_failure_attach(f, bo_ending_pass_on(code, b ? b->state->ending_before : 0));
    if (c)
        bo_child_failed(c, code, f);
    else
        body_failed(b, code, f);
}

/* If a child or body fails repeatedly, only its first failures are kept. */
static bool has_failed_too_often(struct bo_child *c, const struct bo_branch *b)
{
    unsigned *calls = c ? &c->fail_calls : &b->state->fail_calls;
    if (*calls < BO_KEPT_FAILURES) {
        ++*calls;
        return false;
    }
    if (*calls == BO_KEPT_FAILURES) {
        ++*calls;
        bo_report("%s has called bough_fail() more than %d times: only the first %d failures are kept",
                  c ? bo_self->t.name[0] ? bo_self->t.name : "a child" : b->t.name, BO_KEPT_FAILURES, BO_KEPT_FAILURES);
    }
    return true;
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
    struct bo_branch *b = is_self(target) ? NULL : branch_of_owner(target, &error);
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
    if (has_failed_too_often(c, b))
        return code;
    struct bo_failure *f =
        evidence_of_failure(code, message, b, (struct place){file, function, line, __builtin_return_address(0)});
    keep_failure(c, b, f, code);
    errno = saved;
    return code;
}

void bo_failure_thrown(bough_branch *branch, const char *file, int line, const char *function)
{
    int error;
    struct bo_branch *b = branch_of_owner(branch, &error);
    if (!b)
        return;
    if (bo_self->call.last_was_cut) {
        body_failed(b, ECANCELED, NULL);
        return;
    }
    struct bo_failure *f = evidence_of_failure(EPROTO, "a C++ exception left the block", b,
                                               (struct place){file, function, line, __builtin_return_address(0)});
    if (f)
        f->thrown = true;
    keep_failure(NULL, b, f, EPROTO);
}
