/* SPDX-License-Identifier: MIT */
/*
 * From a record to an exception.
 *
 * What was posted with raise_exc() is raised as the very instance, and the record is consumed by it (rules 2, 44).
 * All else is a ThreadExit with the record in it, and stays until it is cleared (rule 2).
 *
 * Blocking calls of the interpreter know nothing of that. One that was cut fails with BP_CUT, and the interpreter makes
 * an OSError of it, or whatever its module has for a call that failed. Making such an object begins with memory for it:
 * there, in tp_alloc, it is seen that the call was cut, and the interrupt's exception is set instead. So no blocking
 * function has to be known by name.
 *
 * C code may also swallow the error of a call that was cut. An error that comes later is then another one's, and stays what
 * it is: that is told by the place of the Python code, which calls no second C function at one instruction of one frame
 * before it was told of the first one's error.
 *
 * And C code may try again for ever, looking for signals in between as PEP 475 has it: so PyErr_CheckSignals(), called by
 * extension modules, raises as well (interpose.c).
 */
#include "state.h"

#include <string.h>

/* ---- exceptions --------------------------------------------------------------------------------------------- */

static PyObject *thread_exit(const struct bough_record *why)
{
    PyObject *class = bp.thread_exit ? Py_NewRef(bp.thread_exit) : bp_load("bough._exceptions", "ThreadExit");
    if (!class)
        return NULL;
    PyObject *record = bp_record_object(why), *exit = record ? PyObject_CallNoArgs(class) : NULL;
    Py_DECREF(class);
    if (exit && PyObject_SetAttrString(exit, "record", record) != 0)
        Py_CLEAR(exit);
    Py_XDECREF(record);
    return exit;
}

/* An instance has to be known again when it was swallowed. A reference would keep its traceback, and all that hangs from
 * that. */
static const char mark[] = "_bough_raised_in";

static void set_mark(const struct bp_thread *t, PyObject *exception)
{
    PyObject *id = PyLong_FromUnsignedLongLong(t->id);
    if (!id || PyObject_GenericSetAttr(exception, PyUnicode_InternFromString(mark), id) != 0)
        PyErr_Clear();
    Py_XDECREF(id);
}

/* The record goes with the instance: both are taken, or neither. */
static PyObject *take_posted(struct bp_thread *t)
{
    bp_cause_forget_kind(t, BOUGH_EXCEPTION);
    PyObject *exception = t->exception;
    t->exception = NULL;
    set_mark(t, exception);
    bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_disarm(t);
    return exception;
}

/* ---- records that were raised a short time ago ----------------------------------------------------------------- */

bool bp_same_record(const struct bp_raised *seen, const struct bough_record *why)
{
    return seen->target == why->target && seen->since == why->since && seen->kind == why->kind;
}

bough_time bp_raised_until(const struct bp_thread *t, const struct bough_record *why)
{
    for (int i = 0; t->raised_lately && i < BP_RAISED_KEPT; i++) {
        const struct bp_raised *r = &t->raised_lately->records[i];
        if (bp_same_record(r, why) && r->rung == why->rung)
            return r->until;
    }
    return 0;
}

/* Without memory it is not noted, and may be raised again sooner. */
static void note_raised(struct bp_thread *t, const struct bough_record *why)
{
    if (!t->raised_lately && !(t->raised_lately = PyMem_RawCalloc(1, sizeof *t->raised_lately)))
        return;
    struct bp_raised_lately *lately = t->raised_lately;
    bough_time until = bough_after(t->grace ? t->grace : BOUGH_DEFAULT_GRACE);
    unsigned i = 0;
    while (i < BP_RAISED_KEPT && !bp_same_record(&lately->records[i], why))
        i++;
    if (i == BP_RAISED_KEPT)
        i = lately->next++ % BP_RAISED_KEPT;
    lately->records[i] = (struct bp_raised){why->target, why->since, why->kind, why->rung, until};
}

/* What is pending may be raised again at once. */
static void forget_raised(struct bp_thread *t)
{
    if (t->raised_lately)
        memset(t->raised_lately->records, 0, sizeof t->raised_lately->records);
}

/* ---- the exception of a record --------------------------------------------------------------------------------- */

PyObject *bp_exception_for(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *final = t->final;
    bough_paced(); /* it has the interpreter lock: the next thread may wait for that */
    t->final = NULL;
    struct bough_record real = *why;
    t->raised = true;
    t->told_until = bough_after(BOUGH_DEFAULT_GRACE);
    bp_cause_raised(t);
    if (bp_is_nudge(t, why)) {
        bp_nudge_for(t, &real);
        why = &real;
    }
    if (final)
        return final;
    if (why->kind == BOUGH_EXCEPTION && t->exception)
        return take_posted(t);
    /* It is raised here: the async thread must not raise it a second time where it is caught, but only after the grace period. */
    if (t->armed && !t->exception)
        bp_hold(t);
    t->awaited &= t->exception != NULL;
    note_raised(t, why);
    return thread_exit(why);
}

