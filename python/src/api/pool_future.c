/* SPDX-License-Identifier: MIT */
/*
 * The state of a bough.Future. The class derives from this type and from concurrent.futures.Future, whose methods find
 * the attributes that they use in this type.
 *
 * Each method of concurrent.futures.Future works with the future's condition held. Here the condition is created at its
 * first use. A future without a condition has no waiter and no callback, and no thread is in one of those methods: so a
 * change of the future's state that executes no Python code is one step, because of the GIL. The state of a future with
 * a condition is changed here if the condition's lock is free. In all other cases the standard methods change it.
 */
#include "base/base.h"
#include "base/object.h"
#include "api/module.h"
#include "api/pool_call.h"

#include <structmember.h>

struct future {
    PyObject_HEAD
    PyObject *state, *result, *exception, *call;
    PyObject *condition, *waiters, *callbacks; /* NULL until their first use */
};

#define OFFSET(field) offsetof(struct future, field)

static const size_t future_references[] = {OFFSET(state),     OFFSET(result),  OFFSET(exception), OFFSET(call),
                                           OFFSET(condition), OFFSET(waiters), OFFSET(callbacks), 0};

static PyTypeObject *future_type;
static PyObject *class, *standard; /* bough.Future, concurrent.futures.Future */
static PyObject *pending, *running, *finished;
static PyObject *name_acquire, *name_release, *name_waiters;

static struct future *future_of(PyObject *self)
{
    return (struct future *)self;
}

static bool is(PyObject *state, PyObject *which)
{
    return state == which || (state && PyUnicode_Check(state) && PyUnicode_Compare(state, which) == 0);
}

/* ---- its life ---------------------------------------------------------------------------------------------------- */

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args, (void)keywords;
    struct future *f = future_of(type->tp_alloc(type, 0));
    if (f)
        f->state = Py_NewRef(pending);
    return (PyObject *)f;
}

static int init(PyObject *self, PyObject *args, PyObject *keywords)
{
    (void)self;
    if (PyTuple_GET_SIZE(args) == 0 && (!keywords || PyDict_GET_SIZE(keywords) == 0))
        return 0;
    return PyErr_SetString(PyExc_TypeError, "Future() takes no arguments"), -1;
}

static int traverse_future(PyObject *self, visitproc visit, void *arg)
{
    return bp_references_visit(self, future_references, visit, arg);
}

static int clear_future(PyObject *self)
{
    bp_references_clear(self, future_references);
    return 0;
}

