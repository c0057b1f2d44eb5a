/* SPDX-License-Identifier: MIT */
/*
 * The object behind bough.Child: what it is to call, and what has become of it. A child that goes well needs no Python code but its
 * own function's: it is added here, and run in child.c. All else is in _child.py, whose class derives from this one. What few
 * children need (an Event for those who join it, a list of what is to be closed) is made when it is asked for: a thousand children that
 * wait cost their memory.
 */
#include "branch.h"
#include "object.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <structmember.h>
#include <unistd.h>

static PyTypeObject *base;
static PyObject *child_class; /* _child.py's */

/* ---- attributes ------------------------------------------------------------------------------------------------ */

static struct bp_child_object *of(PyObject *self)
{
    return (struct bp_child_object *)self;
}

static PyObject *get_handle(PyObject *self, void *closure)
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

static const struct bp_lazy closing = {offsetof(struct bp_child_object, closing), bp_new_list},
                            posted = {offsetof(struct bp_child_object, posted), bp_new_list};

static PyGetSetDef attributes[] = {
    {"ident", get_ident, NULL, PyDoc_STR("As of threading.get_ident(), once it runs."), NULL},
    {"_handle", get_handle, NULL, NULL, NULL},
    {"_branch", get_branch, NULL, NULL, NULL},
    {"_closing", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&closing},
    {"_posted", bp_lazy_get, bp_lazy_set, NULL, (void *)(uintptr_t)&posted},
    {0},
};

#define OFFSET(field) (Py_ssize_t) offsetof(struct bp_child_object, field)

static PyMemberDef members[] = {
    {"name", T_OBJECT, OFFSET(name), 0, PyDoc_STR("For messages, the kernel and the tree.")},
    {"outcome", T_OBJECT, OFFSET(outcome), 0, PyDoc_STR("What has become of it.")},
    {"result", T_OBJECT, OFFSET(result), 0, PyDoc_STR("What its function returned, if it did.")},
    {"exception", T_OBJECT, OFFSET(exception), 0, PyDoc_STR("What its function raised, if it failed.")},
    {"_owner", T_OBJECT, OFFSET(owner), 0, NULL},
    {"_above", T_OBJECT, OFFSET(above), 0, NULL},
    {"_ended", T_OBJECT, OFFSET(ended), 0, NULL},
    {"_over", T_BOOL, OFFSET(over), 0, NULL},
    {"_process", T_INT, OFFSET(process), 0, NULL},
    {"_native_id", T_ULONG, OFFSET(native_id), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, OFFSET(weak_references), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, OFFSET(dictionary), READONLY, NULL},
    {0},
};

/* ---- it has ended ------------------------------------------------------------------------------------------------ */

/* A new reference; None: the branch was dropped. NULL with an exception. */
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

