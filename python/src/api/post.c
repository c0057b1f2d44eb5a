/* SPDX-License-Identifier: MIT */
/* Posts interrupts and exceptions: to threads, by their number, and to branches and the root, by their handle. */
#include "base/base.h"
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"
#include "api/module.h"

#include <errno.h>

/* `reason` is text or None. -1 with TypeError. */
static int read_reason(PyObject *reason, const char **text)
{
    *text = NULL;
    if (!reason || reason == Py_None)
        return 0;
    *text = PyUnicode_AsUTF8(reason);
    return *text ? 0 : -1;
}

/* A thread that can't be made known to the library is interrupted at its first use of bough. */
static PyObject *interrupt_thread(PyObject *module, PyObject *args)
{
    unsigned long long id;
    PyObject *reason;
    const char *text;
    (void)module;
    if (!PyArg_ParseTuple(args, "KO:interrupt_thread", &id, &reason) || read_reason(reason, &text) != 0)
        return NULL;
    struct bp_thread *t = bp_thread_of_id(id);
    if (t && t->asynchronous && bp_async_exc_start() != 0)
        return NULL;
    if (t && t->asynchronous)
        t = bp_thread_of_id(id);
    if (!t)
        return NULL;
    bp_thread_show(t);
    if (!t->handle && bp_queue(t, reason) != 0)
        return NULL;
    if (t->handle && bough_interrupt(t->handle, text) != 0)
        return bp_not_alive("the thread has ended"), NULL;
    if (t->asynchronous)
        bp_async_exc_need(t);
    Py_RETURN_NONE;
}

static PyObject *interrupt_handle(PyObject *module, PyObject *args)
{
    unsigned long long handle;
    PyObject *reason;
    const char *text;
    (void)module;
    if (!PyArg_ParseTuple(args, "KO:interrupt_handle", &handle, &reason) || read_reason(reason, &text) != 0)
        return NULL;
    bough_target target = handle ? (bough_target)(uintptr_t)handle : BOUGH_ROOT;
    int error;
    Py_BEGIN_ALLOW_THREADS /* because the interrupt may wake thousands of threads */
    error = bough_interrupt(target, text);
    Py_END_ALLOW_THREADS
    if (error != 0)
        Py_RETURN_FALSE; /* the target has ended */
    Py_RETURN_TRUE;
}

static bool is_any_asynchronous(void)
{
    const struct bp_thread *t = bp.threads;
    while (t && !t->asynchronous)
        t = t->entry.next;
    return t != NULL;
}

/* Makes all threads known to the library, including those that have not used bough yet, but not the async thread. */
static int know_all(void)
{
    PyThreadState *ts = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; ts; ts = PyThreadState_Next(ts)) {
        struct bp_thread *t = bp_async_exc_is(ts->thread_id) ? NULL : bp_thread_of_state(ts);
        if (t)
            bp_thread_show(t);
        else if (PyErr_Occurred())
            return -1;
    }
    return 0;
}

/* As interrupt_thread(), for all threads but the caller. */
static PyObject *interrupt_all(PyObject *module, PyObject *reason)
{
    const char *text;
    (void)module;
    struct bp_thread *me = bp_self();
    if (!me || read_reason(reason, &text) != 0 || (is_any_asynchronous() && bp_async_exc_start() != 0) ||
        know_all() != 0)
        return NULL;
    long count = 0;
    for (struct bp_thread *t = bp.threads; t; t = t->entry.next) {
        if (t == me || (!t->handle && bp_queue(t, reason) != 0))
            continue;
        if (t->asynchronous)
            bp_async_exc_need(t);
        count += t->handle == NULL;
    }
    int known;
    Py_BEGIN_ALLOW_THREADS
    known = bough_interrupt_all(text);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(count + (known > 0 ? known : 0));
}

/* Posts this exception instance. If another instance was posted before and was not raised yet, only the first one is
 * raised, as with any record (rule 1). The async thread was started before `t` was looked up. */
