/* SPDX-License-Identifier: MIT */
/*
 * Branches: the library's, with children that run Python code. _branch.py makes context managers of them.
 *
 *      open -> add... -> wait -> end
 *
 * In main the end's wait is here, and not the library's: a Ctrl-C has to be seen in it. It is not an interruption point
 * (rule 24), so it waits for a futex of its own: how many children still run. The library's end, behind it, joins what
 * has ended.
 */
#include "state.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct branch {
    bough_branch *handle;
    struct bp_thread *owner;
    struct bp_region *around; /* the innermost one that was open before it */
    pid_t pid;                /* after a fork its children are not here */
    bool ended, interrupted;  /* by branch_end(), whose result is kept */
    int result;
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

static struct branch *new_branch(struct bp_thread *t, const char *label, bough_time deadline, bool supervisor)
{
    int line;
    struct bough_branch_options options = {.label = label, .deadline = deadline, .supervisor = supervisor};
    struct branch *b = PyMem_RawCalloc(1, sizeof *b);
    if (!b)
        return (void)PyErr_NoMemory(), NULL;
    options.file = bp_caller_of_caller(&line);
    options.line = line;
    *b = (struct branch){.owner = t, .around = t->regions, .pid = getpid(), .users = 1};
    b->handle = bough_branch_open(&options);
    if (b->handle)
        return b;
    PyMem_RawFree(b);
    return (void)bp_error("the branch can't be opened"), NULL;
}

/* Python's object has both before any bytecode runs: from then on whatever comes out is out of an open branch. */
static int tell_object(PyObject *object, PyObject *capsule, const struct branch *b)
{
    PyObject *handle = PyLong_FromVoidPtr(b->handle);
    int error = handle ? PyObject_SetAttrString(object, "_handle", handle) : -1;
    if (error == 0)
        error = PyObject_SetAttrString(object, "_capsule", capsule);
    Py_XDECREF(handle);
    return error;
}

