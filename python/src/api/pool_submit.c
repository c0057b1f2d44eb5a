/* SPDX-License-Identifier: MIT */
/*
 * submit() of bough.ThreadPoolExecutor. That class derives from this type and from
 * concurrent.futures.ThreadPoolExecutor.
 *
 * The standard submit() holds two locks, so that no thread is started during a shutdown. A pool that has all its
 * threads starts no more: so checking that the pool accepts calls and putting the item into its queue are one step,
 * because of the GIL. _put(), in Python, handles all other cases with the locks held: threads that have to be started,
 * a shutdown, another type of queue, a subclass that counts threads differently.
 */
#include "base/base.h"
#include "base/object.h"
#include "api/module.h"
#include "api/pool_call.h"

static PyTypeObject *executor_type;

static struct {
    PyObject *broken, *shutdown, *threads, *most, *queue, *put, *slowly, *running, *adjust;
} name_of;

static PyObject *thread_module, *adjusts, *simple_queue; /* NULL: not loaded yet */

static int look_up_standard(void)
{
    if (simple_queue)
        return 0;
    PyObject *cls = bp_load("concurrent.futures.thread", "ThreadPoolExecutor"), *queue = NULL;
    thread_module = cls ? PyImport_ImportModule("concurrent.futures.thread") : NULL;
    adjusts = thread_module ? PyObject_GetAttr(cls, name_of.adjust) : NULL;
    queue = adjusts ? bp_load("queue", "SimpleQueue") : NULL;
    Py_XDECREF(cls);
    simple_queue = queue;
    return queue ? 0 : -1;
}

/* Also true if the attribute can't be read: then _put() reports the error. */
static bool is_set_in(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    bool yes = value != Py_False;
    Py_XDECREF(value);
    return yes;
}

static bool has_all_threads(PyObject *self)
{
    PyObject *threads = PyObject_GetAttr(self, name_of.threads),
             *most = threads ? PyObject_GetAttr(self, name_of.most) : NULL;
    Py_ssize_t count = most && PyLong_CheckExact(most) ? PyLong_AsSsize_t(most) : -1;
    bool yes = count > 0 && PySet_Check(threads) && PySet_GET_SIZE(threads) >= count;
    Py_XDECREF(threads);
    Py_XDECREF(most);
    return yes;
}

static bool counts_as_standard(PyObject *self)
{
    PyObject *function = PyObject_GetAttr((PyObject *)Py_TYPE(self), name_of.adjust);
    Py_XDECREF(function);
    return function == adjusts;
}

/* The queue, if nothing but its put() is left to do; else NULL. */
static PyObject *queue_of(PyObject *self)
{
    PyObject *queue = counts_as_standard(self) && has_all_threads(self) ? PyObject_GetAttr(self, name_of.queue) : NULL;
    if (queue && (PyObject *)Py_TYPE(queue) == simple_queue && !is_set_in(self, name_of.broken) &&
        !is_set_in(self, name_of.shutdown) && !is_set_in(thread_module, name_of.shutdown))
        return queue;
    Py_XDECREF(queue);
    PyErr_Clear();
    return NULL;
}

/* Steals the reference to `c`. */
static PyObject *submit_item(PyObject *self, struct bp_call *c)
{
    PyObject *future = c ? bp_future_new() : NULL;
    if (!future || look_up_standard() != 0) {
        Py_XDECREF(future);
        Py_XDECREF(c);
        return NULL;
    }
    c->future = Py_NewRef(future);
    PyObject *queue = queue_of(self);
    PyObject *done = queue ? PyObject_CallMethodOneArg(queue, name_of.put, (PyObject *)c)
                           : PyObject_CallMethodOneArg(self, name_of.slowly, (PyObject *)c);
    Py_XDECREF(queue);
    Py_DECREF(c);
    Py_XDECREF(done);
    if (!done)
        Py_CLEAR(future);
    return future;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static bool is_surely_fit(PyObject *function)
{
    if (PyCFunction_Check(function))
        return true;
    if (!PyFunction_Check(function))
        return false;
    const PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
    return (code->co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR)) == 0;
}

static int check_function(PyObject *function)
{
    if (is_surely_fit(function))
        return 0;
    PyObject *checks = bp_load("bough._executor", "checked_function");
    PyObject *checked = checks ? PyObject_CallOneArg(checks, function) : NULL;
    Py_XDECREF(checks);
    Py_XDECREF(checked);
    return checked ? 0 : -1;
}

static PyObject *as_tuple(PyObject *const *args, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    return tuple;
}

static PyObject *as_dict(PyObject *keywords, PyObject *const *values)
{
    PyObject *dict = PyDict_New();
    for (Py_ssize_t i = 0; dict && i < PyTuple_GET_SIZE(keywords); i++)
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(keywords, i), values[i]) != 0)
            Py_CLEAR(dict);
    return dict;
}

static struct bp_call *call_with(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    PyObject *running = PyObject_GetAttr(self, name_of.running);
    PyObject *positional = running ? as_tuple(args + 1, count - 1) : NULL, *named = NULL;
    bool any = keywords && PyTuple_GET_SIZE(keywords) > 0;
    if (positional && any)
        named = as_dict(keywords, args + count);
    struct bp_call *c = positional && (named || !any) ? bp_call_new(args[0], positional, named) : NULL;
    if (c)
        c->running = Py_NewRef(running);
    Py_XDECREF(running);
    Py_XDECREF(positional);
    Py_XDECREF(named);
    return c;
}

static PyObject *submit(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    if (count < 1)
        return PyErr_SetString(PyExc_TypeError,
                               "submit() must be given a function, got none. Call it as submit(fn, *args, **kwargs)"),
               NULL;
    PyObject *future = check_function(args[0]) == 0 ? submit_item(self, call_with(self, args, count, keywords)) : NULL;
    if (!future)
        bp_hide_own_frames();
    return future;
}

static PyObject *submit_call(PyObject *self, PyObject *call)
{
    if (!bp_is_call(call))
        return PyErr_SetString(PyExc_TypeError, "_submit_call() must be given a Call"), NULL;
    return submit_item(self, (struct bp_call *)Py_NewRef(call));
}

static PyMethodDef executor_methods[] = {
    {"submit", (PyCFunction)(void (*)(void))submit, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR(
         "submit($self, fn, /, *args, **kwargs)\n--\n\nCall `fn(*args, **kwargs)` on a thread of the pool. Returns its "
         "Future.")},
    {"_submit_call", submit_call, METH_O, PyDoc_STR("_submit_call($self, call, /)\n--\n\nAs submit(), for a Call.")},
    {0},
};

static PyType_Slot executor_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.ThreadPoolExecutor.")},
    {Py_tp_methods, executor_methods},
    {0, NULL},
};

static PyType_Spec executor_spec = {
    .name = "bough._bough.Executor",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = executor_slots,
};

int bp_pool_submit_init(PyObject *module)
{
    struct {
        PyObject **at;
        const char *text;
    } texts[] = {
        {&name_of.broken, "_broken"},    {&name_of.shutdown, "_shutdown"}, {&name_of.threads, "_threads"},
        {&name_of.most, "_max_workers"}, {&name_of.queue, "_work_queue"},  {&name_of.put, "put"},
        {&name_of.slowly, "_put"},       {&name_of.running, "_running"},   {&name_of.adjust, "_adjust_thread_count"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i].at = PyUnicode_InternFromString(texts[i].text)))
            return -1;
    return bp_add_type(module, &executor_type, &executor_spec, "Executor");
}
