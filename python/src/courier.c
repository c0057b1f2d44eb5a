/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous delivery: into a thread that runs bytecode and comes to no point.
 *
 * The courier is one thread of ours, started on first need. It takes the interpreter lock for each look, so nobody who
 * posts depends on it, nor does the ladder. It sleeps in poll(): on a descriptor of its own, which posters ring, and on the
 * event descriptors of threads that want to be told of all their interrupts, wherever those come from.
 *
 *      there is something to raise: an instance posted by raise_exc(), or a pending interrupt of an asynchronous thread
 *        |  50 ms: a point or a blocking call may come first (rule 14)
 *      may it come in here? not in a critical section, nor __enter__, __exit__, finally, a finalizer (rule 43): see
 *        |  _place.py. If not: look again in 5 ms
 *      PyThreadState_SetAsyncExc(Carrier) ---> the thread's next look at its eval breaker, in the frame that was looked at:
 *                                              it held the lock for us then, and comes from where it gave it away
 *      the interpreter makes an instance of Carrier -------> carrier.c gives the instance that is meant (rule 44)
 *
 * An exception that a point raises first takes the armed one back, with the lock held: nothing is raised twice.
 */
#include "state.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FIRST_A_POINT = 50, LOOK_AGAIN = 5 }; /* ms */

static pthread_t thread;
static bool running, stopping;
static int bell = -1;

/* ---- the exception that is armed --------------------------------------------------------------------------------- */

void bp_disarm(struct bp_thread *t)
{
    if (t->armed)
        bp_carrier_withdraw(t);
    t->armed = t->awaited = false;
    t->due_since = 0;
}

void bp_drop_posted(struct bp_thread *t)
{
    if (!t->exception && !t->armed)
        return;
    Py_CLEAR(t->exception);
    bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_disarm(t);
}

void bp_hold(struct bp_thread *t)
{
    bp_carrier_withdraw(t);
    t->armed = false;
}

/* ---- one thread ------------------------------------------------------------------------------------------------ */

static bool place_admits(PyFrameObject *frame)
{
    PyObject *answer = PyObject_CallOneArg(bp.place, (PyObject *)frame);
    bool yes = answer == Py_True;
    if (!answer)
        PyErr_WriteUnraisable(bp.place);
    Py_XDECREF(answer);
    return yes;
}

/* By the thread itself. */
bool bp_place_admits_here(const struct bp_thread *t)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    bool yes = frame && bp.place && bp_admits(t) && place_admits(frame);
    Py_XDECREF(frame);
    return yes;
}

/* Asking may give the interpreter lock away, and then the thread runs on: what was found counts only where it still stands
 * at the same instruction of the same frame. From here to the arming nobody gets the lock. */
static bool still_there(struct bp_thread *t, PyFrameObject *frame, int instruction)
{
    if (!bp_thread_lives(t))
        return false;
    PyFrameObject *now = PyThreadState_GetFrame(t->tstate);
    bool same = now == frame && PyFrame_GetLasti(frame) == instruction;
    Py_XDECREF(now);
    return same;
}

/* By levels, and by the place its bytecode is at. What can't be asked lets nothing in. `t` may be gone when this comes back
 * false. */
static bool may_come_in(struct bp_thread *t)
{
    if (!bp_admits(t) || !bp.place || !bp_thread_lives(t))
        return false;
    PyFrameObject *frame = PyThreadState_GetFrame(t->tstate);
    if (!frame)
        return false;
    int instruction = PyFrame_GetLasti(frame);
    unsigned changes = bp.changes;
    bool yes = place_admits(frame) && changes == bp.changes && still_there(t, frame, instruction) && bp_admits(t);
    Py_DECREF(frame);
    return yes;
}

static void look_at_event(struct bp_thread *t)
{
    struct pollfd fd = {.fd = t->event_fd, .events = POLLIN};
    bool due = t->event_fd >= 0 && poll(&fd, 1, 0) == 1;
    bool news = due && !t->due;
    t->due = due;
    if (!news || !t->on_due)
        return;
    PyObject *result = PyObject_CallNoArgs(t->on_due);
    if (!result)
        PyErr_WriteUnraisable(t->on_due);
    Py_XDECREF(result);
}

