/* SPDX-License-Identifier: MIT */
/*
 * The object behind bough.Child: its function and its outcome. A child that succeeds needs no Python code but its
 * function's: child_add.c adds the child, and child.c runs it. Everything else is in _child.py, whose class derives
 * from this type. Parts that few children need (an Event for joining threads, a list of objects to close) are created
 * at their first use, to save memory with thousands of waiting children.
 */
#include "base/base.h"
#include "base/object.h"
#include "branch/branch.h"
#include "api/module.h"

#include <stddef.h>
#include <structmember.h>

static PyTypeObject *child_base;
static PyObject *child_class; /* the class in _child.py */

/* ---- attributes ------------------------------------------------------------------------------------------------ */

static struct bp_child_object *of(PyObject *self)
{
    return (struct bp_child_object *)self;
}

static PyObject *child_get_handle(PyObject *self, void *closure)
{
    (void)closure;
    return of(self)->handle ? PyLong_FromVoidPtr((void *)(uintptr_t)of(self)->handle) : Py_NewRef(Py_None);
}

static PyObject *get_branch(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromVoidPtr((void *)(uintptr_t)of(self)->branch_handle);
}

static PyObject *get_ident(PyObject *self, void *closure)
{
    (void)closure;
    return of(self)->ident ? PyLong_FromUnsignedLong(of(self)->ident) : Py_NewRef(Py_None);
}

/* The event of the child's end. */
static PyObject *new_event(void)
{
    PyObject *class = bp_load("bough._child", "_Ended"), *event = class ? PyObject_CallNoArgs(class) : NULL;
    Py_XDECREF(class);
    return event;
}

static const struct bp_lazy closing = {offsetof(struct bp_child_object, closing), bp_new_list},
                            posted = {offsetof(struct bp_child_object, posted), bp_new_list},
                            ended = {offsetof(struct bp_child_object, ended), new_event};

static PyGetSetDef child_attributes[] = {
    {"ident", get_ident, NULL, PyDoc_STR("The value of threading.get_ident() in the child, once it runs."), NULL},
    {"_handle", child_get_handle, NULL, NULL, NULL},
    {"_branch", get_branch, NULL, NULL, NULL},
    {"_closing", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&closing},
    {"_posted", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&posted},
    {"_ended", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&ended},
    {0},
};

#define OFFSET(field) (Py_ssize_t) offsetof(struct bp_child_object, field)

static PyMemberDef child_members[] = {
    {"name", T_OBJECT, OFFSET(name), 0, PyDoc_STR("The name in messages, in the kernel and in the tree.")},
    {"outcome", T_OBJECT, OFFSET(outcome), 0, PyDoc_STR("How the child ended, or 'running'.")},
    {"_result", T_OBJECT, OFFSET(result), 0, NULL},
    {"_raised_text", T_OBJECT, OFFSET(raised_text), 0, NULL},
    {"exception", T_OBJECT, OFFSET(exception), 0, PyDoc_STR("What its function raised, if it failed.")},
    {"_owner", T_OBJECT, OFFSET(owner), 0, NULL},
    {"_above", T_OBJECT, OFFSET(above), 0, NULL},
    {"_over", T_BOOL, OFFSET(over), 0, NULL},
    {"_process", T_INT, OFFSET(process), 0, NULL},
    {"_native_id", T_ULONG, OFFSET(native_id), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, OFFSET(weak_references), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, OFFSET(dictionary), READONLY, NULL},
    {0},
};

/* ---- the end of a child ------------------------------------------------------------------------------------------ */

/* A new reference to the child's branch; None: the branch was dropped. NULL with an exception. */
static PyObject *owner_of(const struct bp_child_object *c)
{
    return c->owner ? PyObject_CallNoArgs(c->owner) : Py_NewRef(Py_None);
}

