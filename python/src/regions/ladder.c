/* SPDX-License-Identifier: MIT */
/* The ladder for Python code: times, handlers on the thread, closers on library threads, the exit. */
#include "base/base.h"
#include "thread/thread.h"
#include "regions/regions.h"
#include "api/module.h"

#include <errno.h>

/* ---- times and ceilings --------------------------------------------------------------------------------------- */

/* The arguments: handle, grace in ns, cap in ns, (ns of rungs 1 to 6), (ceiling of each kind). 0: inherited. */
static PyObject *ladder_set(PyObject *module, PyObject *args)
{
    unsigned long long handle;
    struct bough_ladder l = {0};
    long long t[BOUGH_RUNGS] = {0};
    unsigned char *c = l.ceiling;
    long long grace, cap;
    (void)module;
    if (!PyArg_ParseTuple(args, "KLL(LLLLLL)(bbbbbbb):ladder_set", &handle, &grace, &cap, &t[1], &t[2], &t[3], &t[4],
                          &t[5], &t[6], &c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6]))
        return NULL;
    l.grace = grace;
    l.cap = cap;
    for (int i = 1; i < BOUGH_RUNGS; i++)
        l.time[i] = t[i];
    struct bp_thread *me = bp_self();
    if (!me)
        return NULL;
    bough_target target = handle == 0 ? BOUGH_ROOT : (bough_target)(uintptr_t)handle;
    if (bough_ladder_set(target == me->handle ? NULL : target, &l) != 0) {
        PyErr_SetString(PyExc_ValueError, errno == EINVAL ? "grace or ceiling is out of range"
                                          : errno == EPERM
                                              ? "the ladder is set by the thread itself, and for a branch by its owner"
                                              : "the thread or branch has ended");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *ladder_get(PyObject *module, PyObject *args)
{
    unsigned long long handle;
    struct bough_ladder l;
    (void)module;
    if (!PyArg_ParseTuple(args, "K:ladder_get", &handle))
        return NULL;
    if (bough_ladder_get(handle ? (bough_target)(uintptr_t)handle : BOUGH_ROOT, &l) != 0)
        return PyErr_SetString(PyExc_ValueError, "the thread or branch has ended"), NULL;
    const int64_t *t = l.time;
    const uint8_t *c = l.ceiling;
    return Py_BuildValue("LL(LLLLLL)(iiiiiii)", (long long)l.grace, (long long)l.cap, (long long)t[1], (long long)t[2],
                         (long long)t[3], (long long)t[4], (long long)t[5], (long long)t[6], c[0], c[1], c[2], c[3],
                         c[4], c[5], c[6]);
}

/* ---- handlers ---------------------------------------------------------------------------------------------------- */

/* Seconds from now, or None. */
static PyObject *seconds_until(bough_time at)
{
    return at ? PyFloat_FromDouble((double)(at - bough_now()) / 1e9) : Py_NewRef(Py_None);
}

/* A handler's argument: a tuple, which ladder.py converts to an Incident. */
static PyObject *incident_object(const struct bough_incident *i)
{
    PyObject *record = bp_record_object(&i->record);
    return record ? Py_BuildValue("(NiNN)", record, i->rung, seconds_until(i->deadline), seconds_until(i->cap)) : NULL;
}

/* The callable has returned (verdict, seconds), or raised an exception. At rung 3 it is meant to raise one: the point
 * or call that runs the handler raises the exception, which ends the thread. */
static int verdict_of(struct bough_incident *incident, PyObject *callable, PyObject *answer)
{
    int verdict = BOUGH_PROMOTE;
    double seconds = 0;
    if (answer && !PyArg_ParseTuple(answer, "id", &verdict, &seconds))
        verdict = BOUGH_PROMOTE;
    if (PyErr_Occurred() && incident->rung == BOUGH_RUNG_FINAL) {
        Py_XSETREF(bp_me->exc.final, bp_taken_exception());
        return BOUGH_LEAVE;
    }
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(callable);
    if (verdict == BOUGH_RESUME)
        incident->resume_until = bough_after((int64_t)(seconds * 1e9));
    return verdict;
}

/* Called with or without the GIL: handlers run at check_interrupt(), and in interrupted blocking calls. */
static int run_handler(struct bough_incident *incident, void *argument)
{
    PyObject *callable = argument;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *fields = bp_me ? incident_object(incident) : NULL;
    PyObject *answer = fields ? PyObject_CallOneArg(callable, fields) : NULL;
    int verdict = bp_me ? verdict_of(incident, callable, answer) : BOUGH_PROMOTE;
    Py_XDECREF(answer);
    Py_XDECREF(fields);
    PyGILState_Release(state);
    return verdict;
}

int bp_handler_enter(struct bp_region *r, PyObject *callable, unsigned flags, const char *file, int line)
{
    return bough_handler_begin(&r->region, run_handler, callable, flags, file, line);
}

/* ---- closers ----------------------------------------------------------------------------------------------------- */

static const char closer_key[] = "bough._bough.closer";

struct closer {
    bough_closer *handle;
    PyObject *callable;
};

static void call_and_report(PyObject *callable)
{
    PyObject *result = PyObject_CallNoArgs(callable);
    if (!result)
        PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
}

/* Runs on a library thread, for a frozen thread. If the frozen thread holds the GIL, the closer waits, and the
 * rung's time runs out. */
static void run_closer(void *argument)
{
    const struct closer *c = argument;
    if (bp_is_ending())
        return;
    PyGILState_STATE state = PyGILState_Ensure();
    call_and_report(c->callable);
    PyGILState_Release(state);
}

static void closer_dies(PyObject *capsule)
{
    struct closer *c = PyCapsule_GetPointer(capsule, closer_key);
    if (!c || c->handle)
        return; /* its thread was closed or has ended without closer_drop(): the library may still read `c` */
    Py_XDECREF(c->callable);
    PyMem_RawFree(c);
}

static PyObject *closer(PyObject *module, PyObject *callable)
{
    (void)module;
    if (!PyCallable_Check(callable))
        return PyErr_Format(PyExc_TypeError, "closer() callback must be a function, got %R", callable), NULL;
    struct closer *c = bp_self() ? PyMem_RawCalloc(1, sizeof *c) : NULL;
    if (!c)
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    c->callable = Py_NewRef(callable);
    c->handle = bough_closer_fn(run_closer, c);
    PyObject *capsule = c->handle ? PyCapsule_New(c, closer_key, closer_dies) : bp_error("cannot register the closer");
    return capsule;
}

static PyObject *closer_drop(PyObject *module, PyObject *capsule)
{
    struct closer *c = PyCapsule_GetPointer(capsule, closer_key);
    (void)module;
    if (!c)
        return NULL;
    if (c->handle && bough_closer_drop(c->handle, 0) != 0)
        return bp_error("a closer must be dropped by the thread that registered it");
    c->handle = NULL;
    Py_RETURN_NONE;
}

/* ---- the dump ---------------------------------------------------------------------------------------------------- */

static PyObject *dump(PyObject *module, PyObject *args)
{
    int fd, error;
    (void)module;
    if (!PyArg_ParseTuple(args, "i:dump", &fd))
        return NULL;
    bp_prune(); /* so that ended threads are not shown */
    Py_BEGIN_ALLOW_THREADS
    error = bough_dump(fd);
    Py_END_ALLOW_THREADS
    if (error != 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* ---- the exit ---------------------------------------------------------------------------------------------------- */

static void run_exit_tier(void *argument)
{
    if (bp_is_ending())
        return;
    PyGILState_STATE state = PyGILState_Ensure();
    call_and_report(argument);
    PyGILState_Release(state);
}

static PyObject *exit_tier(PyObject *module, PyObject *args)
{
    int tier;
    PyObject *callable;
    (void)module;
    if (!PyArg_ParseTuple(args, "iO:exit_tier", &tier, &callable))
        return NULL;
    if (bough_exit_tier(tier, run_exit_tier, callable) != 0)
        return bp_error("cannot register another exit function");
    Py_INCREF(callable); /* never released */
    Py_RETURN_NONE;
}

static PyObject *last_words(PyObject *module, PyObject *args)
{
    const char *path;
    int fd, core;
    (void)module;
    if (!PyArg_ParseTuple(args, "zip:last_words", &path, &fd, &core))
        return NULL;
    if (bough_last_words(path, fd, core ? BOUGH_CORE : 0) != 0)
        return path ? PyErr_SetFromErrnoWithFilename(PyExc_OSError, path) : PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

/* ---- the service manager ----------------------------------------------------------------------------------------- */

static PyObject *notified(int result)
{
    return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyBool_FromLong(result);
}

static PyObject *notify_ready(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return notified(bough_notify_ready());
}

static PyObject *watchdog_feed(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return notified(bough_watchdog_feed());
}

/* Returns seconds, or None. */
static PyObject *watchdog_interval(PyObject *module, PyObject *unused)
{
    int64_t interval = bough_watchdog_interval();
    (void)module, (void)unused;
    if (interval < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return interval ? PyFloat_FromDouble((double)interval / 1e9) : Py_NewRef(Py_None);
}

PyMethodDef bp_ladder_methods[] = {
    {"notify_ready", notify_ready, METH_NOARGS, PyDoc_STR("notify_ready(): send READY=1.")},
    {"watchdog_feed", watchdog_feed, METH_NOARGS, PyDoc_STR("watchdog_feed(): send WATCHDOG=1.")},
    {"watchdog_interval", watchdog_interval, METH_NOARGS, PyDoc_STR("watchdog_interval(): seconds, or None.")},
    {"exit_tier", exit_tier, METH_VARARGS, PyDoc_STR("exit_tier(tier, callable): call it at rung 5, before exit().")},
    {"last_words", last_words, METH_VARARGS, PyDoc_STR("last_words(path, fd, core): where rung 6 writes its dump.")},
    {"ladder_set", ladder_set, METH_VARARGS, PyDoc_STR("ladder_set(handle, grace, cap, times, ceilings)")},
    {"ladder_get", ladder_get, METH_VARARGS,
     PyDoc_STR("ladder_get(handle): the arguments of ladder_set() as they apply there.")},
    {"closer", closer, METH_O, PyDoc_STR("closer(callable): run it at rung 4, for the calling thread.")},
    {"closer_drop", closer_drop, METH_O, PyDoc_STR("closer_drop(closer): the closer is not needed any more.")},
    {"dump", dump, METH_VARARGS, PyDoc_STR("dump(fd): the tree, what each thread does, all stacks.")},
    {0},
};
