/* SPDX-License-Identifier: MIT */
/*
 * Calls that the package passes to a pool's workers: those of bough.ThreadPoolExecutor and of bough.to_thread().
 *
 * A Call is the function of a work item. It is called once. Another thread may interrupt it, before it begins and while
 * it runs: that thread sets `asked` and then reads the handle; the call publishes its handle and then reads `asked`.
 */
#include "api/pool_item.h"
#include "base/object.h"

#include <structmember.h>

struct call {
    PyObject_HEAD
    PyObject *function, *args, *keywords; /* NULL: it has begun, or never will */
    PyObject *name;                       /* of its branch, or None */
    PyObject *running;                    /* the set of its executor's calls that run, or None */
    PyObject *asked;                      /* why it was interrupted, or None */
    PyObject *weak;
    void *handle; /* of its branch, while it runs */
};

#define OFFSET(field) offsetof(struct call, field)

static const size_t references[] = {
    OFFSET(function), OFFSET(args), OFFSET(keywords), OFFSET(name), OFFSET(running), OFFSET(asked), 0};

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"function", (char *)"args", (char *)"kwargs",
                            (char *)"running",  (char *)"name", NULL};
    PyObject *function, *positional, *given, *running = Py_None, *name = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO!O!|OO:Call", names, &function, &PyTuple_Type, &positional,
                                     &PyDict_Type, &given, &running, &name))
        return NULL;
    struct call *c = (struct call *)type->tp_alloc(type, 0);
    if (!c)
        return NULL;
    c->function = Py_NewRef(function);
    c->args = Py_NewRef(positional);
    c->keywords = Py_NewRef(given);
    c->running = Py_NewRef(running);
    c->name = Py_NewRef(name);
    c->asked = Py_NewRef(Py_None);
    return (PyObject *)c;
}

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
    if (((struct call *)self)->weak)
        PyObject_ClearWeakRefs(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *never_begun(void)
{
    PyObject *error = bp.thread_exit ? PyObject_CallFunction(bp.thread_exit, "s", "cancelled before it began") : NULL;
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

static int notes_that_it_runs(struct call *c, bool runs)
{
    if (c->running == Py_None)
        return 0;
    return runs ? PySet_Add(c->running, (PyObject *)c) : PySet_Discard(c->running, (PyObject *)c) < 0 ? -1 : 0;
}

static PyObject *in_branch(struct call *c, PyObject *function, PyObject *args, PyObject *keywords)
{
    struct bp_thread *t = bp_self();
    const char *name = c->name == Py_None ? "item" : PyUnicode_AsUTF8(c->name);
    if (!t || !name)
        return NULL;
    PyObject *result = NULL;
    struct bp_item item = bp_item_begin(t, name);
    c->handle = item.branch;
    if (c->asked != Py_None)
        never_begun();
    else {
        if (bp_taking_part_begin(t) == 0)
            result = PyObject_Call(function, args, keywords);
        if (!result)
            bp_item_failed(t);
    }
    c->handle = NULL;
    bp_item_end(&item);
    return result;
}

static PyObject *call(PyObject *self, PyObject *no_args, PyObject *no_keywords)
{
    struct call *c = (struct call *)self;
    PyObject *function = c->function, *args = c->args, *keywords = c->keywords, *result = NULL;
    (void)no_args, (void)no_keywords;
    if (!function)
        return never_begun();
    c->function = c->args = c->keywords = NULL;
    if (notes_that_it_runs(c, true) == 0) {
        result = in_branch(c, function, args, keywords);
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        if (notes_that_it_runs(c, false) != 0)
            PyErr_WriteUnraisable(self);
        PyErr_Restore(type, value, trace);
    }
    Py_DECREF(function);
    Py_DECREF(args);
    Py_DECREF(keywords);
    return result;
}

/* Prevents the call from beginning. Returns whether that was in time. */
static PyObject *forgo(PyObject *self, PyObject *none)
{
    struct call *c = (struct call *)self;
    (void)none;
    if (!c->function)
        Py_RETURN_FALSE;
    Py_CLEAR(c->function);
    Py_CLEAR(c->args);
    Py_CLEAR(c->keywords);
    Py_RETURN_TRUE;
}

static PyObject *get_handle(PyObject *self, void *none)
{
    void *handle = ((struct call *)self)->handle;
    (void)none;
    return handle ? PyLong_FromVoidPtr(handle) : Py_NewRef(Py_None);
}

static PyMethodDef call_methods[] = {
    {"forgo", forgo, METH_NOARGS,
     PyDoc_STR("forgo($self, /)\n--\n\nReturns whether the call has not begun: then it never will.")},
    {0},
};

static PyMemberDef members[] = {
    {"asked", T_OBJECT, OFFSET(asked), 0, PyDoc_STR("Why it was interrupted, or None.")},
    {"__weaklistoffset__", T_PYSSIZET, OFFSET(weak), READONLY, NULL},
    {0},
};

static PyGetSetDef attributes[] = {
    {"handle", get_handle, NULL, PyDoc_STR("Its branch's, while it runs, or None."), NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("What bough._call.Call consists of.")},
    {Py_tp_new, (void *)new},
    {Py_tp_call, (void *)call},
    {Py_tp_methods, call_methods},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {Py_tp_traverse, (void *)traverse},
    {Py_tp_clear, (void *)clear},
    {Py_tp_dealloc, (void *)dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "bough._bough.Call",
    .basicsize = sizeof(struct call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

int bp_pool_call_init(PyObject *module)
{
    static PyTypeObject *type;
    return bp_add_type(module, &type, &spec, "Call");
}

/* ---- the queue of an executor ------------------------------------------------------------------------------------ */

/* The Call that a work item has. */
static PyObject *call_of(PyObject *item)
{
#if PY_VERSION_HEX >= 0x030E0000
    PyObject *task = PyObject_GetAttrString(item, "task"), *call = task ? PySequence_GetItem(task, 0) : NULL;
    Py_XDECREF(task);
    return call;
#else
    return PyObject_GetAttrString(item, "fn");
#endif
}

/* `self`: the queue's put(), and the class of the futures. No worker knows the item yet. */
static PyObject *put_item(PyObject *self, PyObject *item)
{
    if (item != Py_None) { /* None wakes a worker at the pool's end */
        PyObject *future = PyObject_GetAttrString(item, "future"), *call = future ? call_of(item) : NULL;
        int error = call ? PyObject_SetAttrString(future, "__class__", PyTuple_GET_ITEM(self, 1)) : -1;
        if (error == 0)
            error = PyObject_SetAttrString(future, "_call", call);
        Py_XDECREF(future);
        Py_XDECREF(call);
        if (error != 0)
            return NULL;
    }
    return PyObject_CallOneArg(PyTuple_GET_ITEM(self, 0), item);
}

static PyObject *putting(PyObject *module, PyObject *args)
{
    static PyMethodDef def = {"put", put_item, METH_O, NULL};
    (void)module;
    if (PyTuple_GET_SIZE(args) != 2)
        return PyErr_SetString(PyExc_TypeError, "putting() takes a queue's put() and a class"), NULL;
    return PyCFunction_New(&def, args);
}

PyMethodDef bp_pool_call_methods[] = {
    {"putting", putting, METH_VARARGS,
     PyDoc_STR("putting(put, cls): a put() of work items, each of whose futures gets that class, and its Call as "
               "`_call`.")},
    {0},
};