static PyObject *branch_open(PyObject *module, PyObject *args)
{
    PyObject *object;
    const char *label;
    long long deadline;
    int supervisor;
    (void)module;
    if (!PyArg_ParseTuple(args, "OsLp:branch_open", &object, &label, &deadline, &supervisor))
        return NULL;
    struct bp_thread *t = bp_self();
    struct branch *b = t ? new_branch(t, label, deadline, supervisor) : NULL;
    PyObject *capsule = b ? PyCapsule_New(b, key, capsule_dies) : NULL;
    if (!b)
        return NULL;
    if (!capsule || tell_object(object, capsule, b) != 0) {
        bough_branch_end(b->handle);
        if (capsule)
            Py_DECREF(capsule);
        else
            release(b);
        return NULL;
    }
    Py_DECREF(capsule);
    if (bp_taking_part_begin(t) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- children -------------------------------------------------------------------------------------------------- */

/*
 * The child's function is called from here: no Python frame of ours lies below its frames, which outlive it in
 * tracebacks and would hold the Child, which holds the exception, which holds the traceback. On the way:
 *
 *      _begins() -> the function, arguments, keywords; from here on the child takes part
 *      the function
 *      _ends(result, exception) -> an error number; no more does it
 *      close() of each _next_to_close(), whatever has happened; _failed(exception)
 *      _is_over()
 */
struct child {
    struct branch *branch;
    PyObject *child;
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

/* The exception that is set, which is no more: a new reference. NULL: none is. */
static PyObject *taken_exception(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace)
        PyException_SetTraceback(value, trace);
    Py_DECREF(type);
    Py_XDECREF(trace);
    return value;
}

/* The function's own frames are gone before it is looked at how it ended. */
static PyObject *call_function(PyObject *child)
{
    PyObject *call = PyObject_CallMethod(child, "_begins", NULL), *result = NULL;
    if (call && PyTuple_Check(call) && PyTuple_GET_SIZE(call) == 3)
        result = PyObject_Call(PyTuple_GET_ITEM(call, 0), PyTuple_GET_ITEM(call, 1), PyTuple_GET_ITEM(call, 2));
    Py_XDECREF(call);
    return result;
}

/* An error number, from a method that returns one. */
static int code_of(PyObject *child, PyObject *answer)
{
    int code = answer ? (int)PyLong_AsLong(answer) : EIO;
    Py_XDECREF(answer);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(child);
        code = EIO;
    }
    return code;
}

static int call_and_end(PyObject *child)
{
    PyObject *result = call_function(child), *exception = result ? NULL : taken_exception();
    if (bp_me)
        bp_drop_posted(bp_me); /* it comes too late */
    PyObject *answer =
        PyObject_CallMethod(child, "_ends", "OO", result ? result : Py_None, exception ? exception : Py_None);
    Py_XDECREF(result);
    Py_XDECREF(exception);
    return code_of(child, answer);
}

/* Each once (rule 21). An error in it is one more failure. */
static int close_all(PyObject *child)
{
    PyObject *thing;
    int code = 0;
    while ((thing = PyObject_CallMethod(child, "_next_to_close", NULL)) && thing != Py_None) {
        PyObject *result = PyObject_CallMethod(thing, "close", NULL);
        PyObject *exception = result ? NULL : taken_exception();
        if (exception)
            code = code_of(child, PyObject_CallMethod(child, "_failed", "O", exception));
        Py_XDECREF(exception);
        Py_XDECREF(result);
        Py_DECREF(thing);
    }
    Py_XDECREF(thing);
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(child);
    return code;
}

static int run_python(PyObject *child)
{
    if (!bp_self()) {
        PyErr_WriteUnraisable(child);
        return EIO;
    }
    int code = call_and_end(child), closed = close_all(child);
    int over = code_of(child, PyObject_CallMethod(child, "_is_over", NULL));
    return code ? code : closed ? closed : over;
}

static int child_main(void *value)
{
    struct child *c = value;
    PyGILState_STATE state = PyGILState_Ensure();
    int code = run_python(c->child);
    Py_CLEAR(c->child);
    PyGILState_Release(state);
    child_ends(c);
    return code;
}

static void forget_the_parents_children(struct branch *b)
{
    pid_t pid = getpid();
    if (b->pid != pid) {
        b->pid = pid;
        __atomic_store_n((uint32_t *)&b->running, 0, __ATOMIC_SEQ_CST);
    }
}

/* The child has its handle before any bytecode runs: whatever comes out of the next one, it has been started. */
static PyObject *started(PyObject *object, const bough_thread *child)
{
    PyObject *handle = PyLong_FromVoidPtr((void *)(uintptr_t)child);
    if (handle && PyObject_SetAttrString(object, "_handle", handle) != 0)
        Py_CLEAR(handle);
    return handle;
}

/* Returns the child's handle; None: the branch is marked, and nothing has started. */
static PyObject *branch_add(PyObject *module, PyObject *args)
{
    PyObject *capsule, *object;
    const char *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOs:branch_add", &capsule, &object, &name))
        return NULL;
    struct branch *b = branch_of(capsule);
    struct child *c = b ? PyMem_RawCalloc(1, sizeof *c) : NULL;
    if (!c)
        return b ? PyErr_NoMemory() : NULL;
    *c = (struct child){b, Py_NewRef(object)};
    forget_the_parents_children(b);
    __atomic_add_fetch((int *)&b->users, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch((uint32_t *)&b->running, 1, __ATOMIC_SEQ_CST);
    struct bough_child_options options = {.name = name};
    const bough_thread *child;
    int error;
    Py_BEGIN_ALLOW_THREADS
    child = bough_add_with(b->handle, child_main, bough_arg(c), &options);
    error = errno;
    Py_END_ALLOW_THREADS
    if (child)
        return started(object, child);
    Py_DECREF(c->child);
    child_ends(c);
    if (error == ECANCELED)
        Py_RETURN_NONE;
    errno = error;
    return bp_error(error == EPERM   ? "only the branch's owner and threads below it may add to it"
                    : error == ESRCH ? "the branch has ended"
                                     : "no child could be started");
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* ms. For signals, in main: one may have come right before the wait. For children that are lost, which tell nobody. */
enum { LOOK_AGAIN = 500 };

static void sleep_on(const _Atomic uint32_t *word, uint32_t seen)
{
    const struct timespec soon = {0, LOOK_AGAIN * 1000000L};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, &soon, NULL, 0);
}

static uint32_t still_running(struct branch *b)
{
    struct bough_tally tally;
    forget_the_parents_children(b);
    uint32_t running = __atomic_load_n((uint32_t *)&b->running, __ATOMIC_SEQ_CST);
    if (running && bough_branch_tally(b->handle, &tally) == 0 && tally.count[BOUGH_LOST] >= running)
        return 0;
    return running;
}

/* Until no child runs; an exception of a signal's handler ends it before. Those come in main alone: another owner does
 * its waiting in branch_end(), which knows of lost children, and can be closed itself (rule 37). */
static PyObject *branch_wait(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    uint32_t seen;
    (void)module;
    if (b && b->owner == bp_me && syscall(SYS_gettid) != getpid())
        Py_RETURN_NONE;
    while (b && (seen = still_running(b)) != 0) {
        Py_BEGIN_ALLOW_THREADS
        sleep_on(&b->running, seen);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() != 0)
            return NULL;
    }
    return b ? Py_NewRef(Py_None) : NULL;
}

/* The regions that were entered in it and are open still. How many. */
static PyObject *branch_leave_regions(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    (void)module;
    struct bp_thread *t = b ? bp_self() : NULL;
    long left = 0;
    while (t && t->regions && t->regions != b->around) {
        if (bp_region_end(t, t->regions->kind) != 0)
            return NULL;
        left++;
    }
    return t ? PyLong_FromLong(left) : NULL;
}

/* (result, interrupted), as the library tells them; asked again it is the same. */
static PyObject *branch_end(PyObject *module, PyObject *capsule)
{
    struct branch *b = branch_of(capsule);
    int result, error;
    (void)module;
    if (!b)
        return NULL;
    if (b->ended)
        return Py_BuildValue("(iO)", b->result, b->interrupted ? Py_True : Py_False);
    Py_BEGIN_ALLOW_THREADS
    result = bough_branch_end(b->handle);
    error = errno;
    Py_END_ALLOW_THREADS
    b->ended = true;
    b->result = result;
    if (result == -1 || result == EPERM || result == ESRCH) {
        errno = result == -1 ? error : result;
        return bp_error("the branch has to be left by the thread that entered it, once");
    }
    b->interrupted = bough_last()->interrupted;
    return Py_BuildValue("(iO)", result, b->interrupted ? Py_True : Py_False);
}

/* ---- with ----------------------------------------------------------------------------------------------------- */

/*
 * __enter__ and __exit__ of Python's class, by its _enter() and _leave(error, new). In main, any bytecode may be where a
 * Ctrl-C comes out, the first of __exit__ too, and then nobody would join the children. In C there is none: what comes
 * out of _leave() while the branch is open is given to _leave() again, as one more failure.
 */
static bool is_open(PyObject *self)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *capsule = PyObject_GetAttrString(self, "_capsule");
    bool open = capsule && capsule != Py_None;
    Py_XDECREF(capsule);
    PyErr_Restore(type, value, trace);
    return open;
}

