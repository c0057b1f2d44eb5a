/* SPDX-License-Identifier: MIT */
/*
 * Opens and ends branches of the library whose children run Python code. branch_context.c makes them context managers.
 *
 *      open -> add... -> wait -> end
 *
 * In main, this file and not the library waits for the children, because main has to notice a Ctrl-C meanwhile. The
 * wait is not an interruption point (rule 24), so it uses a separate futex: the number of running children. Then
 * bough_branch_end() of the library joins the threads.
 */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "raise/raise.h"
#include "branch/branch.h"
#include "api/module.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- open ---------------------------------------------------------------------------------------------------- */

static struct bp_branch *new_branch(struct bp_thread *t, const char *label, bough_time deadline, bool supervisor)
{
    int line;
    struct bough_branch_options options = {.label = label, .deadline = deadline, .supervisor = supervisor};
    struct bp_branch *b = bp_count_forks() == 0 ? PyMem_RawCalloc(1, sizeof *b) : NULL;
    if (!b)
        return (void)(PyErr_Occurred() ? NULL : PyErr_NoMemory()), NULL;
    options.file = bp_caller(&line);
    options.line = line;
    *b = (struct bp_branch){.owner = t, .around = t->regions.innermost, .forks = bp_forks(), .users = 1};
    b->handle = bough_branch_open(&options);
    if (b->handle)
        return b;
    PyMem_RawFree(b);
    return (void)bp_error("cannot open the branch"), NULL;
}

/* No bytecode runs in here, so the next asynchronous exception or Ctrl-C is raised when the branch is open. */
int bp_branch_open(struct bp_branch_object *o, const char *label, bough_time deadline)
{
    struct bp_thread *t = bp_self();
    struct bp_branch *b = t ? new_branch(t, label, deadline, o->supervisor) : NULL;
    if (!b)
        return -1;
    o->branch = b;
    o->ident = PyThread_get_thread_ident();
    o->open = true;
    bp_branch_list(o, t);
    return bp_taking_part_begin(t);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* ms. Main checks again for a signal that came right before the wait, and for lost children, which send no wake-up. */
enum { LOOK_AGAIN = 500 };
enum { YIELD_FOR = 50000, DEAR = 1000000, NO_YIELD_FOR = 1000000000 }; /* ns, as in the library's end of a branch */

/* Yields for a while before the sleep, because the last child often ends sooner than this thread could fall asleep and
 * be woken. But if another thread computes on this CPU, a yield costs the rest of that thread's time slice: then no
 * thread yields for a second, as in the library. */
static void yield_on(const _Atomic uint32_t *word, uint32_t seen)
{
    static bough_time no_yield_before;
    bough_time now = bough_now(), until = now + YIELD_FOR;
    if (now < __atomic_load_n(&no_yield_before, __ATOMIC_RELAXED))
        return;
    while (__atomic_load_n((const uint32_t *)word, __ATOMIC_SEQ_CST) == seen && now < until) {
        bough_time before = now;
        sched_yield();
        now = bough_now();
        if (now - before >= DEAR)
            __atomic_store_n(&no_yield_before, now + NO_YIELD_FOR, __ATOMIC_RELAXED);
    }
}

static void sleep_on(const _Atomic uint32_t *word, uint32_t seen)
{
    const struct timespec soon = {0, LOOK_AGAIN * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &soon, NULL, 0);
}

static uint32_t still_running(struct bp_branch *b)
{
    struct bough_tally tally;
    if (__atomic_load_n((uint32_t *)&b->running, __ATOMIC_SEQ_CST) == 0)
        return 0;
    bp_branch_here(b);
    uint32_t running = __atomic_load_n((uint32_t *)&b->running, __ATOMIC_SEQ_CST);
    if (running && bough_branch_tally(b->handle, &tally) == 0 && tally.count[BOUGH_LOST] >= running)
        return 0;
    return running;
}

static int wait_while_they_run(struct bp_branch *b, uint32_t seen)
{
    for (bool yields = true; seen; seen = still_running(b), yields = false) {
        if (PyErr_CheckSignals() != 0) /* also after the yield: a signal that came before the sleep does not end it */
            return -1;
        Py_BEGIN_ALLOW_THREADS
        if (yields)
            yield_on(&b->running, seen);
        else
            sleep_on(&b->running, seen);
        Py_END_ALLOW_THREADS
    }
    return PyErr_CheckSignals();
}

/* Waits until no child runs, or a signal's handler raises an exception, which happens only in main. An owner other than
 * main waits in bp_branch_end(), which handles lost children, and in which the owner can be closed (rule 37). */
int bp_branch_wait(struct bp_branch *b)
{
    uint32_t seen = still_running(b);
    if (seen == 0 || (b->owner == bp_me && syscall(SYS_gettid) != getpid()))
        return 0;
    b->waits = true;
    int error = wait_while_they_run(b, seen);
    b->waits = false;
    return error;
}

static PyObject *branch_wait(PyObject *module, PyObject *object)
{
    struct bp_branch *b = bp_branch_of(object);
    (void)module;
    return b && bp_branch_wait(b) == 0 ? Py_NewRef(Py_None) : NULL;
}

long bp_branch_leave_regions(struct bp_branch *b)
{
    struct bp_thread *t = bp_self();
    long left = 0;
    while (t && t->regions.innermost && t->regions.innermost != b->around) {
        if (bp_region_end(t, t->regions.innermost->kind) != 0)
            return -1;
        left++;
    }
    return t ? left : -1;
}

static PyObject *branch_leave_regions(PyObject *module, PyObject *object)
{
    struct bp_branch *b = bp_branch_of(object);
    long left = b ? bp_branch_leave_regions(b) : -1;
    (void)module;
    return left < 0 ? NULL : PyLong_FromLong(left);
}

/* If an interrupt of the ended branch has made a call fail, the call has failed once for all interrupts that were due
 * (rule 22). If one from further out is still due, the thread's next call has to fail because of that interrupt. */
static void outer_interrupt_is_due(struct bp_thread *t)
{
    struct bough_record why;
    if (t && bough_reason(&why) == 0 && bp_raised_until(t, &why) <= bough_now())
        bough_foreign_again();
}

/* Idempotent: a second call changes nothing. */
int bp_branch_end(struct bp_branch *b)
{
    int result, error;
    if (bp_me && bp_me->armed.is_set)
        bp_hold(bp_me); /* the exception may be armed for a record that ends with the branch */
    if (b->ended)
        return 0;
    Py_BEGIN_ALLOW_THREADS
    result = bough_branch_end(b->handle);
    error = errno;
    Py_END_ALLOW_THREADS
    bp_cause_forget_target(b->handle);
    b->ended = true;
    b->result = result;
    if (result == -1 || result == EPERM || result == ESRCH) {
        errno = result == -1 ? error : result;
        return (void)bp_error("a branch must be exited once, by the thread that entered it"), -1;
    }
    b->interrupted = bough_last()->interrupted;
    if (result == ETIMEDOUT || b->interrupted)
        outer_interrupt_is_due(bp_me);
    return 0;
}

/* Returns (result, interrupted), as the library returns them. */
static PyObject *branch_end(PyObject *module, PyObject *object)
{
    struct bp_branch *b = bp_branch_of(object);
    (void)module;
    if (!b || bp_branch_end(b) != 0)
        return NULL;
    return Py_BuildValue("(iO)", b->result, b->interrupted ? Py_True : Py_False);
}

/* ---- methods ------------------------------------------------------------------------------------------------- */

/* `handle` 0: the calling child fails. */
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
    PyObject *object;
    long long deadline;
    (void)module;
    if (!PyArg_ParseTuple(args, "OL:set_deadline", &object, &deadline))
        return NULL;
    struct bp_branch *b = bp_branch_of(object);
    if (!b)
        return NULL;
    if (bough_set_deadline(b->handle, deadline) != 0)
        return bp_error("only the thread that entered the branch may change its deadline");
    Py_RETURN_NONE;
}

