/* SPDX-License-Identifier: MIT */
/* Further reports for a program, besides the ladder's steps: posts, for the log; and a signal that writes a dump. */
#include "base/state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

/* ---- posts ------------------------------------------------------------------------------------------------------ */

static PyObject *on_posting;

/* A name may come from the kernel, and contain any bytes. */
static PyObject *name_as_text(const char *name)
{
    return PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "replace");
}

/* Runs on a helper of the library: no poster waits for it. The Python function only stores its arguments, see
 * _log.py. */
static void report_posting(const struct bough_posting *p, void *unused)
{
    (void)unused;
    if (bp_is_ending())
        return;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *callable = Py_XNewRef(on_posting);
    PyObject *result = callable ? PyObject_CallFunction(callable, "iNNNI", (int)p->status, bp_record_object(&p->record),
                                                        name_as_text(p->name), name_as_text(p->wider_name), p->lost)
                                : NULL;
    if (!result && PyErr_Occurred())
        PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
    Py_XDECREF(callable);
    PyGILState_Release(state);
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

/* The thread that writes the log: no signal handler runs on it, and its name is in count.c. */
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
    {"set_on_posting", set_on_posting, METH_O, PyDoc_STR("set_on_posting(callable): called for each post.")},
    {"watch_again", watch_again, METH_NOARGS, PyDoc_STR("watch_again(): in a forked process that uses bough.")},
    {"root", root, METH_NOARGS, PyDoc_STR("root(): the handle of the branch around everything.")},
    {"be_log_thread", be_log_thread, METH_NOARGS, PyDoc_STR("be_log_thread(): the calling thread is bough-log.")},
    {"dump_on_signal", dump_on_signal, METH_VARARGS, PyDoc_STR("dump_on_signal(signum, fd, all_threads, chain)")},
    {"dump_on_signal_undo", dump_on_signal_undo, METH_VARARGS,
     PyDoc_STR("dump_on_signal_undo(signum): whether it was set.")},
    {0},
};
