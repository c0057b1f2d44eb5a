/* SPDX-License-Identifier: MIT */
/* Reports to a program: of the ladder's steps and of posts, by callbacks; and a signal that writes a dump. */
#include "base/base.h"
#include "thread/thread.h"
#include "api/module.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

/* ---- steps and posts --------------------------------------------------------------------------------------------- */

static PyObject *on_transition, *on_posting;

/* Calls a Python function with an event. Runs on a helper thread of the library, so neither a poster nor the warden
 * waits for it. The Python functions only pass their arguments on, see ladder.py and _log.py. */
static void report_event(PyObject *const *function, PyObject *(*call)(PyObject *, const void *), const void *event)
{
    if (bp_is_ending())
        return;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *callable = Py_XNewRef(*function);
    PyObject *result = callable ? call(callable, event) : NULL;
    if (!result && PyErr_Occurred())
        PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
    Py_XDECREF(callable);
    PyGILState_Release(state);
}

static PyObject *call_with_transition(PyObject *callable, const void *event)
{
    const struct bough_transition *t = event;
    return PyObject_CallFunction(callable, "iiiNNNidKNN", (int)t->kind, t->from, t->to, bp_text(t->name),
                                 bp_text(t->why), bp_text(t->place), (int)t->source, (double)(t->at - t->since) / 1e9,
                                 (unsigned long long)(uintptr_t)t->target, bp_text(t->wider_name), bp_text(t->reason));
}

static void report_transition(const struct bough_transition *t, void *unused)
{
    (void)unused;
    report_event(&on_transition, call_with_transition, t);
}

static PyObject *set_on_transition(PyObject *module, PyObject *callable)
{
    (void)module;
    Py_XSETREF(on_transition, callable == Py_None ? NULL : Py_NewRef(callable));
    if (bough_on_transition(on_transition ? report_transition : NULL, NULL) != 0)
        return bp_error("cannot register the callback for transitions");
    Py_RETURN_NONE;
}

static PyObject *call_with_posting(PyObject *callable, const void *event)
{
    const struct bough_posting *p = event;
    return PyObject_CallFunction(callable, "iNNNI", (int)p->status, bp_record_object(&p->record), bp_text(p->name),
                                 bp_text(p->wider_name), p->lost);
}

static void report_posting(const struct bough_posting *p, void *unused)
{
    (void)unused;
    report_event(&on_posting, call_with_posting, p);
}

/* In a forked process: the callbacks need helpers there, too. */
static PyObject *watch_again(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (on_posting && bough_on_posting(report_posting, NULL) != 0)
        return bp_error("cannot register the callback for posts");
    Py_RETURN_NONE;
}

static PyObject *root(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromVoidPtr((void *)(uintptr_t)bough_root());
}

static PyObject *set_on_posting(PyObject *module, PyObject *callable)
{
    (void)module;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = bough_on_posting(NULL, NULL); /* the former callback gets the posts up to now */
    Py_END_ALLOW_THREADS
    Py_XSETREF(on_posting, callable == Py_None ? NULL : Py_NewRef(callable));
    if (error || (on_posting && bough_on_posting(report_posting, NULL) != 0))
        return bp_error("cannot register the callback for posts");
    Py_RETURN_NONE;
}

/* Called by the thread that writes the log: no signal handler runs on it, and count.c looks for its name. */
static PyObject *be_log_thread(PyObject *module, PyObject *none)
{
    sigset_t all;
    (void)module, (void)none;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "bough-log");
    Py_RETURN_NONE;
}

/* ---- a signal that writes a dump ------------------------------------------------------------------------------- */

static PyObject *dump_on_signal(PyObject *module, PyObject *args)
{
    int signo, fd, all_threads, chain;
    (void)module;
    if (!PyArg_ParseTuple(args, "iipp:dump_on_signal", &signo, &fd, &all_threads, &chain))
        return NULL;
    unsigned flags = (all_threads ? 0 : BOUGH_DUMP_THREAD) | (chain ? BOUGH_DUMP_CHAIN : 0);
    if (bough_dump_on_signal(signo, fd, flags) == 0)
        Py_RETURN_NONE;
    if (errno == EINVAL)
        return PyErr_Format(
            PyExc_RuntimeError,
            "signal %d can't be registered: it can't be caught, or the library uses it. Use another one, such as SIGUSR1",
            signo);
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *dump_on_signal_undo(PyObject *module, PyObject *args)
{
    int signo;
    (void)module;
    if (!PyArg_ParseTuple(args, "i:dump_on_signal_undo", &signo))
        return NULL;
    return PyBool_FromLong(bough_dump_on_signal_undo(signo));
}

PyMethodDef bp_watching_methods[] = {
    {"set_on_transition", set_on_transition, METH_O, PyDoc_STR("set_on_transition(callable): called at each step.")},
    {"set_on_posting", set_on_posting, METH_O, PyDoc_STR("set_on_posting(callable): called for each post.")},
    {"watch_again", watch_again, METH_NOARGS,
     PyDoc_STR("watch_again(): register the callbacks again in a forked process that uses bough.")},
    {"root", root, METH_NOARGS, PyDoc_STR("root(): the handle of the branch around everything.")},
    {"be_log_thread", be_log_thread, METH_NOARGS, PyDoc_STR("be_log_thread(): the calling thread is bough-log.")},
    {"dump_on_signal", dump_on_signal, METH_VARARGS, PyDoc_STR("dump_on_signal(signum, fd, all_threads, chain)")},
    {"dump_on_signal_undo", dump_on_signal_undo, METH_VARARGS,
     PyDoc_STR("dump_on_signal_undo(signum): whether it was set.")},
    {0},
};