/* Who joins it makes the Event first and looks at `over` then. */
int bp_child_forget(struct bp_child_object *c)
{
    PyObject *owner = owner_of(c), *ended = NULL;
    int error = owner ? 0 : -1;
    if (owner && owner != Py_None)
        error = give_place_back((struct bp_branch_object *)owner, (PyObject *)c);
    Py_XDECREF(owner);
    Py_CLEAR(c->above);
    c->over = 1;
    if (error == 0 && c->ended && c->ended != Py_None) {
        ended = PyObject_CallMethod(c->ended, "set", NULL);
        error = ended ? 0 : -1;
    }
    Py_XDECREF(ended);
    return error;
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

static PyMethodDef methods[] = {
    {"_forget", forget, METH_NOARGS, PyDoc_STR("It has ended, or never started: its place is free.")},
    {"_drop_call", drop_call, METH_NOARGS, PyDoc_STR("It is not going to call anything.")},
    {0},
};

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static const size_t references[] = {
    offsetof(struct bp_child_object, dictionary),
    offsetof(struct bp_child_object, name),
    offsetof(struct bp_child_object, outcome),
    offsetof(struct bp_child_object, result),
    offsetof(struct bp_child_object, exception),
    offsetof(struct bp_child_object, owner),
    offsetof(struct bp_child_object, above),
    offsetof(struct bp_child_object, function),
    offsetof(struct bp_child_object, args),
    offsetof(struct bp_child_object, keywords),
    offsetof(struct bp_child_object, context),
    offsetof(struct bp_child_object, closing),
    offsetof(struct bp_child_object, posted),
    offsetof(struct bp_child_object, ended),
    0,
};

static int traverse(PyObject *self, visitproc visit, void *arg)
{
    return bp_references_visit(self, references, visit, arg);
}

static int clear(PyObject *self)
{
    bp_references_clear(self, references);
    return 0;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (of(self)->weak_references)
        PyObject_ClearWeakRefs(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What bough.Child consists of.")},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {Py_tp_traverse, (void *)traverse},
    {Py_tp_clear, (void *)clear},
    {Py_tp_dealloc, (void *)dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "bough._bough.Child",
    .basicsize = sizeof(struct bp_child_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* What add() was given besides the function and its arguments; NULL where it was not. */
struct options {
    PyObject *name, *closing;
};

static bool is_called(PyObject *keyword, const char *name)
{
    return PyUnicode_CompareWithASCIIString(keyword, name) == 0;
}

/* `values` are those of the keywords. -1 with an exception. */
static int take_keywords(struct bp_child_object *c, struct options *options, PyObject *const *values, PyObject *names)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (is_called(name, "name"))
            options->name = values[i];
        else if (is_called(name, "closing"))
            options->closing = values[i];
        else if ((!c->keywords && !(c->keywords = PyDict_New())) || PyDict_SetItem(c->keywords, name, values[i]) != 0)
            return -1;
    }
    return 0;
}

static PyObject *name_of(PyObject *function, PyObject *given)
{
    static unsigned long counter;
    int some = given ? PyObject_IsTrue(given) : 0;
    if (some)
        return some > 0 ? PyObject_Str(given) : NULL;
    PyObject *name = PyObject_GetAttrString(function, "__name__");
    if (!name)
        PyErr_Clear();
    PyObject *result =
        name ? PyUnicode_FromFormat("%S-%lu", name, ++counter) : PyUnicode_FromFormat("child-%lu", ++counter);
    Py_XDECREF(name);
    return result;
}

static struct bp_child_object *new_child(struct bp_branch_object *o, PyObject *const *args, Py_ssize_t count,
                                         PyObject *names, struct options *options)
{
    static PyObject *running;
    if (!child_class)
        return PyErr_SetString(PyExc_RuntimeError, "bough._child is not loaded"), NULL;
    if (!running && !(running = PyUnicode_InternFromString("running")))
        return NULL;
    PyTypeObject *type = (PyTypeObject *)child_class;
    struct bp_child_object *c = of(type->tp_alloc(type, 0));
    if (!c)
        return NULL;
    c->outcome = Py_NewRef(running);
    c->function = Py_NewRef(args[0]);
    c->process = getpid();
    c->branch_handle = o->branch ? (uintptr_t)o->branch->handle : 0;
    c->args = PyTuple_New(count - 1);
    for (Py_ssize_t i = 1; c->args && i < count; i++)
        PyTuple_SET_ITEM(c->args, i - 1, Py_NewRef(args[i]));
    c->owner = PyWeakref_NewRef((PyObject *)o, NULL); /* it can be dropped while it is open, and says so (rule 31) */
    if (c->args && c->owner && take_keywords(c, options, args + count, names) == 0 &&
        (c->name = name_of(args[0], options->name)))
        return c;
    Py_DECREF(c);
    return NULL;
}

/* What most programs give, and can't be wrong. */
static bool is_good_function(PyObject *function)
{
    const int asynchronous = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR;
    return PyCFunction_Check(function) ||
           (PyFunction_Check(function) && !(((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags & asynchronous));
}

static int call(PyObject *self, const char *method, PyObject *one, PyObject *two)
{
    PyObject *result = two   ? PyObject_CallMethod(self, method, "OO", one, two)
                       : one ? PyObject_CallMethod(self, method, "O", one)
                             : PyObject_CallMethod(self, method, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* All else is looked at by Python code. */
static int check(struct bp_branch_object *o, struct bp_child_object *c, const struct options *options)
{
    if (!options->closing && is_good_function(c->function))
        return 0;
    PyObject *things = options->closing ? Py_NewRef(options->closing) : PyTuple_New(0);
    PyObject *result =
        things ? PyObject_CallMethod((PyObject *)o, "_check_child", "OOO", c, c->function, things) : NULL;
    Py_XDECREF(things);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int prepare(struct bp_branch_object *o, struct bp_child_object *c, const struct options *options)
{
    if (check(o, c, options) != 0)
        return -1;
    if (!o->open)
        return (void)PyErr_Format(PyExc_RuntimeError, "%R is not open", o), -1;
    if ((!o->in || o->in == Py_None) && PyThread_get_thread_ident() == o->ident)
        Py_XSETREF(o->in, bp_current_child());
    c->above = Py_XNewRef(o->in);
    return o->slots && o->slots != Py_None ? call(o->slots, "acquire", NULL, NULL) : 0;
}

/* 0, also if the branch is marked and nothing was started; then it has no handle. -1 with an exception. */
static int start(struct bp_branch_object *o, struct bp_child_object *c)
{
    const char *name;
    PyObject *children = PyObject_GetAttrString((PyObject *)o, "_children");
    int error = children ? PySet_Add(children, (PyObject *)c) : -1; /* from here on bp_child_forget() takes it out */
    Py_XDECREF(children);
    if (error != 0 || !(c->context = PyContext_CopyCurrent()))
        return -1;
    PyObject *text = bp_for_library(c->name, &name);
    if (!text)
        return -1;
    error = bp_child_start(o->branch, c, name);
    Py_DECREF(text);
    return error;
}

/* The exception that is set stays. */
static void never_started(struct bp_child_object *c)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (call((PyObject *)c, "_never_started", NULL, NULL) != 0)
        PyErr_WriteUnraisable((PyObject *)c);
    PyErr_Restore(type, value, trace);
}

PyObject *bp_branch_add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    struct bp_branch_object *o = (struct bp_branch_object *)self;
    struct options options = {0};
    if (count < 1)
        return PyErr_SetString(PyExc_TypeError, "Branch.add() missing 1 required positional argument: 'fn'"), NULL;
    struct bp_child_object *c = new_child(o, args, count, names, &options);
    if (!c)
        return NULL;
    int error = prepare(o, c, &options);
    if (error == 0)
        error = start(o, c);
    if (!c->handle)
        never_started(c);
    if (error == 0 && !c->handle)
        error = call(self, "_refuse", NULL, NULL);
    if (error == 0 && !o->open)
        error = call((PyObject *)c, "_given_up", NULL, NULL);
    if (error == 0)
        return (PyObject *)c;
    Py_DECREF(c);
    return NULL;
}

/* ---- what belongs to no object ------------------------------------------------------------------------------------ */

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
    return bp_keep_class(&child_class, base, class, "child_is");
}

PyMethodDef bp_child_object_methods[] = {
    {"current_child", current_child, METH_NOARGS,
     PyDoc_STR("current_child()\n--\n\nThe Child that the calling code runs in, or None.")},
    {"child_is", child_is, METH_O, PyDoc_STR("child_is(class): what Branch.add() makes; a decorator.")},
    {0},
};

int bp_child_init(PyObject *module)
{
    return bp_add_type(module, &base, &spec, "Child");
}