static int give_place_back(struct bp_branch_object *o, PyObject *child)
{
    int was_there = o->children ? PySet_Discard(o->children, child) : 0;
    if (was_there <= 0 || !o->slots || o->slots == Py_None)
        return was_there < 0 ? -1 : 0;
    PyObject *result = PyObject_CallMethod(o->slots, "release", NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Sets `over` before it reads `ended`, because a joining thread creates the Event first and then reads `over`. */
int bp_child_forget(struct bp_child_object *c)
{
    PyObject *owner = owner_of(c);
    int error = owner ? 0 : -1;
    if (owner && owner != Py_None)
        error = give_place_back((struct bp_branch_object *)owner, (PyObject *)c);
    Py_XDECREF(owner);
    Py_CLEAR(c->above);
    c->over = 1;
    if (error != 0 || !c->ended)
        return error;
    PyObject *event = Py_NewRef(c->ended), *set = PyObject_CallMethod(event, "set", NULL);
    Py_DECREF(event);
    Py_XDECREF(set);
    return set ? 0 : -1;
}

static PyObject *forget(PyObject *self, PyObject *none)
{
    (void)none;
    if (bp_child_forget(of(self)) != 0)
        return NULL;
    Py_RETURN_NONE;
}

void bp_child_drop_call(struct bp_child_object *c)
{
    Py_CLEAR(c->function);
    Py_CLEAR(c->args);
    Py_CLEAR(c->keywords);
    Py_CLEAR(c->context);
}

static PyObject *drop_call(PyObject *self, PyObject *none)
{
    (void)none;
    bp_child_drop_call(of(self));
    Py_RETURN_NONE;
}

/* In C, so that a traceback shows only the call of result() and the place of the child's failure. Does not change the
 * exception's context. */
static PyObject *result(PyObject *self, PyObject *none)
{
    struct bp_child_object *c = of(self);
    PyObject *error = c->exception;
    (void)none;
    if (c->outcome && PyUnicode_Check(c->outcome) && PyUnicode_CompareWithASCIIString(c->outcome, "ok") == 0)
        return Py_NewRef(c->result ? c->result : Py_None);
    if (error && PyExceptionInstance_Check(error)) {
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
        return NULL;
    }
    Py_XDECREF(PyObject_CallMethod(self, "_no_result", NULL));
    bp_hide_own_frames();
    return NULL;
}

static PyMethodDef child_methods[] = {
    {"result", result, METH_NOARGS,
     PyDoc_STR(
         "result($self, /)\n--\n\nReturn what the function returned. If the child has failed, raise its exception "
         "again. Raises NoResultError if there is neither, because the child still runs, was interrupted or was not "
         "started, or because its block has raised the exception.")},
    {"_forget", forget, METH_NOARGS, PyDoc_STR("Remove a child that has ended, or never started, from its branch.")},
    {"_drop_call", drop_call, METH_NOARGS, PyDoc_STR("Drop the function and its arguments, which will not be called.")},
    {0},
};

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static const size_t child_references[] = {
    offsetof(struct bp_child_object, dictionary), offsetof(struct bp_child_object, name),
    offsetof(struct bp_child_object, outcome),    offsetof(struct bp_child_object, result),
    offsetof(struct bp_child_object, exception),  offsetof(struct bp_child_object, raised_text),
    offsetof(struct bp_child_object, owner),      offsetof(struct bp_child_object, above),
    offsetof(struct bp_child_object, function),   offsetof(struct bp_child_object, args),
    offsetof(struct bp_child_object, keywords),   offsetof(struct bp_child_object, context),
    offsetof(struct bp_child_object, closing),    offsetof(struct bp_child_object, posted),
    offsetof(struct bp_child_object, ended),      0,
};

static int child_traverse(PyObject *self, visitproc visit, void *arg)
{
    return bp_references_visit(self, child_references, visit, arg);
}

static int child_clear(PyObject *self)
{
    bp_references_clear(self, child_references);
    return 0;
}

static void child_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (of(self)->weak_references)
        PyObject_ClearWeakRefs(self);
    child_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot child_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.Child.")},
    {Py_tp_methods, child_methods},
    {Py_tp_members, child_members},
    {Py_tp_getset, child_attributes},
    {Py_tp_traverse, (void *)child_traverse},
    {Py_tp_clear, (void *)child_clear},
    {Py_tp_dealloc, (void *)child_dealloc},
    {0, NULL},
};

static PyType_Spec child_spec = {
    .name = "bough._bough.Child",
    .basicsize = sizeof(struct bp_child_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = child_slots,
};

/* ---- a new child ------------------------------------------------------------------------------------------------- */

struct bp_child_object *bp_child_new(void)
{
    if (!child_class)
        return PyErr_SetString(PyExc_RuntimeError, "bough._child is not loaded"), NULL;
    PyTypeObject *type = (PyTypeObject *)child_class;
    return of(type->tp_alloc(type, 0));
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

PyObject *bp_current_child(void)
{
    const struct bp_thread *t = bp_me;
    return Py_NewRef(t && t->child ? t->child : Py_None);
}

static PyObject *current_child(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return bp_current_child();
}

static PyObject *child_is(PyObject *module, PyObject *class)
{
    (void)module;
    return bp_keep_class(&child_class, child_base, class, "child_is");
}

PyMethodDef bp_child_object_methods[] = {
    {"current_child", current_child, METH_NOARGS,
     PyDoc_STR("current_child()\n--\n\nThe Child that the calling code runs in, or None.")},
    {"child_is", child_is, METH_O,
     PyDoc_STR("child_is(class): set the class whose objects Branch.add() creates; a decorator.")},
    {0},
};

int bp_child_init(PyObject *module)
{
    return bp_add_type(module, &child_base, &child_spec, "Child");
}
