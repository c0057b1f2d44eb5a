/* SPDX-License-Identifier: MIT */
/*
 * Runs the children of branches: Python functions, on threads of the library.
 *
 * The child's function is called from C, so that no Python frame of bough lies outside its frames. Such a frame would
 * live on in tracebacks and close a cycle of references: from the frame to the Child, to the exception, to the
 * traceback. The steps:
 *
 *      the child becomes threading's current thread, and opts in
 *      the function, in its context
 *      its outcome: success, or _ends(result, exception) -> an error number; it opts out
 *      close() of each object to close, whatever has happened; _failed(exception)
 *      the child is removed from its branch
 *
 * The methods with an underscore are in _child.py, for children that fail.
 */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "raise/raise.h"
#include "branch/branch.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Objects of threading and _child.py; set once a child has begun. */
static PyObject *threading, *thread_class, *get_trace, *get_profile, *ok;

static void wake_waiters(const _Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void child_ends(struct bp_branch *b)
{
    if (__atomic_sub_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST) == 0)
        wake_waiters(&b->running);
    bp_branch_release(b);
}

/* ---- it begins --------------------------------------------------------------------------------------------------- */

static int load_threading(void)
{
    if (!ok && !(ok = PyUnicode_InternFromString("ok")))
        return -1;
    if (!threading && !(threading = PyImport_ImportModule("threading")))
        return -1;
    if (!get_trace && !(get_trace = PyObject_GetAttrString(threading, "gettrace")))
        return -1;
    if (!get_profile && !(get_profile = PyObject_GetAttrString(threading, "getprofile")))
        return -1;
    return thread_class || (thread_class = bp_load("bough._child", "_ChildThread")) ? 0 : -1;
}

static PyObject *active_threads(void)
{
    static PyObject *name;
    if (!name && !(name = PyUnicode_InternFromString("_active")))
        return NULL;
    return PyObject_GetAttr(threading, name);
}

/* Does not call __init__(), which creates attributes that are rarely used. */
static PyObject *new_thread_object(struct bp_child_object *c)
{
    static PyObject *name;
    if (!name && !(name = PyUnicode_InternFromString("_child")))
        return NULL;
    PyObject *thread = ((PyTypeObject *)thread_class)->tp_alloc((PyTypeObject *)thread_class, 0);
    if (thread && PyObject_SetAttr(thread, name, (PyObject *)c) != 0)
        Py_CLEAR(thread);
    return thread;
}

/* Registers the child's object for current_thread() and enumerate(). */
static int be_current_thread(struct bp_child_object *c)
{
    PyObject *active = active_threads(), *ident = PyLong_FromUnsignedLong(c->ident);
    PyObject *thread = active && ident ? new_thread_object(c) : NULL;
    int error = thread ? PyDict_SetItem(active, ident, thread) : -1;
    Py_XDECREF(thread);
    Py_XDECREF(ident);
    Py_XDECREF(active);
    return error;
}

static void be_no_thread(const struct bp_child_object *c)
{
    PyObject *active = active_threads(), *ident = PyLong_FromUnsignedLong(c->ident);
    if (!active || !ident || PyDict_DelItem(active, ident) != 0)
        PyErr_Clear(); /* the program may have removed the entry */
    Py_XDECREF(ident);
    Py_XDECREF(active);
}

static int is_set(PyObject *function)
{
    PyObject *hook = PyObject_CallNoArgs(function);
    int some = hook ? hook != Py_None : -1;
    Py_XDECREF(hook);
    return some;
}

