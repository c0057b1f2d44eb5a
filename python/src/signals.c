/* SPDX-License-Identifier: MIT */
/*
 * Signals that nobody handles: SIGHUP and SIGTERM (rule 32). Python's own handler is there already, put in by signal.signal()
 * in _signals.py, so that main is told as Python tells it: by an exception, at its next bytecode, or out of a blocking call.
 * In front of it stands the one below, so that all other threads are told at once, also where main is stuck.
 *
 * At the very end the signal is raised again, so that the exit status is the usual one.
 */
#include "state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sigaction pythons[NSIG];

static void on_signal(int signo)
{
    int saved = errno;
    bough_signal_event(signo);
    if (pythons[signo].sa_handler != SIG_DFL && pythons[signo].sa_handler != SIG_IGN)
        pythons[signo].sa_handler(signo);
    errno = saved;
}

static PyObject *stand_before(PyObject *module, PyObject *args)
{
    int signo;
    struct sigaction action;
    (void)module;
    if (!PyArg_ParseTuple(args, "i:stand_before", &signo))
        return NULL;
    if (signo <= 0 || signo >= NSIG || sigaction(signo, NULL, &pythons[signo]) != 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    action = pythons[signo]; /* without SA_RESTART, as Python wants it */
    action.sa_handler = on_signal;
    action.sa_flags |= SA_ONSTACK;
    sigaction(signo, &action, NULL);
    Py_RETURN_NONE;
}

/* The signal that asked everything to stop and was not said to be handled, or 0. */
static int unhandled(void)
{
    struct bough_record why;
    if (syscall(SYS_gettid) != getpid() || !bough_self() || bough_reason(&why) != 0)
        return 0;
    return why.kind == BOUGH_SIGNAL && why.target == BOUGH_ROOT ? why.signo : 0;
}

static void die_of_it(void)
{
    int signo = unhandled();
    if (signo <= 0 || signo >= NSIG)
        return;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    signal(signo, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signo);
}

static PyObject *die_at_the_end(PyObject *module, PyObject *none)
{
    static bool registered;
    (void)module, (void)none;
    if (!registered && Py_AtExit(die_of_it) != 0)
        return PyErr_SetString(PyExc_RuntimeError, "too many functions wait for the interpreter's end"), NULL;
    registered = true;
    Py_RETURN_NONE;
}

static PyObject *unhandled_signal(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLong(unhandled());
}

PyMethodDef bp_signal_methods[] = {
    {"stand_before", stand_before, METH_VARARGS,
     PyDoc_STR("stand_before(signo): interrupt everything, then Python's.")},
    {"die_at_the_end", die_at_the_end, METH_NOARGS,
     PyDoc_STR("die_at_the_end(): of the signal that is unhandled then.")},
    {"unhandled_signal", unhandled_signal, METH_NOARGS, PyDoc_STR("unhandled_signal(): in main; 0 if there is none.")},
    {0},
};