void bp_raise(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *exception = bp_exception_for(t, why);
    if (!exception)
        return;
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
}

int bp_meet(struct bp_thread *t)
{
    t->cut = false;
    bough_paced();
    if (!bough_interrupted())
        return 0;
    bp_raise(t, &t->why);
    return -1;
}

__attribute__((noinline)) static int raise_pending(struct bp_thread *t)
{
    struct bough_record why;
    if (bough_reason(&why) != 0)
        return 0;
    bp_raise(t, &why);
    return -1;
}

static inline int check(struct bp_thread *t)
{
    t->cut = false; /* what a call was cut by and nobody has made an error of is met here */
    return __builtin_expect(bough_check() == 0, 1) ? 0 : raise_pending(t);
}

int bp_check(struct bp_thread *t)
{
    return check(t);
}

/* ---- errors become the interrupt's exception ------------------------------------------------------------------- */

/* Types whose objects are made where a call has failed. All have the plain tp_alloc; one that has not is left alone. */
enum { REPLACED_MOST = 24 };
static PyTypeObject *replaced[REPLACED_MOST];
static int replaced_count;

/* Up to 3.11 these objects may be made where they are caught only, frames further out. One that is made after the interrupt has
 * ended is another error. */
static bool is_made_late(const PyTypeObject *type)
{
    return PY_VERSION_HEX < 0x030C0000 &&
           (type == (PyTypeObject *)PyExc_EOFError || strcmp(type->tp_name, "herror") == 0);
}

static PyObject *alloc_or_raise(PyTypeObject *type, Py_ssize_t items)
{
    struct bp_thread *t = bp_me;
    if (!t || !t->cut)
        return PyType_GenericAlloc(type, items);
    t->cut = false;
    if (bp_is_cut_place(t) || (is_made_late(type) && bough_interrupted())) {
        bp_raise(t, &t->why);
        return NULL;
    }
    bough_paced();
    bough_foreign_again(); /* nobody was told: the next call is */
    return PyType_GenericAlloc(type, items);
}

static bool replace(PyTypeObject *type)
{
    if (type->tp_alloc == alloc_or_raise)
        return true;
    if (type->tp_alloc != PyType_GenericAlloc || replaced_count == REPLACED_MOST)
        return false;
    type->tp_alloc = alloc_or_raise;
    Py_INCREF(type);
    replaced[replaced_count++] = type;
    return true;
}

int bp_replace_errors(bool on)
{
    if (on) {
        replace((PyTypeObject *)PyExc_OSError);
        replace((PyTypeObject *)PyExc_EOFError);
        return 0;
    }
    while (replaced_count) {
        PyTypeObject *type = replaced[--replaced_count];
        type->tp_alloc = PyType_GenericAlloc;
        Py_DECREF(type);
    }
    return 0;
}

static PyObject *replace_error(PyObject *module, PyObject *type)
{
    (void)module;
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)PyExc_Exception))
        return PyErr_Format(PyExc_TypeError, "expected an exception class, got %R", type), NULL;
    return PyBool_FromLong(replace((PyTypeObject *)type));
}