/* Sets the functions of threading.settrace() and setprofile(), which apply to threads that begin later. */
static int trace_as_threads_are(PyObject *child)
{
    int traces = is_set(get_trace), profiles = traces >= 0 ? is_set(get_profile) : -1;
    if (profiles < 0)
        return -1;
    if (!traces && !profiles)
        return 0;
    PyObject *result = PyObject_CallMethod(child, "_trace_as_threads_are", NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* After posting an exception, the poster checks whether the child has an ident. So the child sets its ident first, and
 * then checks for such posts. */
static int raise_posted(struct bp_child_object *c)
{
    if (!c->posted || PyList_GET_SIZE(c->posted) == 0)
        return 0;
    PyObject *result = PyObject_CallMethod((PyObject *)c, "_raise_posted", NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int child_begins(struct bp_child_object *c, struct bp_thread *t)
{
    c->handle = (uintptr_t)t->handle;
    c->native_id = (unsigned long)syscall(SYS_gettid);
    c->forks = bp_forks();
    c->ident = PyThread_get_thread_ident();
    Py_XSETREF(t->child, Py_NewRef((PyObject *)c));
    if (load_threading() != 0 || raise_posted(c) != 0 || be_current_thread(c) != 0 ||
        trace_as_threads_are((PyObject *)c) != 0)
        return -1;
    return bp_taking_part_begin(t);
}

/* ---- its function ------------------------------------------------------------------------------------------------ */

/* Does what Context.run() does. */
static PyObject *call_in_context(PyObject *context, PyObject *function, PyObject *args, PyObject *keywords)
{
    if (PyContext_Enter(context) != 0)
        return NULL;
    PyObject *result = PyObject_Call(function, args, keywords);
    if (PyContext_Exit(context) != 0)
        Py_CLEAR(result);
    return result;
}

/* The function's frames and arguments are freed before its outcome is examined. */
static PyObject *call_function(struct bp_child_object *c, struct bp_thread *t)
{
    PyObject *result = NULL;
    if (child_begins(c, t) == 0) {
        PyObject *function = Py_NewRef(c->function), *args = Py_NewRef(c->args), *keywords = Py_XNewRef(c->keywords),
                 *context = Py_NewRef(c->context);
        bp_child_drop_call(c);
        result = call_in_context(context, function, args, keywords);
        Py_DECREF(context);
        Py_XDECREF(keywords);
        Py_DECREF(args);
        Py_DECREF(function);
    }
    bp_child_drop_call(c);
    return result;
}

/* The error number that a method of the child has returned; EIO, if the method has failed. */
static int error_number_of(PyObject *child, PyObject *answer)
{
    int code = answer ? (int)PyLong_AsLong(answer) : EIO;
    Py_XDECREF(answer);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(child);
        code = EIO;
    }
    return code;
}

/* Has the function returned something other than a coroutine, and left no branch open? */
static bool child_goes_well(const struct bp_thread *t, const PyObject *result)
{
    return t && result && !PyCoro_CheckExact(result) && !t->branches;
}

static int call_and_end(struct bp_child_object *c)
{
    PyObject *result = call_function(c, bp_me), *exception = result ? NULL : bp_taken_exception();
    if (bp_me) {
        if (exception)
            Py_SETREF(exception, bp_as_interrupt(bp_me, exception));
        bp_drop_posted(bp_me); /* the exception comes too late */
    }
    if (child_goes_well(bp_me, result)) {
        bp_leave_open(bp_me, 0);
        Py_XSETREF(c->outcome, Py_NewRef(ok));
        Py_XSETREF(c->result, result);
        return 0;
    }
    PyObject *answer =
        PyObject_CallMethod((PyObject *)c, "_ends", "OO", result ? result : Py_None, exception ? exception : Py_None);
    Py_XDECREF(result);
    Py_XDECREF(exception);
    return error_number_of((PyObject *)c, answer);
}

/* ---- it ends ----------------------------------------------------------------------------------------------------- */

/* A new reference to the next object to close; NULL: no object is left. */
static PyObject *next_to_close(struct bp_child_object *c)
{
    if (!c->closing || !PyList_Check(c->closing) || PyList_GET_SIZE(c->closing) == 0)
        return NULL;
    PyObject *thing = Py_NewRef(PyList_GET_ITEM(c->closing, 0));
    if (PyList_SetSlice(c->closing, 0, 1, NULL) == 0)
        return thing;
    Py_DECREF(thing);
    return NULL;
}

/* Closes each object once (rule 21). An exception of close() is one more failure. */
static int close_all(struct bp_child_object *c)
{
    PyObject *thing, *child = (PyObject *)c;
    int code = 0;
    while ((thing = next_to_close(c))) {
        PyObject *result = PyObject_CallMethod(thing, "close", NULL);
        PyObject *exception = result ? NULL : bp_taken_exception();
        if (exception)
            code = error_number_of(child, PyObject_CallMethod(child, "_failed", "O", exception));
        Py_XDECREF(exception);
        Py_XDECREF(result);
        Py_DECREF(thing);
    }
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(child);
    return code;
}

/* The child's trace function must not trace bough's code, nor be set when the thread state is cleared. */
static void trace_no_more(void)
{
    const PyThreadState *ts = PyThreadState_Get();
    if (ts->c_tracefunc)
        PyEval_SetTrace(NULL, NULL);
    if (ts->c_profilefunc)
        PyEval_SetProfile(NULL, NULL);
}

static int is_over(struct bp_child_object *c)
{
    int code = 0;
    trace_no_more();
    if (c->forks != bp_forks())
        code = error_number_of((PyObject *)c, PyObject_CallMethod((PyObject *)c, "_end_forked_process", NULL));
    be_no_thread(c);
    if (bp_child_forget(c) != 0) {
        PyErr_WriteUnraisable((PyObject *)c);
        code = EIO;
    }
    if (bp_me)
        Py_CLEAR(bp_me->child);
    return code;
}

static int run_python(struct bp_child_object *c)
{
    if (!bp_self()) {
        PyErr_WriteUnraisable((PyObject *)c);
        return EIO;
    }
    int code = call_and_end(c), closed = close_all(c), over = is_over(c);
    if (bp_me)
        bp_cause_forget(bp_me);
    return code ? code : closed ? closed : over;
}

static int child_main(void *value)
{
    struct bp_child_object *c = value;
    struct bp_branch *b = c->runs_in;
    PyGILState_STATE state = PyGILState_Ensure();
    int code = run_python(c);
    Py_DECREF(c);
    PyGILState_Release(state);
    prctl(PR_SET_NAME, "bough-worker"); /* before waiting threads continue, and may count threads: count.c */
    child_ends(b);
    return code;
}

/* ---- it is started ----------------------------------------------------------------------------------------------- */

int bp_child_start(struct bp_branch *b, struct bp_child_object *c, const char *name)
{
    c->runs_in = b;
    Py_INCREF(c);
    bp_branch_here(b);
    __atomic_add_fetch((int *)&b->users, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST);
    struct bough_child_options options = {.name = name};
    const bough_thread *child;
    int error;
    Py_BEGIN_ALLOW_THREADS
    child = bough_add_with(b->handle, child_main, bough_arg(c), &options);
    error = errno;
    Py_END_ALLOW_THREADS
    if (child) {
        c->handle = (uintptr_t)child; /* before any bytecode runs: if that raises, add() sees that the child started */
        return 0;
    }
    Py_DECREF(c);
    child_ends(b);
    if (error == ECANCELED)
        return 0;
    errno = error;
    bp_error(error == EPERM   ? "only the branch's owner and threads below it may add to it"
             : error == ESRCH ? "the branch has ended"
                              : "no child could be started");
    return -1;
}
