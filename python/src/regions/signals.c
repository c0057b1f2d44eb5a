/* SPDX-License-Identifier: MIT */
/*
 * Signals that the program does not handle: SIGHUP and SIGTERM (rule 32). _signals.py has installed Python's handler by
 * signal.signal(), so main is interrupted as usual in Python: by an exception, at its next bytecode, or in a blocking
 * call. The handler in this file is installed before that one, so that all other threads are interrupted at once, even
 * if main is stuck.
 *
 * When the process ends, the signal is raised again, so that the exit status is the usual one.
 */
#include "base/base.h"
#include "regions/regions.h"
#include "api/module.h"
#include "thread/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bough_thread *main_first; /* not NULL: a signal interrupts only main, and the program decides about the rest */
static struct sigaction pythons[NSIG];
static bool posted[NSIG]; /* has on_signal() run since Python's handler last read this? */

/* The next function of the library adds main to the tree: main gets the name that threading has for it. */
static void adopt_by_name(void)
{
    char name[BP_NAME];
    bp_thread_name(PyThread_get_thread_ident(), name, sizeof name);
    bough_adopt_with(&(struct bough_child_options){.name = *name ? name : NULL}); /* EEXIST: it is in the tree */
}

/* Makes the library take the signals that have their default action, which also starts the ladder's threads before a
 * signal comes. A signal that every thread blocks is not reported, because multiprocessing starts processes that
 * way. */
static PyObject *signals(PyObject *module, PyObject *on)
{
    (void)module;
    if (on == Py_True)
        adopt_by_name();
    int done = on == Py_True ? bough_signals(BOUGH_SIGNALS_QUIET) : bough_signals_undo();
    if (done < 0 && errno != EALREADY && errno != ENOENT)
        return bp_error("cannot install the signal handlers");
    if (on == Py_True && bp_window("signals: the library has them") != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- main is woken until it has run Python's handler ------------------------------------------------------------- */

/*
 * Python's handler runs in main, between bytecodes or when a blocking call has failed with EINTR. A signal that comes
 * right before the call, or to another thread, does not interrupt the call: main would continue to wait, where without
 * bough the process would have ended. So a timer sends the signal to main again, until _on_signal() has run.
 * on_signal() recognises a repetition by its value, and posts no interrupt for it.
 */
enum { FIRST_AGAIN = 10, LAST_AGAIN = 1000 }; /* ms: each time twice as long */

static struct again {
    timer_t timer;
    bool made;
    int after; /* ms; 0: main has run the handler */
} again[NSIG];

static const char is_again;

static void wake_main(struct again *a, int after)
{
    const struct itimerspec time = {.it_value = {after / 1000, after % 1000 * 1000000L}};
    __atomic_store_n(&a->after, after, __ATOMIC_SEQ_CST);
    if (a->made)
        timer_settime(a->timer, 0, &time, NULL);
}

static void make_timer(int signo)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signo;
    event.sigev_value.sival_ptr = (void *)(uintptr_t)&is_again;
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = getpid();
#else
    event._sigev_un._tid = getpid();
#endif
    if (!again[signo].made)
        again[signo].made = timer_create(CLOCK_MONOTONIC, &event, &again[signo].timer) == 0;
}

/* Called in main, also for each repetition. */
static PyObject *signal_taken(PyObject *module, PyObject *number)
{
    long signo = PyLong_AsLong(number);
    (void)module;
    if (signo > 0 && signo < NSIG)
        wake_main(&again[signo], 0);
    else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "signo must be the number of a signal");
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* Called in a signal handler, too. */
static void interrupt_for_signal(int signo)
{
    const struct bough_event event = {
        .kind = BOUGH_SIGNAL, .signo = signo, .reason = signo == SIGHUP ? "SIGHUP" : "SIGTERM"};
    bough_thread *first = __atomic_load_n(&main_first, __ATOMIC_ACQUIRE);
    if (!first || bough_post_event(first, &event).record == 0)
        bough_signal_event(signo);
}

static PyObject *post_signal(PyObject *module, PyObject *number)
{
    long signo = PyLong_AsLong(number);
    (void)module;
    if (PyErr_Occurred())
        return NULL;
    interrupt_for_signal((int)signo);
    Py_RETURN_NONE;
}

static PyObject *signals_come_to_main_first(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    adopt_by_name();
    __atomic_store_n(&main_first, bough_self(), __ATOMIC_RELEASE);
    Py_RETURN_NONE;
}

/* The timer is started before the interpreter records the signal, because Python's handler, which stops the timer, may
 * run at once. */
static void on_signal(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    struct again *a = &again[signo];
    (void)context;
    if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &is_again) {
        int after = __atomic_load_n(&a->after, __ATOMIC_SEQ_CST) * 2;
        if (after)
            wake_main(a, after < LAST_AGAIN ? after : LAST_AGAIN);
    } else {
        __atomic_store_n(&posted[signo], true, __ATOMIC_RELEASE);
        interrupt_for_signal(signo);
        if (pythons[signo].sa_handler != SIG_DFL && pythons[signo].sa_handler != SIG_IGN) {
            wake_main(a, FIRST_AGAIN);
            pythons[signo].sa_handler(signo);
        }
    }
    errno = saved;
}

/* ---- fork: a child that never uses bough has the signals of a program without bough ----------------------------- */

static __thread sigset_t before_fork;

/* The library's fork handlers also block signals and restore the mask, but end before these. */
static void block_for_fork(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_fork);
}

