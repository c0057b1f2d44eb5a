/* SPDX-License-Identifier: MIT */
/*
 * The object behind bough.Branch and bough.CancelScope: its arguments and its results. Block is the base type of both.
 * Children can be added to a Branch only; for a scope see scope.c.
 *
 * A branch in which nothing fails needs no Python code but the caller's: the branch is created here, and entered and
 * left in branch_context.c. Everything else is in _branch.py, whose class derives from this type and finds its
 * attributes here. A list or set is created at its first use.
 */
#include "base/base.h"
#include "base/object.h"
#include "branch/branch.h"
#include "api/module.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>

static PyTypeObject *branch_base;
static PyObject *branch_class; /* the class in _branch.py */

/* ---- its attributes -------------------------------------------------------------------------------------------- */

static PyObject *block_get_handle(PyObject *self, void *closure)
{
    const struct bp_branch_object *o = (struct bp_branch_object *)self;
    (void)closure;
    return o->branch ? PyLong_FromVoidPtr(o->branch->handle) : Py_NewRef(Py_None);
}

static const struct bp_lazy failures = {offsetof(struct bp_branch_object, failures), bp_new_list},
                            errors = {offsetof(struct bp_branch_object, errors), bp_new_list},
                            children = {offsetof(struct bp_branch_object, children), bp_new_set};

static PyGetSetDef block_attributes[] = {
    {"failures", bp_lazy_get, bp_lazy_set,
     PyDoc_STR("Of a supervisor: the first 64 exceptions that its children raised."), (void *)(uintptr_t)&failures},
    {"_errors", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&errors},
    {"_children", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&children},
    {"_handle", block_get_handle, NULL, NULL, NULL},
    {0},
};

#define OFFSET(field) (Py_ssize_t) offsetof(struct bp_branch_object, field)

static PyMemberDef block_members[] = {
    {"name", T_OBJECT, OFFSET(name), 0, PyDoc_STR("The name in messages and in the tree.")},
    {"interrupted", T_BOOL, OFFSET(interrupted), 0, PyDoc_STR("After the block: a stop of this branch ended it.")},
    {"_strict", T_BOOL, OFFSET(strict), 0, NULL},
    {"_supervisor", T_BOOL, OFFSET(supervisor), 0, NULL},
    {"_stopped", T_BOOL, OFFSET(stopped), 0, NULL},
    {"_timed_out", T_BOOL, OFFSET(timed_out), 0, NULL},
    {"_is_inherited", T_BOOL, OFFSET(inherited), 0, NULL},
    {"_ended_with_main", T_BOOL, OFFSET(ended_with_main), 0, NULL},
    {"_is_open", T_BOOL, OFFSET(open), 0, NULL},
    {"_thread", T_ULONG, OFFSET(ident), READONLY, NULL},
    {"_limit", T_OBJECT, OFFSET(limit), 0, NULL},
    {"_timeout", T_OBJECT, OFFSET(timeout), 0, NULL},
    {"_deadline", T_OBJECT, OFFSET(deadline), 0, NULL},
    {"_slots", T_OBJECT, OFFSET(slots), 0, NULL},
    {"_where", T_OBJECT, OFFSET(where), 0, NULL},
    {"_in", T_OBJECT, OFFSET(in), 0, NULL},
    {"_left_by", T_OBJECT, OFFSET(left_by), 0, NULL},
    {"_from_outside", T_OBJECT, OFFSET(from_outside), 0, NULL},
    {"_scope", T_BYTE, OFFSET(scope), READONLY, NULL},
    {"_asynchronous", T_BOOL, OFFSET(asynchronous), 0, NULL},
    {"_cancelled", T_BOOL, OFFSET(cancelled), 0, NULL},
    {"_caught", T_BOOL, OFFSET(caught), 0, NULL},
    {"_used", T_BOOL, OFFSET(used), 0, NULL},
    {"_ends_at", T_LONGLONG, OFFSET(ends_at), 0, NULL},
    {"_reason", T_OBJECT, OFFSET(reason), 0, NULL},
    {"_due", T_OBJECT, OFFSET(due), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, OFFSET(weak_references), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, OFFSET(dictionary), READONLY, NULL},
    {0},
};

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static const size_t block_references[] = {
    offsetof(struct bp_branch_object, dictionary),   offsetof(struct bp_branch_object, name),
    offsetof(struct bp_branch_object, limit),        offsetof(struct bp_branch_object, timeout),
    offsetof(struct bp_branch_object, deadline),     offsetof(struct bp_branch_object, failures),
    offsetof(struct bp_branch_object, errors),       offsetof(struct bp_branch_object, children),
    offsetof(struct bp_branch_object, slots),        offsetof(struct bp_branch_object, where),
    offsetof(struct bp_branch_object, in),           offsetof(struct bp_branch_object, left_by),
    offsetof(struct bp_branch_object, from_outside), offsetof(struct bp_branch_object, reason),
    offsetof(struct bp_branch_object, due),          0,
};

static int block_traverse(PyObject *self, visitproc visit, void *arg)
{
    return bp_references_visit(self, block_references, visit, arg);
}

static int block_clear(PyObject *self)
{
    bp_references_clear(self, block_references);
    return 0;
}

