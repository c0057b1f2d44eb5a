/* SPDX-License-Identifier: MIT */
/* Adjusts the entries at a fork. The child has a new arena, and posts to the parent's threads do not concern it. */
#include "base/base.h"
#include "thread/thread.h"
#include "raise/raise.h"
#include "api/module.h"

#include <pthread.h>

/* Drops the handles of threads that have not used bough: the library does not know these threads in the child, even if
 * one of them forks. */
static void leave_strangers(void)
{
    for (struct bp_thread *t = bp.threads; t; t = t->entry.next) {
        if (t->begun)
            continue;
        t->handle = NULL;
        t->fork.left_behind = t->exc.posted;
        t->exc.posted = NULL;
    }
}

/* In the child the library has a new arena and another slot for this thread, and the old descriptor belongs to the
 * parent. An exception posted by raise_exc() was for the parent's thread, as its records were (docs/semantics.md,
 * fork()). fork_ends() frees that exception, when the interpreter works again. */
static void after_fork_in_child(void)
{
    struct bp_thread *t = bp_me;
    bp_looks_after_fork();
    leave_strangers();
    if (!t || !t->begun)
        return;
    t->handle = bough_self();
    if (t->event_fd >= 0)
        t->event_fd = bough_event_fd();
    t->fork.left_behind = t->exc.posted;
    t->exc.posted = NULL;
    t->due.is_set = t->monitor.awaited = false;
    t->due.since = 0;
    t->turn.had_run = 0;
}

/* Called by the hooks of os.fork(), in Python threads that bough knows. Holds back an armed exception, which would be
 * raised in both processes. */
static PyObject *fork_begins(PyObject *module, PyObject *none)
{
    struct bp_thread *t = bp_thread_known();
    (void)module, (void)none;
    if (t) {
        t->fork.in_hooks = true;
        if (t->armed.is_set && t == bp_me)
            bp_hold(t);
    }
    Py_RETURN_NONE;
}

static PyObject *fork_ends(PyObject *module, PyObject *none)
{
    struct bp_thread *t = bp_thread_known();
    (void)module, (void)none;
    if (t) {
        t->fork.in_hooks = false;
        Py_CLEAR(t->fork.left_behind);
    }
    Py_RETURN_NONE;
}

int bp_fork_init(void)
{
    static bool registered;
    if (!registered && pthread_atfork(NULL, NULL, after_fork_in_child) != 0)
        return (void)PyErr_NoMemory(), -1;
    registered = true;
    return 0;
}

PyMethodDef bp_fork_methods[] = {
    {"fork_begins", fork_begins, METH_NOARGS, PyDoc_STR("fork_begins(): before os.fork(), by the thread that forks.")},
    {"fork_ends", fork_ends, METH_NOARGS, PyDoc_STR("fork_ends(): after os.fork(), in both processes.")},
    {0},
};
