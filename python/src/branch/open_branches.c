/* SPDX-License-Identifier: MIT */
/* Keeps for each thread a list of the branches that it has open, the innermost first. */
#include "thread/thread.h"
#include "branch/branch.h"
#include "api/module.h"

PyTypeObject *bp_block_type;

static struct bp_branch_object *object_of(PyObject *object)
{
    if (PyObject_TypeCheck(object, bp_block_type))
        return (struct bp_branch_object *)object;
    PyErr_Format(PyExc_TypeError, "expected a Branch, got %R", object);
    return NULL;
}

struct bp_branch *bp_branch_of(PyObject *object)
{
    struct bp_branch_object *o = object_of(object);
    if (o && !o->branch)
        PyErr_Format(PyExc_RuntimeError, "%R was not entered", object);
    return o ? o->branch : NULL;
}

void bp_branch_list(struct bp_branch_object *o, struct bp_thread *t)
{
    o->opened_by = t;
    o->next = t->branches;
    t->branches = o;
}

void bp_branch_unlist(struct bp_branch_object *o)
{
    struct bp_branch_object **at = o->opened_by ? &o->opened_by->branches : NULL;
    while (at && *at != o)
        at = &(*at)->next;
    if (at)
        *at = o->next;
    o->opened_by = NULL;
    o->next = NULL;
}

void bp_branches_forget(struct bp_thread *t)
{
    while (t->branches)
        bp_branch_unlist(t->branches);
}

/* A list of the branches that the calling thread has open inside `outer` (None: of all), the innermost first. */
static PyObject *branches_in(PyObject *module, PyObject *outer)
{
    struct bp_thread *t = bp_thread_known();
    struct bp_branch_object *until = outer == Py_None ? NULL : object_of(outer);
    PyObject *list = !until && outer != Py_None ? NULL : PyList_New(0);
    (void)module;
    if (list && (!t || (until && until->opened_by != t)))
        return list;
    for (struct bp_branch_object *o = t ? t->branches : NULL; list && o && o != until; o = o->next)
        if (o->open && PyList_Append(list, (PyObject *)o) != 0)
            Py_CLEAR(list);
    return list;
}

/* The handle of the branch for whose children main waits in bp_branch_wait(); None: there is no such branch. */
static PyObject *waiting_branch(PyObject *module, PyObject *id)
{
    struct bp_thread *t = bp_thread_of_id(PyLong_AsUnsignedLongLong(id));
    (void)module;
    if (!t)
        return NULL;
    for (const struct bp_branch_object *o = t->branches; o; o = o->next)
        if (o->branch && o->branch->waits)
            return PyLong_FromVoidPtr(o->branch->handle);
    Py_RETURN_NONE;
}

/* The branch has ended: remove it from its list. */
static PyObject *branch_forget(PyObject *module, PyObject *object)
{
    struct bp_branch_object *o = object_of(object);
    (void)module;
    if (!o)
        return NULL;
    bp_branch_unlist(o);
    Py_RETURN_NONE;
}

PyMethodDef bp_open_branch_methods[] = {
    {"branches_in", branches_in, METH_O,
     PyDoc_STR("branches_in(outer): the caller's open branches in it (None: all), the innermost first.")},
    {"waiting_branch", waiting_branch, METH_O,
     PyDoc_STR("waiting_branch(id): the handle of the branch for whose children that thread, main, waits, or None.")},
    {"branch_forget", branch_forget, METH_O,
     PyDoc_STR("branch_forget(branch): remove a branch that has ended from its thread's list.")},
    {0},
};
