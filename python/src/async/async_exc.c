/* SPDX-License-Identifier: MIT */
/*
 * The async thread, bough-async, raises exceptions in threads that run bytecode and reach no interruption point. It
 * arms the interpreter's asynchronous exception (PyThreadState_SetAsyncExc()).
 *
 * It is started on first need. Because it takes the GIL for each look, neither posters nor the ladder depend on it. It
 * sleeps in epoll_wait(): on its bell, an eventfd that posters write to, and on the event descriptors of
 * asynchronous threads, which become readable at any interrupt. It keeps a list of the threads with something to do,
 * and examines no other thread: a thread with nothing due costs nothing. delivery.c examines one thread.
 */
#include "base/base.h"
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"
#include "api/module.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 64 };

/* The data that epoll reports: a thread's identity, and the clock of its processor time, which is read before anything
 * else (turn.c). For the bell both are 0. */
union event_data {
    struct {
        uint32_t id; /* the lower half */
        int32_t clock;
    } of;
    uint64_t u64;
};

static pthread_t thread;
static bool running;
static int bell = -1, descriptors = -1; /* `descriptors`: the epoll instance */
static bool rung;                       /* the bell was rung, and the async thread has not woken since */
static struct bp_thread *active;        /* the threads to examine */
static struct bp_thread *next_look;     /* the next of them in this round */
static unsigned long wakes, looked;     /* for tests */

/* ---- the threads to examine -------------------------------------------------------------------------------------- */

static void activate(struct bp_thread *t)
{
    if (t->look.listed)
        return;
    t->look.listed = true;
    t->look.before = NULL;
    t->look.next = active;
    if (active)
        active->look.before = t;
    active = t;
}

static void deactivate(struct bp_thread *t)
{
    if (!t->look.listed)
        return;
    t->look.listed = false;
    if (next_look == t)
        next_look = t->look.next;
    if (t->look.next)
        t->look.next->look.before = t->look.before;
    if (t->look.before)
        t->look.before->look.next = t->look.next;
    else
        active = t->look.next;
}

static int watch_descriptor(const struct bp_thread *t)
{
    union event_data data = {.of = {(uint32_t)t->id, bp_turn_clock(t)}};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = data.u64};
    if (epoll_ctl(descriptors, EPOLL_CTL_ADD, t->event_fd, &event) != 0 && errno != EEXIST)
        return (void)bp_error("out of memory while waiting for interrupts"), -1;
    return 0;
}

void bp_async_exc_forget(struct bp_thread *t)
{
    deactivate(t);
    if (t->event_fd >= 0 && descriptors >= 0)
        epoll_ctl(descriptors, EPOLL_CTL_DEL, t->event_fd, NULL); /* the descriptor may be closed already */
}

/* ---- examining all threads --------------------------------------------------------------------------------------- */

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* Examining a thread may run Python code, and then other threads run, begin or end. */
static int look_at_each(void)
{
    int timeout = -1;
    bool awaited = false;
    struct bp_thread *t;
    for (next_look = active; (t = next_look);) {
        next_look = t->look.next;
        if (!bp_thread_lives(t)) {
            bp_prune();
            continue;
        }
        looked++;
        int again = bp_delivery_look(t);
        if (again < 0)
            deactivate(t);
        timeout = sooner(timeout, again);
    }
    for (t = active; t && !awaited; t = t->look.next)
        awaited = t->monitor.awaited;
    if (!awaited)
        bp_monitor_stop();
    return timeout;
}

/* A thread whose interrupt has become due, and its processor time then. */
struct woken {
    uint32_t id;
    int64_t had_run;
};

/* Called without the GIL, see turn.c. Returns the number of threads in `woken`. */
static int read_clocks(const struct epoll_event *events, int count, struct woken *woken)
{
    int threads = 0;
    for (int i = 0; i < count; i++) {
        union event_data data = {.u64 = events[i].data.u64};
        if (data.u64 != 0)
            woken[threads++] = (struct woken){data.of.id, bp_turn_read(data.of.clock)};
    }
    return threads;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t one = ((const struct woken *)a)->id, other = ((const struct woken *)b)->id;
    return (one > other) - (one < other);
}