static PyObject *clear_branch(PyObject *module, PyObject *object)
{
    struct bp_branch *b = bp_branch_of(object);
    (void)module;
    if (!b)
        return NULL;
    int cleared = bough_clear(b->handle);
    if (cleared >= 0)
        bp_cause_forget_target(b->handle);
    return cleared < 0 ? bp_error("only the thread that entered the branch may clear its interrupts")
                       : PyLong_FromLong(cleared);
}

static PyObject *now(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromLongLong(bough_now());
}

PyMethodDef bp_branch_methods[] = {
    {"branch_wait", branch_wait, METH_O,
     PyDoc_STR(
         "branch_wait(branch): wait until no child runs, or a signal raises an exception. An owner other than main "
         "does not wait.")},
    {"branch_leave_regions", branch_leave_regions, METH_O,
     PyDoc_STR("branch_leave_regions(branch): end the regions that were entered in it. Returns their number.")},
    {"branch_end", branch_end, METH_O, PyDoc_STR("branch_end(branch): end it. Returns (error number, interrupted).")},
    {"fail", fail, METH_VARARGS,
     PyDoc_STR("fail(handle, code, message): report a failure of that branch; 0: of the calling child.")},
    {"outcome", outcome, METH_O, PyDoc_STR("outcome(child): libbough's number for the outcome; -1: not kept.")},
    {"set_deadline", set_deadline, METH_VARARGS, PyDoc_STR("set_deadline(branch, ns)")},
    {"clear_branch", clear_branch, METH_O,
     PyDoc_STR("clear_branch(branch): clear the interrupts posted to it. Returns their number.")},
    {"now", now, METH_NOARGS, PyDoc_STR("now(): nanoseconds on bough's clock.")},
    {0},
};
