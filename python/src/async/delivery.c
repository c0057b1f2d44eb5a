/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous delivery into one thread: what the async thread does when it examines the thread, with the GIL
 * held.
 *
 * STATES
 *
 *      A thread is always in one of these states. They are fields of struct bp_thread, and change only with the GIL
 *      held.
 *
 *      QUIET ---> DUE ---> LOOKED AT ---> AWAITED, ARMED, or both ---> QUIET, or DUE again
 *
 *   QUIET      look.listed = false
 *
 *      There is nothing to raise. The async thread does not examine the thread.
 *
 *   DUE        look.listed, due.since = 0 until the first look; !turn.over
 *
 *      There is something to raise: an instance that raise_exc() has posted (`exc.posted`), or a pending record of an
 *      asynchronous thread (`due`). The thread has its turn (turn.c): it may first reach a point or a blocking call,
 *      which raises the exception (rule 14). A record that was raised and stays pending is due again only after the
 *      grace period (bp_raised_until()); another record, such as the next deadline, has a separate turn.
 *
 *   LOOKED AT  look.listed, turn.over, !armed.is_set, !monitor.awaited
 *
 *      The thread is at a place where no exception may be raised: in a critical section, in __enter__, __exit__, a
 *      finally, a finalizer (rule 43, _async_safe.py), or in a trace function. The async thread examines it again after
 *      5 ms and, while the thread stays there (look.place), more and more rarely, down to once in 100 ms.
 *
 *   AWAITED    as above, but monitor.awaited
 *
 *      The thread itself checks at each instruction of the functions on its stack (monitor.c). In versions before 3.13
 *      only a thread that is never found where the exception could be armed does so. The async thread continues to
 *      examine the thread as before.
 *
 *   ARMED      as above, but armed.is_set; it may be awaited as well
 *
 *      PyThreadState_SetAsyncExc(Carrier) was called. The exception is raised when the thread next checks its eval
 *      breaker, in the frame that was examined: the async thread has the GIL, and the thread continues where it
 *      released the GIL. The interpreter instantiates Carrier, and carrier.c returns the intended instance (rule 44).
 *      In 3.15 a thread that stays in C code is armed as well: c_code.c.
 *
 * TRANSITIONS
 *
 *   QUIET -> DUE           bp_async_exc_need(), by a post; the thread's event descriptor is readable
 *   DUE -> LOOKED AT       the thread's turn is over, and no exception may be raised there
 *   any -> AWAITED         deliver(): bp_monitor() has marked the functions
 *   any -> ARMED           deliver(): bp_may_come_in()
 *   AWAITED, ARMED -> DUE  the exception was raised (bp_raise_here(), carrier.c) and its record stays pending: its
 *                          grace period begins; bp_hold(): the exception stays pending, but must not be raised where
 *                          the thread goes now; was_swallowed(): C code has dropped it
 *   any -> QUIET           there is nothing to raise any more: it was raised, also by a point, or cleared; bp_disarm(),
 *                          bp_drop_posted(). The next look removes the thread from the list.
 *
 * An armed exception is withdrawn, with the GIL held (bp_carrier_withdraw()), before anything else raises it: no
 * exception is raised twice.
 */
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"

#include <poll.h>

enum { ARMED_FOR = 50, LOOK_SOON = 1, LOOK_AGAIN = 5, LOOK_RARELY = 100 }; /* ms */
/* From 3.13 on a thread does not check its eval breaker where it has released the GIL, but later. */
enum { ARMS = PY_VERSION_HEX < 0x030D0000 };

/* ---- one thread ------------------------------------------------------------------------------------------------ */

/* Is an interrupt due, at the thread's level? `*why`: its record, empty if it was just cleared. */
static bool is_due(const struct bp_thread *t, struct bough_record *why)
{
    struct pollfd fd = {.fd = t->event_fd, .events = POLLIN};
    *why = (struct bough_record){0};
    if (t->event_fd < 0 || poll(&fd, 1, 0) != 1)
        return false;
    (void)bough_reason_of(t->handle, why);
    return true;
}