/* Threads may have ended since their clocks were read, so they are looked up by their numbers. */
static void activate_all(struct woken *woken, int count)
{
    if (count > 0)
        qsort(woken, (size_t)count, sizeof *woken, compare_ids);
    for (struct bp_thread *t = bp.threads; count > 0 && t; t = t->entry.next) {
        const struct woken key = {.id = (uint32_t)t->id}, *found = NULL;
        if (t->event_fd >= 0)
            found = bsearch(&key, woken, (size_t)count, sizeof *woken, compare_ids);
        if (found) {
            bp_turn_due(t, found->had_run);
            activate(t);
        }
    }
}

/* The thread state is created only once: creating one for each round crashes tracemalloc of Python 3.11. */
static void *async_thread(void *unused)
{
    struct epoll_event events[EVENTS];
    struct woken woken[EVENTS];
    uint64_t rings;
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-async");
    PyGILState_STATE state = PyGILState_Ensure();
    bp_c_code_probe();
    while (!bp_is_ending()) {
        int timeout = look_at_each();
        PyThreadState *mine = PyEval_SaveThread();
        int count = read_clocks(events, epoll_wait(descriptors, events, EVENTS, timeout), woken);
        PyEval_RestoreThread(mine);
        wakes++;
        rung = false;
        ssize_t heard = read(bell, &rings, sizeof rings);
        (void)heard; /* it makes no difference whether the bell, another descriptor or the timeout ended the wait */
        activate_all(woken, count);
    }
    PyGILState_Release(state);
    return NULL;
}

static void ring(void)
{
    static const uint64_t one = 1;
    ssize_t written = write(bell, &one, sizeof one);
    (void)written; /* fails only if the counter is full, and then the bell is rung already */
}