/* Its exception has come, and nobody has made an instance of it: C code has dropped it before (Python 3.11 makes it when it
 * is caught). It may be on its way still, so not at once; and the instance, once there, takes back what was armed again. */
static bool was_swallowed(const struct bp_thread *t)
{
    return bough_now() > t->armed_at + BOUGH_MS(FIRST_A_POINT) && bp_thread_lives(t) && !t->tstate->async_exc;
}

/* In how many ms it is to be looked at again; -1: not before something happens. */
static int look_at(struct bp_thread *t)
{
    unsigned changes = bp.changes;
    look_at_event(t);
    if (changes != bp.changes)
        return LOOK_AGAIN; /* it may have ended meanwhile */
    bool sticky = t->asynchronous && t->due, wanted = t->exception || sticky;
    t->awaited &= wanted;
    if (t->armed && was_swallowed(t))
        t->armed = false;
    if (!wanted || t->armed) {
        t->due_since = wanted ? t->due_since : 0;
        return t->due || t->armed ? FIRST_A_POINT
                                  : -1; /* a level, which would end each poll(): looked at now and then instead */
    }
    bough_time now = bough_now();
    if (!t->due_since)
        t->due_since = now;
    bough_time from = t->due_since + BOUGH_MS(FIRST_A_POINT);
    if (!t->exception && from < t->again)
        from = t->again;
    t->awaited = false;
    if (now < from)
        return (int)((from - now) / 1000000) + 1;
    if (bp_monitor_pauses(now - from))
        return LOOK_AGAIN;
    if (bp_thread_lives(t) && bp_monitor(true) == 0)
        t->awaited = true;
    else if (may_come_in(t) && PyThreadState_SetAsyncExc(t->ident, bp_carrier) == 1)
        t->armed = true, t->armed_at = now;
    return LOOK_AGAIN;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int sooner(int a, int b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void monitor_no_longer(void)
{
    const struct bp_thread *t = bp.threads;
    while (t && !t->awaited)
        t = t->next;
    if (!t)
        bp_monitor(false);
}

/* A look may call Python code, which lets others run: then the list is not what it was, and is begun again. */
static int look_at_each(void)
{
    static unsigned round;
    int timeout = -1;
    round++;
    bp_prune();
    for (struct bp_thread *t = bp.threads; t;) {
        unsigned changes = bp.changes;
        if (t->looked != round) {
            t->looked = round;
            timeout = sooner(timeout, look_at(t));
        }
        t = changes == bp.changes ? t->next : bp.threads;
    }
    monitor_no_longer();
    return timeout;
}

/* The descriptors to wait for, ours first; NULL if there is no memory, and then time alone counts. */
static struct pollfd *look_at_all(nfds_t *count, int *timeout)
{
    nfds_t n = 1;
    *timeout = look_at_each();
    for (struct bp_thread *t = bp.threads; t; t = t->next)
        n += t->event_fd >= 0 && !t->due;
    struct pollfd *fds = PyMem_RawMalloc(n * sizeof *fds);
    *count = 0;
    if (!fds) {
        *timeout = sooner(*timeout, FIRST_A_POINT);
        return NULL;
    }
    fds[(*count)++] = (struct pollfd){.fd = bell, .events = POLLIN};
    for (struct bp_thread *t = bp.threads; t && *count < n; t = t->next)
        if (t->event_fd >= 0 && !t->due)
            fds[(*count)++] = (struct pollfd){.fd = t->event_fd, .events = POLLIN};
    return fds;
}

/* Its thread state is made once: not for each look, which tracemalloc of Python 3.11 doesn't survive. */
static void *run(void *unused)
{
    uint64_t rings;
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-courier");
    PyGILState_STATE state = PyGILState_Ensure();
    while (!bp_courier_is_over()) {
        nfds_t count;
        int timeout;
        struct pollfd *fds = look_at_all(&count, &timeout);
        PyThreadState *mine = PyEval_SaveThread();
        poll(fds, count, timeout);
        ssize_t heard = read(bell, &rings, sizeof rings);
        (void)heard; /* of ringing or of time, it comes to the same */
        PyMem_RawFree(fds);
        PyEval_RestoreThread(mine);
    }
    PyGILState_Release(state);
    return NULL;
}

static void ring(void)
{
    static const uint64_t one = 1;
    ssize_t written = write(bell, &one, sizeof one);
    (void)written; /* it is full of rings that were not heard yet */
}

static int start(void)
{
    sigset_t all, before;
    /* Here: the courier, and the thread that it looks at, must not wait for an import. */
    PyObject *place = bp_load("bough._place", "admits");
    if (!place)
        return -1;
    Py_XSETREF(bp.place, place);
    if (running)
        return 0; /* by another thread, during the import */
    if (bell < 0 && (bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return (void)bp_error("no descriptor for asynchronous delivery"), -1;
    if (bp_carrier_init() != 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return errno = error, (void)bp_error("no thread for asynchronous delivery"), -1;
    running = true;
    return 0;
}

bool bp_courier_is_over(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_SEQ_CST);
}

bool bp_courier_is(unsigned long ident)
{
    return running && ident == (unsigned long)thread;
}

int bp_courier_need(void)
{
    if (stopping)
        return 0; /* the interpreter ends */
    if (!running && start() != 0)
        return -1;
    ring();
    return 0;
}

/* A forked child has none, and a bell that it shares with its parent. */
static void in_child(void)
{
    running = false;
    if (bell >= 0)
        close(bell);
    bell = -1;
}

int bp_courier_init(void)
{
    static bool registered;
    if (!registered && pthread_atfork(NULL, NULL, in_child) != 0)
        return (void)PyErr_NoMemory(), -1;
    registered = true;
    return 0;
}

/* ---- methods -------------------------------------------------------------------------------------------------------- */

static PyObject *courier_stop(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    __atomic_store_n(&stopping, true, __ATOMIC_SEQ_CST);
    if (running) {
        ring();
        Py_BEGIN_ALLOW_THREADS
        pthread_join(thread, NULL);
        Py_END_ALLOW_THREADS
    }
    running = false;
    Py_RETURN_NONE;
}

/* In a forked process that uses bough: the thread that forked may have asked for it in the parent. */
static PyObject *courier_resume(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    struct bp_thread *t = bp.threads;
    while (t && !t->asynchronous && !t->on_due)
        t = t->next;
    if (t && bp_courier_need() != 0)
        return NULL;
    Py_RETURN_NONE;
}

static int need_event(struct bp_thread *t)
{
    if (t->event_fd < 0 && (t->event_fd = bough_event_fd()) < 0)
        return (void)bp_error("no descriptor that tells of interrupts"), -1;
    return bp_courier_need();
}

/* By the thread itself. */
static PyObject *set_asynchronous(PyObject *module, PyObject *on)
{
    (void)module;
    struct bp_thread *t = bp_self();
    int yes = PyObject_IsTrue(on);
    if (!t || yes < 0 || (yes && need_event(t) != 0))
        return NULL;
    t->asynchronous = yes;
    if (!yes && !t->exception)
        bp_disarm(t);
    Py_RETURN_NONE;
}

static PyObject *set_on_due(PyObject *module, PyObject *callable)
{
    (void)module;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    PyObject *before = t->on_due ? t->on_due : Py_NewRef(Py_None);
    t->on_due = callable == Py_None ? NULL : Py_NewRef(callable);
    t->due = bough_now() < t->told_until && bough_interrupted(); /* what is due is news if nobody has heard of it */
    if (t->on_due && need_event(t) != 0) {
        Py_CLEAR(t->on_due);
        Py_DECREF(before);
        return NULL;
    }
    return before;
}

PyMethodDef bp_courier_methods[] = {
    {"courier_stop", courier_stop, METH_NOARGS, PyDoc_STR("courier_stop(): the interpreter ends.")},
    {"courier_resume", courier_resume, METH_NOARGS, PyDoc_STR("courier_resume(): after a fork, if it is needed.")},
    {"set_asynchronous", set_asynchronous, METH_O,
     PyDoc_STR("set_asynchronous(on): interrupts come anywhere in the calling thread's bytecode.")},
    {"set_on_due", set_on_due, METH_O,
     PyDoc_STR("set_on_due(callable): called, on another thread, when an interrupt becomes due for the calling one. "
               "Returns the one before, or None.")},
    {0},
};
