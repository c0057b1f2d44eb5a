/* SPDX-License-Identifier: MIT */
/*
 * The system call window: no interrupt can come between the test of the word and the blocking call.
 *
 * Contract, the same on each machine:
 *
 *     long bo_window(word, due, frame, nr, a, b, c, d, e, f)
 *     {
 *             if (atomic or of BO_IN to *word, and it was set) return -BO_EON_TOP;      // nested in another call
 *     set:    *frame = the stack pointer;
 *     begin:  if (*due & BO_DUE) goto cancel;                  // a load and a branch, no call
 *             result = system call nr(a .. f);                 // one instruction, the last before `end`
 *     end:    atomic and of ~BO_IN to *word;
 *     out:    return result;                                   // raw: -errno on failure
 *     cancel: result = -BO_ECUT; goto end;
 *     cancelled:
 *     }
 *
 *     long bo_window_on_top(mask, before, due, call)     // for a call nested in another: IN stays set
 *     {
 *     set:    system call rt_sigprocmask(SIG_UNBLOCK, mask, before, 8);
 *     begin, end, cancel: as above, with the number and arguments of *call; `out` is `end`
 *     }
 *
 * This has no race (rule 8). BO_IN is set and cleared inside, so the program counter alone shows the state of the call.
 * A poster makes the word due first and then sends the wake signal. If the signal's handler finds the counter in
 * [set, begin), the test is still to come. In [begin, end) the call has not happened, or the kernel has set the counter
 * back to the instruction to restart the call, which it does only if the call had no effect: the handler moves the
 * counter to `cancel`. From `end` to `out` and in [cancel, cancelled) the call is over and its result counts (rule 9).
 * If the counter is anywhere else while BO_IN is set, a signal handler runs that has interrupted the call.
 *
 * If the call is nested in another call, which the wake may be meant for, there are two differences. In [set, begin) a
 * window that is about to return -BO_EON_TOP counts as BO_ELSEWHERE. And if the wake arrives anywhere in
 * bo_window_on_top(), its handler passes the wake on to the outer call at once, because another handler may jump out of
 * the window before the window's caller could pass it on: in [set, begin) the handler moves the counter, too.
 *
 * A wait that the kernel never restarts after a handler (poll, sleep, pause) fails with EINTR instead: the counter is
 * at `end`, and the call had no effect either. bo_arch_woken() replaces the result, as `cancel` does. So a wake is
 * never returned as EINTR: an EINTR that is returned comes from a handler of the application.
 *
 * The window is inline: on many machines a `return` after a system call is mispredicted, because the kernel leaves the
 * return stack empty, which costs 3 % of a short call. So there are many windows, one in each drop-in, and each enters
 * its places in a table, the section `bo_windows`.
 *
 * `due` is the byte of the calling thread's word that shows whether an interrupt is due: the lowest byte, or in foreign
 * code a higher one (state/word.h). `frame` stores where on the stack the call was made: thus a later call can detect
 * that a jump has left this call (thread/call.h). The call may change all memory.
 *
 * For a machine without a window, BO_ARCH_WINDOW is 0 (generic/): there the wake signal's handler has no SA_RESTART,
 * and the signal is repeated with backoff until the thread has left the call.
 */
#ifndef BO_ARCH_WINDOW_H
#define BO_ARCH_WINDOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Bit 0 of that byte, the only bit that the window tests; state/word.h asserts that BO_DUE is the same. */
#define BO_ARCH_DUE 1
/* The bit that a window sets and clears, by number; state/word.h takes it from here. */
#define BO_ARCH_IN 4

/* The call was interrupted. This is not ECANCELED, with which a call may fail by itself (a timerfd's read, when the
 * clock was set), but a number that the kernel does not use, in the range of error numbers, which ends at 4095. */
#define BO_ECUT 4095
/* The call would be nested in another call, and was not made. The number was chosen like BO_ECUT. */
#define BO_EON_TOP 4094
/* The call failed with EINTR, and a wake has come: thread/call.c finds out which call the wake is for. */
#define BO_EWOKEN 4093

/* An entry of the table: the distance of each place from the entry's field for it. */
struct bo_window_places {
    int32_t set, begin, end, out, cancel, cancelled;
};

struct bo_window_call {
    long nr, a, b, c, d, e, f;
};

#if BO_ARCH_GENERIC
#include "arch/generic/window.h"
#define BO_ARCH_WINDOW 0
#elif defined(__x86_64__)
#include "arch/x86_64/window.h"
#define BO_ARCH_WINDOW 1
#elif defined(__aarch64__)
#include "arch/aarch64/window.h"
#define BO_ARCH_WINDOW 1
#elif defined(__riscv) && __riscv_xlen == 64
#include "arch/riscv64/window.h"
#define BO_ARCH_WINDOW 1
#endif

/* The place of the code that a signal handler has interrupted. */
enum bo_where {
    BO_ELSEWHERE, /* in no window */
    BO_ENTERING,  /* in [set, begin), and this window has set IN: the test is still to come */
    BO_BEFORE,    /* in [begin, end): nothing has happened */
    BO_AFTER      /* from end to out, or cancelled: the call is over; at `end` the result is in a register */
};

/* `context` is the ucontext_t of a signal handler. `*on_top`: in bo_window_on_top(). */
enum bo_where bo_arch_where(const void *context, bool *on_top);
/* Make the window return -BO_ECUT. Called for BO_BEFORE, and in bo_window_on_top() for BO_ENTERING. */
void bo_arch_cancel(void *context);
/* Called when a wake has come, for BO_AFTER, and on machines where the program counter is not known: a window that
 * would return -EINTR returns `-number` instead. */
void bo_arch_woken(void *context, int number);
/* The interrupted stack pointer. */
uintptr_t bo_arch_sp(const void *context);
/* Whether a signal handler's frame lies on the stack in [low, high): 1 yes, 0 no, -1 unknown.
 * `restorer` is libc's signal return routine, which lies in each frame where the machine has one. */
int bo_arch_handler_between(uintptr_t low, uintptr_t high, uintptr_t restorer);

/* ---- for the machines' own files ---------------------------------------------------------------- */

/* The window that a program counter lies in, and the place in it; NULL: in no window. */
const struct bo_window_places *bo_window_at(uintptr_t pc, enum bo_where *where);

static inline uintptr_t bo_window_place(const int32_t *field)
{
    return (uintptr_t)field + (uintptr_t)(intptr_t)*field;
}

/* bo_window_on_top() does not change the word: its call is over at `end`. */
static inline bool bo_window_is_on_top(const struct bo_window_places *w)
{
    return bo_window_place(&w->out) == bo_window_place(&w->end);
}

#endif