static PyObject *leave(PyObject *self, PyObject *error)
{
    PyObject *result = PyObject_CallMethod(self, "_leave", "OO", error, error);
    while (!result && is_open(self)) {
        PyObject *new = taken_exception();
        result = PyObject_CallMethod(self, "_leave", "OO", error, new);
        Py_DECREF(new);
    }
    return result;
}

static PyObject *exit_branch(PyObject *module, PyObject *args)
{
    PyObject *self, *type, *error, *trace;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO:__exit__", &self, &type, &error, &trace))
        return NULL;
    return leave(self, error);
}

static PyObject *enter_branch(PyObject *module, PyObject *self)
{
    PyObject *result = PyObject_CallMethod(self, "_enter", NULL);
    (void)module;
    if (result || !is_open(self))
        return result;
    PyObject *error = taken_exception();
    result = leave(self, error);
    if (result)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(result);
    Py_DECREF(error);
    return NULL;
}

static PyMethodDef enter_method = {"__enter__", enter_branch, METH_O, NULL};
static PyMethodDef exit_method = {"__exit__", exit_branch, METH_VARARGS, NULL};

/* A function that becomes a method when it lies in a class, as those of Python do. */
static PyObject *method(PyObject *module, PyMethodDef *def)
{
    PyObject *function = PyCFunction_New(def, module), *made = function ? PyInstanceMethod_New(function) : NULL;
    Py_XDECREF(function);
    return made;
}

static PyObject *with_methods(PyObject *module, PyObject *none)
{
    (void)none;
    PyObject *enter = method(module, &enter_method), *exit = method(module, &exit_method);
    PyObject *both = enter && exit ? PyTuple_Pack(2, enter, exit) : NULL;
    Py_XDECREF(enter);
    Py_XDECREF(exit);
    return both;
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
    {"branch_open", branch_open, METH_VARARGS,
     PyDoc_STR(
         "branch_open(object, label, deadline_ns, supervisor): the object gets _handle and _capsule; takes part.")},
    {"branch_add", branch_add, METH_VARARGS,
     PyDoc_STR("branch_add(branch, child, name): runs a Child. Its handle; None: the branch is marked.")},
    {"branch_wait", branch_wait, METH_O,
     PyDoc_STR(
         "branch_wait(branch): until no child runs, or an exception comes of a signal. In main, and by strangers.")},
    {"branch_leave_regions", branch_leave_regions, METH_O,
     PyDoc_STR("branch_leave_regions(branch): ends those that were entered in it. How many.")},
    {"with_methods", with_methods, METH_NOARGS,
     PyDoc_STR("with_methods(): __enter__ and __exit__ for a class with _enter() and _leave(error, new).")},
    {"branch_end", branch_end, METH_O, PyDoc_STR("branch_end(branch): (error number, interrupted).")},
    {"fail", fail, METH_VARARGS, PyDoc_STR("fail(handle, code, message): that branch, or for 0 the caller, failed.")},
    {"outcome", outcome, METH_O, PyDoc_STR("outcome(child): as libbough has it; -1: not kept.")},
    {"set_deadline", set_deadline, METH_VARARGS, PyDoc_STR("set_deadline(branch, ns)")},
    {"clear_branch", clear_branch, METH_O, PyDoc_STR("clear_branch(branch): its own interrupts. How many.")},
    {"now", now, METH_NOARGS, PyDoc_STR("now(): nanoseconds on bough's clock.")},
    {0},
};
