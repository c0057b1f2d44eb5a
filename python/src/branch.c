/* SPDX-License-Identifier: MIT */
/*
 * Branches: the library's, with children that run Python code. _branch.py makes context managers of them.
 *
 *      open -> add... -> wait -> end
 *
 * The end's wait is here, and not the library's: a Ctrl-C has to be seen in it. It is not an interruption point (rule 24),
 * so it waits for a futex of its own: how many children still run. The library's end, behind it, joins what has ended.
 */
#include "state.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct branch {
    bough_branch *handle;
    _Atomic int users; /* the branch itself and its children */
    _Atomic uint32_t running;
};

static const char key[] = "bough._bough.branch";

static void release(struct branch *b)
{
    if (__atomic_sub_fetch((int *)&b->users, 1, __ATOMIC_SEQ_CST) == 0)
        PyMem_RawFree(b);
}

static struct branch *branch_of(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, key);
}

static void capsule_dies(PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    if (b)
        release(b);
}

/* ---- open ---------------------------------------------------------------------------------------------------- */

static PyObject *branch_open(PyObject *module, PyObject *args)
{
    const char *label;
    long long timeout, deadline;
    int supervisor;
    (void)module;
    if (!PyArg_ParseTuple(args, "sLLp:branch_open", &label, &timeout, &deadline, &supervisor))
        return NULL;
    struct bp_thread *t = bp_self();
    struct branch *b = t ? PyMem_RawCalloc(1, sizeof *b) : NULL;
    if (!b)
        return t ? PyErr_NoMemory() : NULL;
    int line;
    struct bough_branch_options options = {
        .label = label, .timeout = timeout, .deadline = deadline, .supervisor = supervisor != 0};
    options.file = bp_caller(&line);
    options.line = line;
    b->users = 1;
    b->handle = bough_branch_open(&options);
    if (!b->handle) {
        PyMem_RawFree(b);
        return bp_error("the branch can't be opened");
    }
    PyObject *capsule = PyCapsule_New(b, key, capsule_dies);
    if (!capsule) {
        bough_branch_end(b->handle);
        PyMem_RawFree(b);
    }
    return capsule;
}

static PyObject *branch_handle(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    (void)module;
    return b ? PyLong_FromVoidPtr(b->handle) : NULL;
}

/* ---- children -------------------------------------------------------------------------------------------------- */

struct child {
    struct branch *branch;
    PyObject *run; /* called in the child: returns an error number, 0 or ECANCELED */
};

static void wake(const _Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void child_ends(struct child *c)
{
    struct branch *b = c->branch;
    PyMem_RawFree(c);
    if (__atomic_sub_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST) == 0)
        wake(&b->running);
    release(b);
}

static int run_python(PyObject *run)
{
    struct bp_thread *t = bp_self();
    PyObject *result = t ? PyObject_CallNoArgs(run) : NULL;
    int code = result ? (int)PyLong_AsLong(result) : EIO;
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(run);
        code = EIO;
    }
    Py_XDECREF(result);
    return code;
}

static int child_main(void *value)
{
    struct child *c = value;
    PyGILState_STATE state = PyGILState_Ensure();
    int code = run_python(c->run);
    Py_CLEAR(c->run);
    PyGILState_Release(state);
    child_ends(c);
    return code;
}

