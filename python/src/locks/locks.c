/* SPDX-License-Identifier: MIT */
/*
 * Interruptible waits for locks: Lock and RLock, and everything in threading and queue that uses them;
 * SimpleQueue.get().
 *
 * The interpreter's methods are still called; only their entries in the method tables are replaced, by functions
 * (lock_methods.c) that do the following if the thread has opted in and the call would wait (otherwise they call the
 * original directly):
 *
 *      try it without waiting ---------------------------------------> acquired: return
 *        |
 *      wait, always with a timeout: the caller's, or three years
 *        |   an interrupt may end the semaphore's wait early, like a timeout (interpose.c): wait.lock_cut
 *        |
 *      acquired, or the caller's time is over -----------------------> return that; an interrupt stays pending (rule 9)
 *      interrupted: try again without waiting ----------------------> acquired: a release was meant for this thread,
 *        |                                                             and its wake-up must not be lost
 *      raise
 *
 * A failed wait is never mistaken for an acquired lock: only the result of the original method decides.
 */
#include "base/base.h"
#include "raise/raise.h"
#include "locks/locks.h"
#include "api/module.h"

#include <string.h>

/* Practically infinite, but small enough for any clock's arithmetic. */
static const double FOREVER = 1e8;

/* ---- one wait ---------------------------------------------------------------------------------------------------- */

static double seconds_left(bough_time deadline)
{
    bough_time left = deadline - bough_now();
    return left > 0 ? (double)left / 1e9 : 0;
}

/* Calls the original method. `wait`: whether it waits; `timeout`: for how long. */
static PyObject *call_waiting(const struct bp_lock *l, bool wait, double timeout)
{
    PyObject *args[2] = {wait ? Py_True : Py_False, wait ? PyFloat_FromDouble(timeout) : NULL};
    if (wait && !args[1])
        return NULL;
    PyObject *result = bp_call_original(l, args, wait ? 2 : 1);
    Py_XDECREF(args[1]);
    return result;
}

/* A method returns False if it did not get the lock. */
static bool is_false(PyObject *result)
{
    return result == Py_False;
}

static PyObject *empty_error; /* _queue.Empty */

/* Is the exception that is set the Empty of the type's module? A program may have imported the module _queue twice, and
 * then there are two such classes. */
static bool is_empty_error_of(PyTypeObject *type)
{
    PyObject *error, *value, *trace;
    PyErr_Fetch(&error, &value, &trace);
    PyObject *module = PyType_GetModule(type), *empty = module ? PyObject_GetAttrString(module, "Empty") : NULL;
    bool is = empty && PyErr_GivenExceptionMatches(error, empty);
    Py_XDECREF(empty);
    PyErr_Restore(error, value, trace);
    return is;
}

static bool came_to_nothing(const struct bp_lock *l, PyObject *result)
{
    if (result)
        return is_false(result);
    return PyErr_ExceptionMatches(empty_error) || (l->type && is_empty_error_of(l->type));
}

static void drop_result(PyObject *result)
{
    if (result)
        Py_DECREF(result);
    else
        PyErr_Clear();
}

/* *cut: whether an interrupt has ended the wait. The former state is restored, because in the main thread a signal's
 * handler may run during a wait, and wait for a lock itself. */
static PyObject *wait_once(struct bp_thread *t, const struct bp_lock *l, double timeout, bool *cut)
{
    bool in_lock = t->wait.in_lock, lock_cut = t->wait.lock_cut;
    bp_window_passed("before the wait");
    t->wait.in_lock = true;
    t->wait.lock_cut = false;
    PyObject *result = call_waiting(l, true, timeout);
    *cut = t->wait.lock_cut;
    t->wait.in_lock = in_lock;
    t->wait.lock_cut = lock_cut;
    return result;
}

/* Called after an interrupted wait: if the lock was released at the last moment, that wake-up was for this thread. */
static PyObject *last_try(const struct bp_lock *l)
{
    bp_window_passed("after the cut");
    PyObject *result = call_waiting(l, false, 0);
    if (!came_to_nothing(l, result))
        bough_foreign_again(); /* the lock was acquired after all: the interrupt is due again at the next wait */
    return result;
}

/* A negative `timeout`: no limit. */
static PyObject *wait_for(struct bp_thread *t, const struct bp_lock *l, double timeout)
{
    bough_time deadline = timeout < 0 ? 0 : bough_after((int64_t)(timeout * 1e9));
    for (;;) {
        bool cut;
        PyObject *result = wait_once(t, l, deadline ? seconds_left(deadline) : FOREVER, &cut);
        if (!came_to_nothing(l, result)) {
            if (cut)
                bough_foreign_again();
            return result;
        }
        if (!cut && deadline)
            return result;
        drop_result(result);
        if (!cut)
            continue;
        result = last_try(l);
        if (!came_to_nothing(l, result))
            return result;
        drop_result(result);
        if (bp_meet(t) != 0)
            return NULL;
    }
}

/* ---- the caller's arguments -------------------------------------------------------------------------------------- */

struct wanted {
    bool wait;
    double timeout; /* negative: no limit */
};

