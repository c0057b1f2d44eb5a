/* SPDX-License-Identifier: MIT */
/*
 * Branch.add(): creates, checks and starts a Child (child.c). The usual arguments are checked here, all others by the
 * methods with an underscore in _branch.py and _child.py.
 */
#include "base/base.h"
#include "branch/branch.h"

#include <string.h>
#include <unistd.h>

/* The options of add(); NULL: not given. */
struct options {
    PyObject *name, *closing;
};

/* `values` are the values of the keywords in `names`. -1 with an exception. */
static int take_child_keywords(struct bp_child_object *c, struct options *options, PyObject *const *values,
                               PyObject *names)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (bp_is_keyword(name, "name"))
            options->name = values[i];
        else if (bp_is_keyword(name, "closing"))
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
    if (!running && !(running = PyUnicode_InternFromString("running")))
        return NULL;
    struct bp_child_object *c = bp_child_new();
    if (!c)
        return NULL;
    c->outcome = Py_NewRef(running);
    c->function = Py_NewRef(args[0]);
    c->process = getpid();
    c->branch_handle = o->branch ? (uintptr_t)o->branch->handle : 0;
    c->args = PyTuple_New(count - 1);
    for (Py_ssize_t i = 1; c->args && i < count; i++)
        PyTuple_SET_ITEM(c->args, i - 1, Py_NewRef(args[i]));
    /* Weak, because a branch that is dropped while it is open has to be reported (rule 31). */
    c->owner = PyWeakref_NewRef((PyObject *)o, NULL);
    if (c->args && c->owner && take_child_keywords(c, options, args + count, names) == 0 &&
        (c->name = name_of(args[0], options->name)))
        return c;
    Py_DECREF(c);
    return NULL;
}

/* Is the function one that needs no further check, as in most programs? */
static bool is_good_function(PyObject *function)
{
    const int asynchronous = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR;
    return PyCFunction_Check(function) ||
           (PyFunction_Check(function) && !(((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags & asynchronous));
}

static int call_method(PyObject *self, const char *method, PyObject *one, PyObject *two)
{
    PyObject *result = two   ? PyObject_CallMethod(self, method, "OO", one, two)
                       : one ? PyObject_CallMethod(self, method, "O", one)
                             : PyObject_CallMethod(self, method, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Python code checks all other functions, and the objects to close. */
static int check_child(struct bp_branch_object *o, struct bp_child_object *c, const struct options *options)
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
    if (check_child(o, c, options) != 0)
        return -1;
    if (!o->open)
        return (void)PyErr_Format(PyExc_RuntimeError, "%R is not open: call add() inside its with block", o), -1;
    if ((!o->in || o->in == Py_None) && PyThread_get_thread_ident() == o->ident)
        Py_XSETREF(o->in, bp_current_child());
    c->above = Py_XNewRef(o->in);
    return o->slots && o->slots != Py_None ? call_method(o->slots, "acquire", NULL, NULL) : 0;
}

/* Returns 0, also if an interrupt has prevented the start: then the child has no handle. -1 with an exception. */
static int start_child(struct bp_branch_object *o, struct bp_child_object *c)
{
    const char *name;
    PyObject *children = PyObject_GetAttrString((PyObject *)o, "_children");
    int error = children ? PySet_Add(children, (PyObject *)c) : -1; /* bp_child_forget() will remove the child */
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
    if (call_method((PyObject *)c, "_never_started", NULL, NULL) != 0)
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
        error = start_child(o, c);
    if (!c->handle)
        never_started(c);
    if (error == 0 && !c->handle)
        error = call_method(self, "_refuse", NULL, NULL);
    if (error == 0 && !o->open)
        error = call_method((PyObject *)c, "_given_up", NULL, NULL);
    if (error == 0)
        return (PyObject *)c;
    Py_DECREF(c);
    bp_hide_own_frames();
    return NULL;
}