/* Reports a new record to the thread's on_due callback. */
static void look_at_event(struct bp_thread *t, const struct bough_record *why, bool due)
{
    bool known = t->due.is_set && bp_same_record(&t->due.record, why);
    if (due && !known)
        t->due.since = 0; /* the new record has a separate turn */
    t->due.is_set = due;
    t->due.record = (struct bp_raised){why->target, why->since, why->kind, why->rung, 0};
    if (!due || known || !t->due.callable)
        return;
    PyObject *callable = Py_NewRef(t->due.callable); /* kept: the thread may end, or leave its block, during the call */
    PyObject *result = PyObject_CallNoArgs(callable);
    if (!result)
        PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
    Py_DECREF(callable);
}

/* Was the armed exception raised, but never instantiated? Then C code has dropped it, or it still propagates, because
 * Python 3.11 instantiates an exception when it is caught. So this waits for a while; if the exception is instantiated
 * later, carrier_call() withdraws the one that was armed again. */
static bool was_swallowed(const struct bp_thread *t)
{
    return bough_now() > t->armed.at + BOUGH_MS(ARMED_FOR) && bp_thread_lives(t) && !t->tstate->async_exc;
}

/* The time from which on an exception is to be raised; 0: there is none. */
static bough_time due_from(struct bp_thread *t, const struct bough_record *why)
{
    bool sticky = t->asynchronous && t->due.is_set;
    if (!t->exc.posted && !sticky)
        return t->due.since = 0;
    if (!t->due.since) {
        bp_turn_begins(t);
        t->look.again_in = 0;
    }
    bough_time from = t->due.since, again = t->exc.posted ? 0 : bp_raised_until(t, why);
    return from < again ? again : from;
}

/* A thread that is still at the same place is in a call, and is examined more and more rarely. The exception is not
 * delayed, because the thread's next instruction is monitored. */
static int look_again_in(struct bp_thread *t)
{
    struct bp_place now = bp_place(t);
    bool stands = now.frame == t->look.place.frame && now.instruction == t->look.place.instruction;
    int longer = 2 * t->look.again_in < LOOK_RARELY ? 2 * t->look.again_in : LOOK_RARELY;
    t->look.place = now;
    return t->look.again_in = stands && t->look.again_in ? longer : LOOK_AGAIN;
}

/* The exception has been due for `waited` ns. */
static void deliver(struct bp_thread *t, int64_t waited)
{
    unsigned changes = bp.changes;
    bool runs = t->look.again_in <= LOOK_AGAIN, awaited = !(runs && bp_monitor_pauses(waited)) && bp_monitor(t, waited);
    if (changes != bp.changes)
        return;
    t->monitor.awaited = awaited;
    if (!(ARMS || (awaited && bp_stays_in_c(t))) || !bp_may_come_in(t))
        return;
    t->armed.is_set = true;
    t->armed.at = bough_now();
    /* This frees an exception that other code had armed, and may let other threads run. */
    PyThreadState_SetAsyncExc(t->tstate->thread_id, bp_carrier);
}

int bp_delivery_look(struct bp_thread *t)
{
    unsigned changes = bp.changes;
    struct bough_record why;
    bool due = is_due(t, &why);
    look_at_event(t, &why, due);
    if (changes != bp.changes)
        return LOOK_AGAIN; /* the thread may have ended meanwhile */
    bough_time from = due_from(t, &why), now = bough_now();
    if (t->armed.is_set && was_swallowed(t))
        t->armed.is_set = false;
    if (t->armed.is_set)
        return ARMED_FOR;
    bool has_turn = from && !bp_turn_is_over(t);
    if (!from || now < from || has_turn)
        t->monitor.awaited = false;
    if (!from)
        return -1;
    if (now < from)
        return (int)((from - now) / 1000000) + 1;
    if (has_turn)
        return LOOK_SOON;
    int again = look_again_in(t);
    deliver(t, now - from); /* the thread may have ended after that */
    return again;
}