static int open_descriptors(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0}; /* the bell */
    if (bell < 0 && (bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return -1;
    if (descriptors >= 0)
        return 0;
    if ((descriptors = epoll_create1(EPOLL_CLOEXEC)) < 0)
        return -1;
    return epoll_ctl(descriptors, EPOLL_CTL_ADD, bell, &event);
}

static int start_thread(void)
{
    sigset_t all, before;
    /* Loaded here, because the async thread, and the thread that it examines, must not wait for an import. */
    PyObject *may_raise_in = bp_load("bough._async_safe", "may_raise_in");
    if (!may_raise_in)
        return -1;
    Py_XSETREF(bp.may_raise_in, may_raise_in);
    if (running)
        return 0; /* another thread has started it during the import */
    if (open_descriptors() != 0)
        return (void)bp_error("cannot create the event descriptor for asynchronous delivery"), -1;
    if (bp_carrier_init() != 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, async_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return errno = error, (void)bp_error("cannot start the thread for asynchronous delivery"), -1;
    pthread_setname_np(thread, "bough-async"); /* also by its creator, because it may not have run yet: count.c */
    running = true;
    return 0;
}

bool bp_async_exc_is(unsigned long ident)
{
    return running && ident == (unsigned long)thread;
}

int bp_async_exc_start(void)
{
    return bp_is_ending() || running ? 0 : start_thread(); /* not while the interpreter ends */
}

void bp_async_exc_need(struct bp_thread *t)
{
    if (bp_thread_lives(t))
        bp_turn_due(t, bp_turn_read(bp_turn_clock(t)));
    activate(t);
    if (running && !rung)
        ring();
    rung = running;
}

static void close_descriptor(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A forked child has no async thread, and shares the bell with its parent. */
static void async_exc_in_child(void)
{
    running = rung = false;
    close_descriptor(&bell);
    close_descriptor(&descriptors);
    for (struct bp_thread *t = bp.threads; t; t = t->entry.next)
        t->look.listed = false;
    active = next_look = NULL;
}

int bp_async_exc_init(void)
{
    static bool registered;
    if (!registered && pthread_atfork(NULL, NULL, async_exc_in_child) != 0)
        return (void)PyErr_NoMemory(), -1;
    registered = true;
    return 0;
}

/* ---- methods ----------------------------------------------------------------------------------------------------- */

static PyObject *async_exc_stop(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    bp_end();
    if (running) {
        ring();
        Py_BEGIN_ALLOW_THREADS
        pthread_join(thread, NULL);
        Py_END_ALLOW_THREADS
    }
    running = false;
    Py_RETURN_NONE;
}

/* Makes interrupts of the calling thread wake the async thread. For one that is pending already, the async thread is
 * woken now: it is due, or becomes due. */
static int need_event(struct bp_thread *t)
{
    if (t->event_fd < 0 && (t->event_fd = bough_event_fd()) < 0)
        return (void)bp_error("cannot create this thread's event descriptor"), -1;
    if (bp_async_exc_start() != 0 || (!bp_is_ending() && watch_descriptor(t) != 0))
        return -1;
    if (bough_interrupted())
        bp_async_exc_need(t);
    return 0;
}

static bool needs_async_exc(const struct bp_thread *t)
{
    return t->event_fd >= 0 && (t->asynchronous || t->due.callable);
}

/* Called in a forked process that uses bough, because the forking thread may have needed the parent's async thread. */
static PyObject *async_exc_resume(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    bool any = false;
    for (const struct bp_thread *t = bp.threads; t && !any; t = t->entry.next)
        any = needs_async_exc(t);
    if (any && bp_async_exc_start() != 0)
        return NULL;
    for (struct bp_thread *t = bp.threads; !bp_is_ending() && t; t = t->entry.next) {
        if (!needs_async_exc(t))
            continue;
        if (watch_descriptor(t) != 0)
            return NULL;
        bp_async_exc_need(t);
    }
    Py_RETURN_NONE;
}

static PyObject *async_exc_counts(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return Py_BuildValue("(kk)", wakes, looked);
}

int bp_set_asynchronous(struct bp_thread *t, bool on)
{
    if (on && need_event(t) != 0)
        return -1;
    bool before = t->asynchronous;
    t->asynchronous = on;
    if (!on && !t->exc.posted)
        bp_disarm(t);
    return before;
}

static PyObject *set_asynchronous(PyObject *module, PyObject *on)
{
    (void)module;
    struct bp_thread *t = bp_self();
    int yes = PyObject_IsTrue(on), before = t && yes >= 0 ? bp_set_asynchronous(t, yes) : -1;
    return before < 0 ? NULL : PyBool_FromLong(before);
}

static PyObject *set_on_due(PyObject *module, PyObject *callable)
{
    (void)module;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    PyObject *before = t->due.callable ? t->due.callable : Py_NewRef(Py_None);
    t->due.callable = callable == Py_None ? NULL : Py_NewRef(callable);
    struct bough_record why = {0};
    /* A record that was raised a short time ago is not reported again. */
    t->due.is_set = bough_now() < t->grace.until && bough_reason(&why) == 0;
    t->due.record = (struct bp_raised){why.target, why.since, why.kind, why.rung, 0};
    if (t->due.callable && need_event(t) != 0) {
        Py_SETREF(t->due.callable, before == Py_None ? NULL : Py_NewRef(before));
        Py_DECREF(before);
        return NULL;
    }
    return before;
}

static PyObject *get_on_due(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    struct bp_thread *t = bp_self();
    return t ? Py_NewRef(t->due.callable ? t->due.callable : Py_None) : NULL;
}

static PyObject *signals_raise(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(bp_signals_raise());
}

PyMethodDef bp_async_exc_methods[] = {
    {"signals_raise", signals_raise, METH_NOARGS,
     PyDoc_STR(
         "signals_raise(): whether PyErr_CheckSignals() raises an armed exception; known once the async thread runs.")},
    {"async_exc_stop", async_exc_stop, METH_NOARGS,
     PyDoc_STR("async_exc_stop(): end the async thread, because the interpreter ends.")},
    {"async_exc_counts", async_exc_counts, METH_NOARGS,
     PyDoc_STR(
         "async_exc_counts(): how often the async thread has woken, and how many threads it has examined in all.")},
    {"async_exc_resume", async_exc_resume, METH_NOARGS,
     PyDoc_STR("async_exc_resume(): start the async thread after a fork, if a thread needs it.")},
    {"set_asynchronous", set_asynchronous, METH_O,
     PyDoc_STR(
         "set_asynchronous(on): are interrupts raised anywhere in the calling thread's bytecode? Were they before?")},
    {"set_on_due", set_on_due, METH_O,
     PyDoc_STR("set_on_due(callable): called, on another thread, when an interrupt becomes due for the calling one. "
               "Returns the former callable, or None.")},
    {"get_on_due", get_on_due, METH_NOARGS,
     PyDoc_STR("get_on_due(): the calling thread's callable of set_on_due(), or None.")},
    {0},
};
