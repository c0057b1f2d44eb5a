/* SPDX-License-Identifier: MIT */
/*
 * The children of branches: Python functions, on threads of the library's.
 *
 * The child's function is called from here: no Python frame of ours lies below its frames, which outlive it in
 * tracebacks and would hold the Child, which holds the exception, which holds the traceback. On the way:
 *
 *      _begins() -> the function, arguments, keywords; from here on the child takes part
 *      the function
 *      _ends(result, exception) -> an error number; no more does it
 *      close() of each _next_to_close(), whatever has happened; _failed(exception)
 *      _is_over()
 */
#include "branch.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

struct child {
    struct bp_branch *branch;
    PyObject *child;
};

static void wake(const _Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void child_ends(struct child *c)
{
    struct bp_branch *b = c->branch;
    PyMem_RawFree(c);
    if (__atomic_sub_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST) == 0)
        wake(&b->running);
    bp_branch_release(b);
}

/* The function's own frames are gone before it is looked at how it ended. */
static PyObject *call_function(PyObject *child)
{
    PyObject *call = PyObject_CallMethod(child, "_begins", NULL), *result = NULL;
    if (call && PyTuple_Check(call) && PyTuple_GET_SIZE(call) == 3)
        result = PyObject_Call(PyTuple_GET_ITEM(call, 0), PyTuple_GET_ITEM(call, 1), PyTuple_GET_ITEM(call, 2));
    Py_XDECREF(call);
    return result;
}

/* An error number, from a method that returns one. */
static int code_of(PyObject *child, PyObject *answer)
{
    int code = answer ? (int)PyLong_AsLong(answer) : EIO;
    Py_XDECREF(answer);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(child);
        code = EIO;
    }
    return code;
}

static int call_and_end(PyObject *child)
{
    PyObject *result = call_function(child), *exception = result ? NULL : bp_taken_exception();
    if (bp_me) {
        if (exception)
            Py_SETREF(exception, bp_as_interrupt(bp_me, exception));
        bp_drop_posted(bp_me); /* it comes too late */
    }
    PyObject *answer =
        PyObject_CallMethod(child, "_ends", "OO", result ? result : Py_None, exception ? exception : Py_None);
    Py_XDECREF(result);
    Py_XDECREF(exception);
    return code_of(child, answer);
}

/* Each once (rule 21). An error in it is one more failure. */
static int close_all(PyObject *child)
{
    PyObject *thing;
    int code = 0;
    while ((thing = PyObject_CallMethod(child, "_next_to_close", NULL)) && thing != Py_None) {
        PyObject *result = PyObject_CallMethod(thing, "close", NULL);
        PyObject *exception = result ? NULL : bp_taken_exception();
        if (exception)
            code = code_of(child, PyObject_CallMethod(child, "_failed", "O", exception));
        Py_XDECREF(exception);
        Py_XDECREF(result);
        Py_DECREF(thing);
    }
    Py_XDECREF(thing);
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(child);
    return code;
}

static int run_python(PyObject *child)
{
    if (!bp_self()) {
        PyErr_WriteUnraisable(child);
        return EIO;
    }
    int code = call_and_end(child), closed = close_all(child);
    int over = code_of(child, PyObject_CallMethod(child, "_is_over", NULL));
    if (bp_me)
        bp_cause_forget(bp_me);
    return code ? code : closed ? closed : over;
}

static int child_main(void *value)
{
    struct child *c = value;
    PyGILState_STATE state = PyGILState_Ensure();
    int code = run_python(c->child);
    Py_CLEAR(c->child);
    PyGILState_Release(state);
    child_ends(c);
    return code;
}

/* The child has its handle before any bytecode runs: whatever comes out of the next one, it has been started. */
static PyObject *started(PyObject *object, const bough_thread *child)
{
    PyObject *handle = PyLong_FromVoidPtr((void *)(uintptr_t)child);
    if (handle && PyObject_SetAttrString(object, "_handle", handle) != 0)
        Py_CLEAR(handle);
    return handle;
}

/* Returns the child's handle; None: the branch is marked, and nothing has started. */
static PyObject *branch_add(PyObject *module, PyObject *args)
{
    PyObject *capsule, *object;
    const char *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOs:branch_add", &capsule, &object, &name))
        return NULL;
    struct bp_branch *b = bp_branch_of(capsule);
    struct child *c = b ? PyMem_RawCalloc(1, sizeof *c) : NULL;
    if (!c)
        return b ? PyErr_NoMemory() : NULL;
    *c = (struct child){b, Py_NewRef(object)};
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
    if (child)
        return started(object, child);
    Py_DECREF(c->child);
    child_ends(c);
    if (error == ECANCELED)
        Py_RETURN_NONE;
    errno = error;
    return bp_error(error == EPERM   ? "only the branch's owner and threads below it may add to it"
                    : error == ESRCH ? "the branch has ended"
                                     : "no child could be started");
}

PyMethodDef bp_child_methods[] = {
    {"branch_add", branch_add, METH_VARARGS,
     PyDoc_STR("branch_add(branch, child, name): runs a Child. Its handle; None: the branch is marked.")},
    {0},
};