static PyObject *post_exception(struct bp_thread *t, PyObject *exception)
{
    bp_thread_show(t);
    if (!t->exc.posted)
        t->exc.posted = Py_NewRef(exception);
    if (t->handle && bp_post_exception(t) != 0) {
        Py_CLEAR(t->exc.posted);
        return bp_not_alive("the thread has ended"), NULL;
    }
    bp_async_exc_need(t);
    Py_RETURN_TRUE;
}

static PyObject *raise_in(PyObject *module, PyObject *args)
{
    unsigned long long id;
    PyObject *exception;
    (void)module;
    if (!PyArg_ParseTuple(args, "KO:raise_in", &id, &exception))
        return NULL;
    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "exc must be an instance of an exception, got %R", exception), NULL;
    if (bp_async_exc_start() != 0)
        return NULL;
    struct bp_thread *t = bp_thread_of_id(id);
    return t ? post_exception(t, exception) : NULL;
}

/* Called by the thread that the exception was posted to. */
static PyObject *take_exception_back(PyObject *module, PyObject *exception)
{
    struct bp_thread *t = bp_self();
    (void)module;
    if (!t)
        return NULL;
    if (t->exc.posted != exception)
        Py_RETURN_FALSE;
    bp_drop_posted(t);
    Py_RETURN_TRUE;
}

/* Takes a handle and no ident, because a child's ident belongs to its worker, which may run another child by now. */
static PyObject *raise_in_handle(PyObject *module, PyObject *args)
{
    unsigned long long handle;
    PyObject *exception;
    (void)module;
    if (!PyArg_ParseTuple(args, "KO!:raise_in_handle", &handle, PyExc_BaseException, &exception))
        return NULL;
    if (bp_async_exc_start() != 0)
        return NULL;
    struct bp_thread *t = bp.threads;
    while (t && (uintptr_t)t->handle != (uintptr_t)handle)
        t = t->entry.next;
    if (!t)
        Py_RETURN_FALSE;
    return post_exception(t, exception);
}

static PyObject *post_event(PyObject *module, PyObject *args)
{
    struct bough_event event = {0};
    unsigned long long handle;
    int kind;
    (void)module;
    if (!PyArg_ParseTuple(args, "Kisi:post_event", &handle, &kind, &event.reason, &event.signo))
        return NULL;
    event.kind = (enum bough_kind)kind;
    bough_post post;
    Py_BEGIN_ALLOW_THREADS
    post = bough_post_event(handle ? (bough_target)(uintptr_t)handle : BOUGH_ROOT, &event);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(post.record != 0);
}

PyMethodDef bp_post_methods[] = {
    {"interrupt_thread", interrupt_thread, METH_VARARGS,
     PyDoc_STR("interrupt_thread(id, reason): interrupt the thread for which id_of() returned this id.")},
    {"interrupt_handle", interrupt_handle, METH_VARARGS,
     PyDoc_STR("interrupt_handle(handle, reason): interrupt a thread or a branch; 0: the root. Whether it existed.")},
    {"interrupt_all", interrupt_all, METH_O,
     PyDoc_STR("interrupt_all(reason): interrupt every thread but the caller. Returns their number.")},
    {"raise_in", raise_in, METH_VARARGS,
     PyDoc_STR("raise_in(id, exception): raise this instance in the thread for which id_of() returned this id.")},
    {"take_back", take_exception_back, METH_O,
     PyDoc_STR("take_back(exception): withdraw an exception posted to the caller. Whether it was not raised yet.")},
    {"raise_in_handle", raise_in_handle, METH_VARARGS,
     PyDoc_STR("raise_in_handle(handle, exception): as raise_in(), by the thread's handle. Whether it existed.")},
    {"post_event", post_event, METH_VARARGS,
     PyDoc_STR("post_event(handle, kind, reason, signo): to a thread or a branch; 0: the root. Whether it existed.")},
    {0},
};
