/* SPDX-License-Identifier: MIT */
/*
 * Finds signal handlers and calls on the calling thread's stack. A signal handler's frame is recognised by its return
 * address.
 */
#ifndef BO_WAKE_FRAMES_H
#define BO_WAKE_FRAMES_H

#include <time.h>
#include "arch/window.h"
#include "state/arena.h"
#include "trace/recorder.h"

/* Set the address that signal handlers of this process return to. Called once, at load. */
void bo_frames_set_restorer(uintptr_t at);
/* Whether the code that a signal handler has interrupted ran on the thread's alternate signal stack, while `at` is not
 * on it. That stack may be a part of the thread's stack, and then addresses alone do not show it. */
bool bo_frames_was_on_alternate_stack(const void *context, uintptr_t at);
/* Whether the calling thread runs on its alternate signal stack. */
bool bo_frames_on_alternate_stack(void);
/* Whether a signal handler's frame lies above `sp` on the calling thread's stack: 1, 0, -1 unknown. */
int bo_frames_on_handler(uintptr_t sp);
/* Whether the calling code runs in a signal handler, or may do so. */
bool bo_frames_in_handler_now(void);
/* The same, by `blocked`: the signals that are blocked, without those that bough has blocked. */
bool bo_frames_in_handler(uint64_t blocked);
/* Whether a signal handler's frame lies between two places of the calling thread's stack: 1, 0, -1 unknown. */
int bo_frames_between(uintptr_t low, uintptr_t high);
/* The same between two addresses that are known to belong to one stack. */
int bo_frames_frame_in(uintptr_t low, uintptr_t high);

/*
 * Code runs with its stack pointer at `sp`, or on the alternate signal stack, in no window, and the word has IN.
 * Returns whether the call was left, by siglongjmp(), by pthread_exit() in a handler, or by an asynchronous
 * cancellation; if not, the code is a signal handler that has interrupted the call. False if unknown. [signal]
 */
bool bo_call_was_left(const struct bo_thread *t, uintptr_t sp, bool alternate);
bool bo_call_was_left_here(const struct bo_thread *t);

#if BO_HOOKS && BO_ARCH_WINDOW
extern BO_TLS bool bo_call_at_hook;
/* The wake signal, if it was blocked in the code at a hook. That code may be the call itself: an old frame on its stack
 * may look like that of a handler (a sanitizer's frames have holes, which keep old frames). The window unblocks it. */
extern BO_TLS uint64_t bo_blocked_at_hook;
#else
enum { bo_call_at_hook = 0 };
#endif

/* A wait inside libc. The waits are a list on the stack, the innermost one first. */
struct bo_libc_wait {
    struct timespec until; /* pass this object to libc, as an absolute time */
    struct bo_libc_wait *outer;
    uint64_t below; /* the word before this wait: it has the state of the call that a handler has interrupted */
    bool in;
    bool aside; /* this wait is in a signal handler that has interrupted foreign code's call, whose step is `step` */
    enum bo_foreign_step step;
    struct bo_trace_call recorded;
};

#endif
