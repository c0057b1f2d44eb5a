/* SPDX-License-Identifier: MIT */
/*
 * The thread itself checks where an exception may be raised.
 *
 * Up to 3.12 a thread that releases the GIL at an instruction checks for an asynchronous exception as soon as it has
 * the GIL again, at the same instruction. So the async thread can check where the thread is, and arm the exception.
 * From 3.13 on the thread checks at the next instruction that checks the eval breaker, which may be in a `finally` or
 * after the start of a `with`.
 *
 * So from 3.13 on, while an exception waits to be raised, each instruction of the functions on the thread's stack is
 * reported (instructions.c) on the thread itself, which checks its place and raises the exception there or continues.
 * Functions that the thread calls later are added when the async thread examines it again. When no exception waits,
 * nothing is monitored.
 *
 * Up to 3.12 the same is done for a thread that is never found at an instruction where the exception could be armed:
 * the loop of `try: while condition: ...` checks the eval breaker only outside of the `try`, and a loop whose iterator
 * blocks releases the GIL at an instruction that does not check the eval breaker. In 3.11 the thread's trace function
 * reports the instructions (trace.c).
 */
#include "thread/thread.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "async/async.h"
#include "upcalls.h"

enum { ARMED_FIRST = PY_VERSION_HEX >= 0x030D0000 ? 0 : 200 }; /* ms */

#if PY_VERSION_HEX >= 0x030C0000

enum { FRAMES = 64 }; /* the innermost frames of a thread; outer frames are added when these have returned */

static PyObject *monitored; /* a dict: address -> code object, because different code objects may be equal */

static PyObject *key_of(const PyCodeObject *code)
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)code);
}

bool bp_monitor_wants(const PyCodeObject *code)
{
    if (!monitored || PyDict_GET_SIZE(monitored) == 0)
        return false;
    PyObject *key = code ? key_of(code) : NULL;
    bool wanted = !code || (key && PyDict_GetItemWithError(monitored, key));
    Py_XDECREF(key);
    PyErr_Clear();
    return wanted;
}

static bool add_code(PyCodeObject *code)
{
    if (bp_monitor_wants(code))
        return true;
    PyObject *key = key_of(code);
    bool done = key && PyDict_SetItem(monitored, key, (PyObject *)code) == 0 && bp_instructions(code) == 0;
    if (key && !done && PyDict_DelItem(monitored, key) != 0)
        PyErr_Clear();
    Py_XDECREF(key);
    PyErr_Clear();
    return done;
}

static bool add_frames(PyFrameObject *frame)
{
    bool any = false;
    for (int i = 0; frame && i < FRAMES; i++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        any |= add_code(code);
        Py_DECREF(code);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    return any;
}

bool bp_monitor(struct bp_thread *t, int64_t waited)
{
    if (waited < BOUGH_MS(ARMED_FIRST) || !bp_thread_lives(t))
        return false;
    if (!monitored && !(monitored = PyDict_New())) {
        PyErr_Clear();
        return false;
    }
    return add_frames(PyThreadState_GetFrame(t->tstate));
}

void bp_monitor_stop(void)
{
    PyObject *codes = monitored && PyDict_GET_SIZE(monitored) ? PyDict_Values(monitored) : NULL;
    if (!codes)
        return;
    PyDict_Clear(monitored);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(codes); i++)
        bp_instructions((PyCodeObject *)PyList_GET_ITEM(codes, i));
    Py_DECREF(codes);
}

#else

bool bp_monitor(struct bp_thread *t, int64_t waited)
{
    if (waited < BOUGH_MS(ARMED_FIRST) || !bp_thread_lives(t))
        return false;
    bp_trace_frames(t);
    return true;
}

/* Nothing to do: each thread stops tracing when it sees that no exception waits. */
void bp_monitor_stop(void)
{
}

#endif

int bp_monitor_step(void)
{
    struct bp_thread *t = bp_thread_known();
    if (PY_VERSION_HEX >= 0x030D0000 && t && t->armed.is_set && bp_self())
        bp_hold(t); /* the call of C code has returned without raising the exception: c_code.c */
    /* `awaited` is read again, because bp_place_admits_here() may let other threads run. */
    if (!t || !t->monitor.awaited || !bp_place_admits_here(t) || !t->monitor.awaited)
        return 0;
    bp_raise_here(t);
    return PyErr_Occurred() ? -1 : 0;
}

/* The 250 ms between pauses are long enough for a thread to get the GIL among others. */
bool bp_monitor_pauses(int64_t waited)
{
    return waited > BOUGH_SEC(1) && waited / BOUGH_MS(250) % 10 != 0;
}