static void after_fork(void)
{
    pthread_sigmask(SIG_SETMASK, &before_fork, NULL);
}

/* Restores the default action, because only signals with that action were taken. */
static void give_back_in_child(void)
{
    struct sigaction now, default_action = {.sa_handler = SIG_DFL};
    main_first = NULL;
    memset(again, 0, sizeof again); /* a forked process has no timers */
    for (int signo = 1; signo < NSIG; signo++)
        if (pythons[signo].sa_handler && sigaction(signo, NULL, &now) == 0 && now.sa_sigaction == on_signal)
            sigaction(signo, &default_action, NULL);
    after_fork();
}

static int give_back_in_children(void)
{
    static bool registered;
    if (!registered && pthread_atfork(block_for_fork, after_fork, give_back_in_child) != 0)
        return (void)PyErr_NoMemory(), -1;
    registered = true;
    return 0;
}

static PyObject *stand_before(PyObject *module, PyObject *args)
{
    int signo;
    struct sigaction action;
    (void)module;
    if (!PyArg_ParseTuple(args, "i:stand_before", &signo) || give_back_in_children() != 0 ||
        bp_window("signals: Python has one") != 0)
        return NULL;
    if (signo <= 0 || signo >= NSIG || sigaction(signo, NULL, &pythons[signo]) != 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    __atomic_store_n(&posted[signo], false, __ATOMIC_RELEASE);
    action = pythons[signo]; /* without SA_RESTART, as Python requires */
    action.sa_sigaction = on_signal;
    action.sa_flags |= SA_ONSTACK | SA_SIGINFO;
    make_timer(signo);
    sigaction(signo, &action, NULL);
    Py_RETURN_NONE;
}

/* False: the signal came when Python's handler was installed, but on_signal() was not yet. */
static PyObject *was_posted(PyObject *module, PyObject *args)
{
    int signo;
    (void)module;
    if (!PyArg_ParseTuple(args, "i:was_posted", &signo))
        return NULL;
    return PyBool_FromLong(signo > 0 && signo < NSIG && __atomic_exchange_n(&posted[signo], false, __ATOMIC_ACQUIRE));
}

int bp_unhandled_signal(void)
{
    struct bough_record why;
    if (!bough_self() || bough_reason(&why) != 0 || why.kind != BOUGH_SIGNAL ||
        (why.target != BOUGH_ROOT && why.target != main_first))
        return 0;
    return syscall(SYS_gettid) == getpid() ? why.signo : 0;
}

static void die_of_signal(void)
{
    int signo = bp_unhandled_signal();
    if (signo <= 0 || signo >= NSIG)
        return;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    fflush(NULL); /* output of extension modules by stdio */
    signal(signo, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signo);
}

static PyObject *die_at_the_end(PyObject *module, PyObject *none)
{
    static bool registered;
    (void)module, (void)none;
    if (!registered && Py_AtExit(die_of_signal) != 0)
        return PyErr_SetString(PyExc_RuntimeError, "too many functions are registered for the interpreter's end"), NULL;
    registered = true;
    Py_RETURN_NONE;
}

static PyObject *clear_exit(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    bough_clear_kind(BOUGH_ROOT, BOUGH_EXIT);
    Py_RETURN_NONE;
}

static int call_it(void *callable)
{
    PyObject *result = PyObject_CallNoArgs(callable);
    Py_DECREF((PyObject *)callable);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *call_in_main(PyObject *module, PyObject *callable)
{
    (void)module;
    if (Py_AddPendingCall(call_it, Py_NewRef(callable)) != 0) {
        Py_DECREF(callable);
        return PyErr_SetString(PyExc_RuntimeError, "too many calls are pending for the main thread"), NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *unhandled_signal(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLong(bp_unhandled_signal());
}

PyMethodDef bp_signal_methods[] = {
    {"signals", signals, METH_O, PyDoc_STR("signals(on): let the library handle signals, or stop that.")},
    {"stand_before", stand_before, METH_VARARGS,
     PyDoc_STR("stand_before(signo): install a handler that posts an interrupt, then calls Python's handler.")},
    {"post_signal", post_signal, METH_O, PyDoc_STR("post_signal(signo): post the interrupt that the signal posts.")},
    {"signals_come_to_main_first", signals_come_to_main_first, METH_NOARGS,
     PyDoc_STR("signals_come_to_main_first(): called in main. From here on a signal interrupts main alone.")},
    {"signal_taken", signal_taken, METH_O,
     PyDoc_STR("signal_taken(signo): main has run Python's handler; wake it for the signal no more.")},
    {"was_posted", was_posted, METH_VARARGS,
     PyDoc_STR("was_posted(signo): has stand_before()'s handler posted an interrupt since the last call?")},
    {"die_at_the_end", die_at_the_end, METH_NOARGS,
     PyDoc_STR("die_at_the_end(): when the process ends, raise the signal that is unhandled then.")},
    {"clear_exit", clear_exit, METH_NOARGS,
     PyDoc_STR("clear_exit(): clear the exit's interrupt, because all threads that it was to end have ended.")},
    {"call_in_main", call_in_main, METH_O,
     PyDoc_STR("call_in_main(callable): call it at the main thread's next bytecode.")},
    {"unhandled_signal", unhandled_signal, METH_NOARGS, PyDoc_STR("unhandled_signal(): called in main; 0: none.")},
    {0},
};
