/* SPDX-License-Identifier: MIT */
/*
 * What lies on the calling thread's stack: handlers of signals, and calls. A handler's frame is known by the address
 * that it returns to.
 */
#ifndef BO_WAKE_FRAMES_H
#define BO_WAKE_FRAMES_H

#include <time.h>
#include "arch/window.h"
#include "state/arena.h"

/* Where the handlers of this process return to. Once, at load. */
void bo_frames_set_restorer(uintptr_t at);
/* Whether the code that a signal's handler has interrupted ran on the thread's alternate signal stack, on which `at` is
 * not. The stack may lie inside the thread's own, and then addresses alone say nothing. */
bool bo_frames_was_on_alternate_stack(const void *context, uintptr_t at);
/* Whether the calling thread runs on its alternate signal stack. */
bool bo_frames_on_alternate_stack(void);
/* Whether a signal handler's frame lies above `sp` on the calling thread's stack: 1, 0, -1 unknown. */
int bo_frames_on_handler(uintptr_t sp);
/* Whether this is a signal handler, or may be one. */
bool bo_frames_in_handler_now(void);
/* The same, with the signals that are blocked, or were before bough has blocked more. */
bool bo_frames_in_handler(uint64_t blocked);
/* The same between two places of that stack. */
int bo_frames_between(uintptr_t low, uintptr_t high);
/* The same in memory that is known to be a stack's. */
int bo_frames_frame_in(uintptr_t low, uintptr_t high);

/*
 * Code runs with its stack pointer at `sp`, or on the alternate signal stack, in no window, and the word says IN. Is
 * that no handler on top of the call, but was the call left: by siglongjmp(), by pthread_exit() in a handler, by an
 * asynchronous cancellation? False where this cannot be found out. [signal]
 */
bool bo_call_was_left(const struct bo_thread *t, uintptr_t sp, bool alternate);
bool bo_call_was_left_here(const struct bo_thread *t);

#if BO_HOOKS && BO_ARCH_WINDOW
extern BO_TLS bool bo_call_at_hook;
/* The wake signal, if it was blocked in what runs at a hook. That may be the call itself: an old frame on its stack may
 * look like a handler's on top (a sanitizer's frames have holes, in which old frames last). The window lets it in. */
extern BO_TLS uint64_t bo_blocked_at_hook;
#else
enum { bo_call_at_hook = 0 };
#endif

/* A wait inside libc; they lie on the stack, the innermost one first. */
struct bo_libc_wait {
    struct timespec until; /* hand this very object to libc, as an absolute time */
    struct bo_libc_wait *outer;
    uint64_t below; /* the word before: what a handler of the program runs on top of */
    bool in;
    bool aside; /* a handler's, on top of a call of foreign code: what that was in */
    enum bo_foreign_step step;
};

#endif