static void dealloc_future(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear_future(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *bp_future_new(void)
{
    return PyObject_CallNoArgs(class);
}

/* ---- steps under the condition ----------------------------------------------------------------------------------- */

/* Acquires the condition and returns a new reference. Py_None: there is no condition. NULL: another thread holds it. */
static PyObject *hold(struct future *f)
{
    if (!f->condition)
        return Py_NewRef(Py_None);
    PyObject *condition = Py_NewRef(f->condition);
    PyObject *held = PyObject_CallMethodOneArg(condition, name_acquire, Py_False);
    PyErr_Clear(); /* the standard class's method will report the error */
    Py_XDECREF(held);
    if (held == Py_True)
        return condition;
    Py_DECREF(condition);
    return NULL;
}

/* The exception that is set stays. */
static void let_go(PyObject *condition)
{
    PyObject *type, *value, *trace;
    if (condition != Py_None) {
        PyErr_Fetch(&type, &value, &trace);
        PyObject *released = PyObject_CallMethodNoArgs(condition, name_release);
        if (!released)
            PyErr_WriteUnraisable(condition);
        Py_XDECREF(released);
        PyErr_Restore(type, value, trace);
    }
    Py_DECREF(condition);
}

static PyObject *by_standard(const char *method, PyObject *self, PyObject *argument)
{
    PyObject *function = PyObject_GetAttrString(standard, method);
    PyObject *result = function ? PyObject_CallFunctionObjArgs(function, self, argument, NULL) : NULL;
    Py_XDECREF(function);
    return result;
}

static PyObject *set_running(PyObject *self, PyObject *none)
{
    struct future *f = future_of(self);
    (void)none;
    PyObject *condition = hold(f);
    bool runs = condition && is(f->state, pending);
    if (runs)
        Py_SETREF(f->state, Py_NewRef(running));
    if (condition)
        let_go(condition);
    if (runs)
        Py_RETURN_TRUE;
    return by_standard("set_running_or_notify_cancel", self, NULL);
}

/* Notifies wait() and as_completed(), and the threads in result(). */
static int notify(struct future *f, PyObject *condition)
{
    PyObject *waiters = f->waiters && PyList_Check(f->waiters) ? f->waiters : NULL;
    for (Py_ssize_t i = 0; waiters && i < PyList_GET_SIZE(waiters); i++) {
        PyObject *waiter = Py_NewRef(PyList_GET_ITEM(waiters, i));
        PyObject *added = PyObject_CallMethod(waiter, "add_result", "O", (PyObject *)f);
        Py_DECREF(waiter);
        Py_XDECREF(added);
        if (!added)
            return -1;
    }
    if (condition == Py_None)
        return 0;
    PyObject *blocked = PyObject_GetAttr(condition, name_waiters);
    Py_ssize_t count = blocked ? PyObject_Size(blocked) : -1;
    Py_XDECREF(blocked);
    if (count < 0)
        PyErr_Clear();
    PyObject *notified = count != 0 ? PyObject_CallMethod(condition, "notify_all", NULL) : Py_NewRef(Py_None);
    Py_XDECREF(notified);
    return notified ? 0 : -1;
}

static PyObject *set_result(PyObject *self, PyObject *result)
{
    struct future *f = future_of(self);
    PyObject *condition = hold(f);
    bool open = condition && (is(f->state, running) || is(f->state, pending));
    int error = 0;
    if (open) {
        PyObject *before = f->result;
        f->result = Py_NewRef(result);
        Py_SETREF(f->state, Py_NewRef(finished));
        Py_XDECREF(before);
        error = notify(f, condition);
    }
    if (condition)
        let_go(condition);
    if (!open)
        return by_standard("set_result", self, result);
    if (error)
        return NULL;
    if (f->callbacks)
        return PyObject_CallMethod(self, "_invoke_callbacks", NULL);
    Py_RETURN_NONE;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

/* A finished future does not change any more, so no lock is needed to read it. */
static PyObject *get_result(PyObject *self, PyObject *args, PyObject *keywords)
{
    struct future *f = future_of(self);
    if (is(f->state, finished) && (!f->exception || f->exception == Py_None))
        return f->result ? Py_NewRef(f->result) : Py_NewRef(Py_None);
    PyObject *function = PyObject_GetAttrString(standard, "result"), *bound = NULL;
    if (function)
        bound = PyMethod_New(function, self);
    PyObject *result = bound ? PyObject_Call(bound, args, keywords) : NULL;
    Py_XDECREF(function);
    Py_XDECREF(bound);
    return result;
}

static PyObject *make_condition(void)
{
    static PyObject *module;
    if (!module && !(module = PyImport_ImportModule("threading")))
        return NULL;
    return PyObject_CallMethod(module, "Condition", NULL);
}

static struct bp_lazy condition = {OFFSET(condition), make_condition}, waiters = {OFFSET(waiters), bp_new_list},
                      callbacks = {OFFSET(callbacks), bp_new_list};

static PyGetSetDef future_attributes[] = {
    {"_condition", bp_lazy_get, bp_lazy_set, NULL, &condition},
    {"_waiters", bp_lazy_get, bp_lazy_set, NULL, &waiters},
    {"_done_callbacks", bp_lazy_get, bp_lazy_set, NULL, &callbacks},
    {0},
};

static PyMemberDef future_members[] = {
    {"_state", T_OBJECT, OFFSET(state), 0, NULL},
    {"_result", T_OBJECT, OFFSET(result), 0, NULL},
    {"_exception", T_OBJECT, OFFSET(exception), 0, NULL},
    {"_bough_call", T_OBJECT, OFFSET(call), 0, NULL},
    {0},
};

static PyMethodDef future_methods[] = {
    {"set_running_or_notify_cancel", set_running, METH_NOARGS,
     PyDoc_STR("set_running_or_notify_cancel($self, /)\n--\n\nAs concurrent.futures.Future's.")},
    {"set_result", set_result, METH_O, PyDoc_STR("set_result($self, result)\n--\n\nAs concurrent.futures.Future's.")},
    {"result", (PyCFunction)(void (*)(void))get_result, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "result($self, timeout=None)\n--\n\nReturn the result of the call that the future represents, or raise its "
         "exception. Wait for it if it has not ended.")},
    {0},
};

static PyType_Slot future_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.Future.")},
    {Py_tp_new, (void *)new},
    {Py_tp_init, (void *)init},
    {Py_tp_methods, future_methods},
    {Py_tp_members, future_members},
    {Py_tp_getset, future_attributes},
    {Py_tp_traverse, (void *)traverse_future},
    {Py_tp_clear, (void *)clear_future},
    {Py_tp_dealloc, (void *)dealloc_future},
    {0, NULL},
};

static PyType_Spec future_spec = {
    .name = "bough._bough.Future",
    .basicsize = sizeof(struct future),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = future_slots,
};

static PyObject *future_is(PyObject *module, PyObject *given)
{
    (void)module;
    PyObject *base = bp_load("concurrent.futures", "Future");
    if (!base)
        return NULL;
    Py_XSETREF(standard, base);
    return bp_keep_class(&class, future_type, given, "future_is");
}

PyMethodDef bp_pool_future_methods[] = {
    {"future_is", future_is, METH_O, PyDoc_STR("future_is(cls): set the class of futures, which derives from Future.")},
    {0},
};

int bp_pool_future_init(PyObject *module)
{
    struct {
        PyObject **at;
        const char *text;
    } texts[] = {{&pending, "PENDING"},      {&running, "RUNNING"},      {&finished, "FINISHED"},
                 {&name_acquire, "acquire"}, {&name_release, "release"}, {&name_waiters, "_waiters"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i].at = PyUnicode_InternFromString(texts[i].text)))
            return -1;
    return bp_add_type(module, &future_type, &future_spec, "Future");
}