static PyObject *replaced_errors(PyObject *module, PyObject *none)
{
    PyObject *names = PyList_New(0);
    (void)module, (void)none;
    for (int i = 0; names && i < replaced_count; i++) {
        PyObject *name = PyUnicode_FromString(replaced[i]->tp_name);
        if (!name || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* What programs ask in their loops. METH_FASTCALL, though without arguments: the interpreter calls such a function directly, and
 * one of METH_NOARGS by way of another. */
static PyObject *refuse_arguments(const char *name, Py_ssize_t count)
{
    return PyErr_Format(PyExc_TypeError, "%s() takes no arguments (%zd given)", name, count);
}

static inline struct bp_thread *caller(void)
{
    return __builtin_expect(bp_me && bp_me->handle, 1) ? bp_me : bp_self();
}

static PyObject *check_interrupt(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module, (void)args;
    if (__builtin_expect(count != 0, 0))
        return refuse_arguments("check_interrupt", count);
    struct bp_thread *t = caller();
    if (!t || check(t) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *interruption_requested(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module, (void)args;
    if (__builtin_expect(count != 0, 0))
        return refuse_arguments("interruption_requested", count);
    struct bp_thread *t = caller();
    return t ? PyBool_FromLong(bough_interrupted()) : NULL;
}

/* Of the interrupt that is pending, what `make` makes of it. */
static PyObject *of_reason(PyObject *(*make)(const struct bough_record *))
{
    struct bough_record why;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bp_nudge_arrives(t);
    if (bough_reason(&why) != 0)
        Py_RETURN_NONE;
    return make(&why);
}

static PyObject *reason(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return of_reason(bp_record_object);
}

/* As an object, whether a point would raise it now or not. What was posted with raise_exc() stays posted. */
static PyObject *exception_of_reason(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return of_reason(thread_exit);
}

/* The root's too, where the caller stands at it: a Ctrl-C that was handled is over (rule 32). */
static PyObject *clear_interrupt(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bool any = t->exception != NULL;
    Py_CLEAR(t->exception);
    bp_disarm(t);
    t->cut = false;
    int cleared = bough_clear(NULL);
    if (cleared < 0)
        return bp_error("cannot clear an interrupt that is final");
    bp_cause_forget_target(t->handle);
    struct bough_record why;
    if (bough_reason(&why) == 0 && why.target == BOUGH_ROOT && bough_clear(BOUGH_ROOT) > 0) {
        bp_cause_forget_target(BOUGH_ROOT);
        cleared++;
    }
    forget_raised(t);
    t->told_until = 0;
    bp_cause_known(t);
    return PyBool_FromLong(any || cleared > 0);
}

bool bp_was_raised_here(const struct bp_thread *t, PyObject *exception)
{
    PyObject *id = PyObject_GenericGetAttr(exception, PyUnicode_InternFromString(mark));
    bool here = id && PyLong_Check(id) && PyLong_AsUnsignedLongLong(id) == t->id;
    PyErr_Clear();
    Py_XDECREF(id);
    return here;
}

static bool is_pending_exit(PyObject *exception)
{
    return bp.thread_exit && PyObject_TypeCheck(exception, (PyTypeObject *)bp.thread_exit) && bough_interrupted();
}

/* An exception that was swallowed is armed again (rule 44): what was posted as it was, a ThreadExit by telling the
 * thread's calls again. What is neither is somebody else's error. */
bool bp_arm_again(struct bp_thread *t, PyObject *exception)
{
    bool posted = PyExceptionInstance_Check(exception) && bp_was_raised_here(t, exception);
    if (!posted && !is_pending_exit(exception))
        return false;
    forget_raised(t);
    if (posted && !t->exception) {
        PyException_SetTraceback(exception, Py_None);
        t->exception = Py_NewRef(exception);
        bp_post_exception(t);
    }
    if (bp_async_exc_start() == 0)
        bp_async_exc_need(t);
    else
        PyErr_Clear(); /* no more threads: points raise it still */
    return true;
}

static PyObject *rearm(PyObject *module, PyObject *exception)
{
    (void)module;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bool again = bp_arm_again(t, exception);
    if (again)
        bough_foreign_again();
    return PyBool_FromLong(again);
}

static PyObject *register_class(PyObject *module, PyObject *thread_exit_class)
{
    (void)module;
    Py_XSETREF(bp.thread_exit, Py_NewRef(thread_exit_class));
    Py_RETURN_NONE;
}

PyMethodDef bp_exception_methods[] = {
    {"check_interrupt", (PyCFunction)(void (*)(void))check_interrupt, METH_FASTCALL,
     PyDoc_STR(
         "check_interrupt()\n--\n\nAn interruption point: raises ThreadExit, or the exception posted by raise_exc(), if "
         "an interrupt is due for the calling thread.")},
    {"interruption_requested", (PyCFunction)(void (*)(void))interruption_requested, METH_FASTCALL,
     PyDoc_STR("interruption_requested()\n--\n\nWhether an interrupt is pending for the calling thread, at any level. "
               "Raises nothing.")},
    {"reason", reason, METH_NOARGS,
     PyDoc_STR("reason()\n--\n\nThe Record of the calling thread's interrupt (the thread that asked, the reason, the "
               "age), or None.")},
    {"exception_of_reason", exception_of_reason, METH_NOARGS,
     PyDoc_STR("exception_of_reason(): a ThreadExit with the record that reason() tells, or None.")},
    {"clear_interrupt", clear_interrupt, METH_NOARGS,
     PyDoc_STR(
         "clear_interrupt()\n--\n\nForget the calling thread's interrupts. Returns whether there were any. What was "
         "posted to a branch around it stays.")},
    {"rearm", rearm, METH_O,
     PyDoc_STR(
         "rearm(exception): it was swallowed. If it was an interrupt it comes again at the next point; else False.")},
    {"replace_error", replace_error, METH_O,
     PyDoc_STR("replace_error(class): where such an object would be made of a call that was cut, the interrupt's is.")},
    {"replaced_errors", replaced_errors, METH_NOARGS, PyDoc_STR("replaced_errors(): the names of such classes.")},
    {"register", register_class, METH_O, PyDoc_STR("register(ThreadExit): the class that _exceptions.py defines.")},
    {0},
};