/* Reports a branch that is dropped while it is open (rule 31). The exception that is set stays. */
static void finalize(PyObject *self)
{
    PyObject *type, *value, *trace;
    bp_scope_dropped((struct bp_branch_object *)self);
    if (!((struct bp_branch_object *)self)->open)
        return;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *result = PyObject_CallMethod(self, "_dropped", NULL);
    if (!result)
        PyErr_WriteUnraisable(self);
    Py_XDECREF(result);
    PyErr_Restore(type, value, trace);
}

static void block_dealloc(PyObject *self)
{
    struct bp_branch_object *o = (struct bp_branch_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (o->weak_references)
        PyObject_ClearWeakRefs(self);
    bp_branch_unlist(o);
    block_clear(self);
    if (o->branch)
        bp_branch_release(o->branch);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot block_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.Branch and bough.CancelScope.")},
    {Py_tp_methods, bp_block_with},
    {Py_tp_members, block_members},
    {Py_tp_getset, block_attributes},
    {Py_tp_traverse, (void *)block_traverse},
    {Py_tp_clear, (void *)block_clear},
    {Py_tp_finalize, (void *)finalize},
    {Py_tp_dealloc, (void *)block_dealloc},
    {0, NULL},
};

static PyType_Spec block_spec = {
    .name = "bough._bough.Block",
    .basicsize = sizeof(struct bp_branch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = block_slots,
};

static PyType_Slot branch_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.Branch.")},
    {Py_tp_base, NULL}, /* a Block */
    {Py_tp_methods, bp_branch_adds},
    {0, NULL},
};

static PyType_Spec branch_spec = {
    .name = "bough._bough.Branch",
    .basicsize = sizeof(struct bp_branch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = branch_slots,
};

/* ---- branch() ---------------------------------------------------------------------------------------------------- */

/* Is the name a value that needs no further check, as in most programs? */
static bool is_good_name(PyObject *name)
{
    return PyUnicode_CheckExact(name);
}

bool bp_is_good_timeout(PyObject *timeout)
{
    enum { FAR = 1000000000 }; /* s */
    if (!PyFloat_CheckExact(timeout) && !PyLong_CheckExact(timeout))
        return timeout == Py_None;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred())
        PyErr_Clear();
    return seconds >= 0 && seconds < FAR;
}

/* Python code checks all other values, and may convert them. */
static int check_branch_options(struct bp_branch_object *o)
{
    if (is_good_name(o->name) && bp_is_good_timeout(o->timeout) && o->limit == Py_None && o->deadline == Py_None)
        return 0;
    PyObject *result = PyObject_CallMethod((PyObject *)o, "_check_options", NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static bool has_no_arguments(PyObject *args, PyObject *keywords)
{
    return PyTuple_GET_SIZE(args) == 0 && (!keywords || PyDict_GET_SIZE(keywords) == 0);
}

static PyObject *branch(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"name",
                            (char *)"strict",
                            (char *)"supervisor",
                            (char *)"limit",
                            (char *)"timeout",
                            (char *)"deadline",
                            NULL};
    static PyObject *default_name;
    int strict = 0, supervisor = 0;
    PyObject *name = NULL, *limit = Py_None, *timeout = Py_None, *deadline = Py_None;
    (void)module;
    if (!default_name && !(default_name = PyUnicode_InternFromString("branch")))
        return NULL;
    if (!has_no_arguments(args, keywords) &&
        !PyArg_ParseTupleAndKeywords(args, keywords, "|O$ppOOO:branch", names, &name, &strict, &supervisor, &limit,
                                     &timeout, &deadline))
        return bp_misfit("branch");
    if (!branch_class)
        return PyErr_SetString(PyExc_RuntimeError, "bough._branch is not loaded"), NULL;
    PyTypeObject *type = (PyTypeObject *)branch_class;
    struct bp_branch_object *o = (struct bp_branch_object *)type->tp_alloc(type, 0);
    if (!o)
        return NULL;
    o->strict = strict != 0;
    o->supervisor = supervisor != 0;
    o->name = Py_NewRef(name ? name : default_name);
    o->limit = Py_NewRef(limit);
    o->timeout = Py_NewRef(timeout);
    o->deadline = Py_NewRef(deadline);
    if (check_branch_options(o) == 0)
        return (PyObject *)o;
    Py_DECREF(o);
    bp_hide_own_frames();
    return NULL;
}

static PyObject *branch_is(PyObject *module, PyObject *class)
{
    (void)module;
    return bp_keep_class(&branch_class, branch_base, class, "branch_is");
}

PyMethodDef bp_branch_object_methods[] = {
    {"branch", (PyCFunction)(void (*)(void))branch, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "branch(name='branch', *, strict=False, supervisor=False, limit=None, timeout=None, deadline=None)\n"
         "--\n\n"
         "A block that owns threads: `with branch() as b: b.add(fn, *args)`.\n\n"
         "strict      always raise a MultipleError, also for a single failure\n"
         "supervisor  a child's failure affects neither the other children nor the block\n"
         "limit       the largest number of children at a time: add() waits for a place\n"
         "timeout     seconds for the whole block; or deadline, a time of time.monotonic(). Raises TimeoutError if "
         "it interrupted something")},
    {"branch_is", branch_is, METH_O,
     PyDoc_STR("branch_is(class): set the class whose objects branch() creates; a decorator.")},
    {0},
};

int bp_branch_init(PyObject *module)
{
    if (bp_add_type(module, &bp_block_type, &block_spec, "Block") != 0)
        return -1;
    branch_slots[1].pfunc = bp_block_type;
    return bp_add_type(module, &branch_base, &branch_spec, "Branch");
}