/* Returns the child's handle; None: the branch is marked, and nothing has started. */
static PyObject *branch_add(PyObject *module, PyObject *args)
{
    PyObject *capsule, *run;
    const char *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOs:branch_add", &capsule, &run, &name))
        return NULL;
    struct branch *b = branch_of(capsule);
    struct child *c = b ? PyMem_RawCalloc(1, sizeof *c) : NULL;
    if (!c)
        return b ? PyErr_NoMemory() : NULL;
    *c = (struct child){b, Py_NewRef(run)};
    __atomic_add_fetch((int *)&b->users, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST);
    struct bough_child_options options = {.name = name};
    const bough_thread *child;
    int error;
    Py_BEGIN_ALLOW_THREADS child = bough_add_with(b->handle, child_main, bough_arg(c), &options);
    error = errno;
    Py_END_ALLOW_THREADS if (child) return PyLong_FromVoidPtr((void *)(uintptr_t)child);
    Py_DECREF(c->run);
    child_ends(c);
    if (error == ECANCELED)
        Py_RETURN_NONE;
    errno = error;
    return bp_error(error == EPERM   ? "only the branch's owner and threads below it may add to it"
                    : error == ESRCH ? "the branch has ended"
                                     : "no child could be started");
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

enum { LOOK_FOR_SIGNALS = 500 }; /* ms: a signal may have come right before the wait; main only */

static void sleep_on(const _Atomic uint32_t *word, uint32_t seen, bool main_thread)
{
    const struct timespec soon = {0, LOOK_FOR_SIGNALS * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, main_thread ? &soon : NULL, NULL, 0);
}

/* Until no child runs; an exception of a signal's handler ends it before. */
static PyObject *branch_wait(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    bool main_thread = syscall(SYS_gettid) == getpid();
    uint32_t seen;
    (void)module;
    while (b && (seen = __atomic_load_n((uint32_t *)&b->running, __ATOMIC_SEQ_CST)) != 0) {
        Py_BEGIN_ALLOW_THREADS sleep_on(&b->running, seen, main_thread);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return NULL;
    }
    return b ? Py_NewRef(Py_None) : NULL;
}

/* (result, interrupted), as the library tells them. */
static PyObject *branch_end(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    int result, error;
    (void)module;
    if (!b)
        return NULL;
    Py_BEGIN_ALLOW_THREADS result = bough_branch_end(b->handle);
    error = errno;
    Py_END_ALLOW_THREADS if (result == -1 || result == EPERM || result == ESRCH)
    {
        errno = result == -1 ? error : result;
        return bp_error("the branch has to be left by the thread that entered it, once");
    }
    return Py_BuildValue("(iO)", result, bough_last()->interrupted ? Py_True : Py_False);
}

/* `handle` 0: the calling child. */
static PyObject *fail(PyObject *module, PyObject *args)
{
    unsigned long long handle;
    const char *message;
    int code, line;
    (void)module;
    if (!PyArg_ParseTuple(args, "Kis:fail", &handle, &code, &message))
        return NULL;
    const char *file = bp_caller(&line);
    bough_fail_at_(handle ? (bough_target)(uintptr_t)handle : BOUGH_SELF, file, line, "", code, "%s", message);
    Py_RETURN_NONE;
}

static PyObject *outcome(PyObject *module, PyObject *handle)
{
    void *child = PyLong_AsVoidPtr(handle);
    (void)module;
    return PyErr_Occurred() ? NULL : PyLong_FromLong(bough_outcome(child, NULL));
}

static PyObject *set_deadline(PyObject *module, PyObject *args)
{
    PyObject *capsule;
    long long deadline;
    (void)module;
    if (!PyArg_ParseTuple(args, "OL:set_deadline", &capsule, &deadline))
        return NULL;
    struct branch *b = branch_of(capsule);
    if (!b)
        return NULL;
    if (bough_set_deadline(b->handle, deadline) != 0)
        return bp_error("a branch's deadline is its owner's to move");
    Py_RETURN_NONE;
}

static PyObject *clear_branch(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    (void)module;
    if (!b)
        return NULL;
    int cleared = bough_clear(b->handle);
    return cleared < 0 ? bp_error("a branch's interrupts are its owner's to clear") : PyLong_FromLong(cleared);
}

static PyObject *now(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLongLong(bough_now());
}

PyMethodDef bp_branch_methods[] = {
    {"branch_open", branch_open, METH_VARARGS, PyDoc_STR("branch_open(label, timeout_ns, deadline_ns, supervisor)")},
    {"branch_handle", branch_handle, METH_O, PyDoc_STR("branch_handle(branch): its handle in libbough.")},
    {"branch_add", branch_add, METH_VARARGS,
     PyDoc_STR("branch_add(branch, run, name): a child that calls run(). Its handle; None: the branch is marked.")},
    {"branch_wait", branch_wait, METH_O, PyDoc_STR("branch_wait(branch): until no child runs.")},
    {"branch_end", branch_end, METH_O, PyDoc_STR("branch_end(branch): (error number, interrupted).")},
    {"fail", fail, METH_VARARGS, PyDoc_STR("fail(handle, code, message): that branch, or for 0 the caller, failed.")},
    {"outcome", outcome, METH_O, PyDoc_STR("outcome(child): as libbough has it; -1: not kept.")},
    {"set_deadline", set_deadline, METH_VARARGS, PyDoc_STR("set_deadline(branch, ns)")},
    {"clear_branch", clear_branch, METH_O, PyDoc_STR("clear_branch(branch): its own interrupts. How many.")},
    {"now", now, METH_NOARGS, PyDoc_STR("now(): nanoseconds on bough's clock.")},
    {0},
};