/* Returns false for an invalid timeout: the original method raises its usual exception. */
static bool read_timeout(PyObject *timeout, bool none_is_forever, struct wanted *wanted)
{
    if (!timeout || (none_is_forever && timeout == Py_None)) {
        wanted->timeout = -1;
        return true;
    }
    wanted->timeout = PyFloat_AsDouble(timeout);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return wanted->timeout >= 0 ? wanted->timeout < FOREVER : wanted->timeout == -1 && !none_is_forever;
}

/* `names`: of the keyword arguments, whose values follow the positional arguments; NULL: there are none. */
static bool read_wanted(PyObject *const *args, Py_ssize_t count, PyObject *names, const char *wait_name,
                        struct wanted *wanted)
{
    PyObject *wait = count > 0 ? args[0] : NULL, *timeout = count > 1 ? args[1] : NULL;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, i));
        PyObject **to = name && strcmp(name, wait_name) == 0   ? &wait
                        : name && strcmp(name, "timeout") == 0 ? &timeout
                                                               : NULL;
        if (!to || *to)
            return PyErr_Clear(), false;
        *to = args[count + i];
    }
    int truth = wait ? PyObject_IsTrue(wait) : 1;
    if (truth < 0 || count > 2)
        return PyErr_Clear(), false;
    wanted->wait = truth;
    return read_timeout(timeout, strcmp(wait_name, "block") == 0, wanted);
}

/* ---- functions that must not fail -------------------------------------------------------------------------------- */

/* Python functions that take a lock only for a short time, to release, notify or start something, and that can't report
 * a failure to do so (rule 9). */
static PyObject **never_interrupted;
static Py_ssize_t never_interrupted_count;
enum { FRAMES_ABOVE = 4 }; /* Thread.start(), Event.wait(), Condition.wait() */

static bool is_never_interrupted(const PyCodeObject *code)
{
    for (Py_ssize_t i = 0; i < never_interrupted_count; i++)
        if (never_interrupted[i] == (const PyObject *)code)
            return true;
    return false;
}

/* Evaluated only if an opted-in thread is about to wait. */
static bool must_not_fail(void)
{
    PyFrameObject *frame = PyEval_GetFrame();
    bool found = false;
    Py_XINCREF(frame);
    for (int i = 0; frame && !found && i < FRAMES_ABOVE; i++) {
        PyFrameObject *outer = PyFrame_GetBack(frame);
        PyCodeObject *code = PyFrame_GetCode(frame);
        found = is_never_interrupted(code);
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = outer;
    }
    Py_XDECREF(frame);
    return found;
}

static PyObject *set_never_interrupted(PyObject *module, PyObject *codes)
{
    Py_ssize_t count = PyList_Check(codes) ? PyList_GET_SIZE(codes) : -1;
    PyObject **array = count >= 0 ? PyMem_Calloc((size_t)count + 1, sizeof *array) : NULL;
    (void)module;
    if (!array)
        return count < 0 ? (PyErr_SetString(PyExc_TypeError, "expected a list of code objects"), NULL)
                         : PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++)
        array[i] = Py_NewRef(PyList_GET_ITEM(codes, i));
    PyObject **before = never_interrupted;
    Py_ssize_t before_count = never_interrupted_count;
    never_interrupted = array;
    never_interrupted_count = count;
    for (Py_ssize_t i = 0; i < before_count; i++)
        Py_DECREF(before[i]);
    PyMem_Free(before);
    Py_RETURN_NONE;
}

PyMethodDef bp_lock_methods[] = {
    {"set_never_interrupted", set_never_interrupted, METH_O,
     PyDoc_STR("set_never_interrupted(codes): Python functions whose lock waits, up to 3 calls deep, never fail.")},
    {0},
};

/* ---- for lock_methods.c ------------------------------------------------------------------------------------------ */

int bp_locks_init(void)
{
    PyObject *queue = empty_error ? NULL : PyImport_ImportModule("_queue");
    if (queue)
        empty_error = PyObject_GetAttrString(queue, "Empty");
    Py_XDECREF(queue);
    return empty_error ? 0 : -1;
}

static bool has_opted_in(void)
{
    return bp_me && bp_me->kinds && bough_foreign();
}

/* `result`: the result of the attempt without waiting. */
static PyObject *wait_after(const struct bp_lock *l, PyObject *result, double timeout)
{
    if (!came_to_nothing(l, result))
        return result;
    drop_result(result);
    return must_not_fail() ? NULL : wait_for(bp_me, l, timeout);
}

PyObject *bp_wait_on(const struct bp_lock *l, PyObject *result)
{
    if (has_opted_in())
        return wait_after(l, result, -1);
    if (came_to_nothing(l, result)) {
        drop_result(result);
        return NULL;
    }
    return result;
}

PyObject *bp_wait(const struct bp_lock *l, const char *wait_name, PyObject *const *args, Py_ssize_t count,
                  PyObject *names)
{
    struct wanted wanted;
    if (!has_opted_in() || !read_wanted(args, count, names, wait_name, &wanted))
        return NULL;
    if (!wanted.wait || wanted.timeout == 0)
        return NULL;
    return wait_after(l, call_waiting(l, false, 0), wanted.timeout);
}
