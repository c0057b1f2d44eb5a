/* SPDX-License-Identifier: MIT */
/*
 * Calls that the package passes to a pool's workers: those of bough.ThreadPoolExecutor and of bough.to_thread().
 *
 * A Call is a work item, or the function of one. It is called once. Another thread may interrupt a Call before it
 * begins and while it runs: that thread sets `asked` and then reads the handle; the Call publishes its handle and then
 * reads `asked`. So at least one of the two threads sees what the other has written.
 */
#include "base/base.h"
#include "base/object.h"
#include "thread/thread.h"
#include "regions/regions.h"
#include "api/module.h"
#include "api/pool_call.h"
#include "api/pool_item.h"

#include <structmember.h>

static const size_t references[] = {offsetof(struct bp_call, function), offsetof(struct bp_call, args),
                                    offsetof(struct bp_call, keywords), offsetof(struct bp_call, name),
                                    offsetof(struct bp_call, running),  offsetof(struct bp_call, asked),
                                    offsetof(struct bp_call, future),   0};

static PyTypeObject *call_type;

struct bp_call *bp_call_new(PyObject *function, PyObject *args, PyObject *keywords)
{
    struct bp_call *c = (struct bp_call *)call_type->tp_alloc(call_type, 0);
    if (!c)
        return NULL;
    c->function = Py_NewRef(function);
    c->args = Py_NewRef(args);
    c->keywords = Py_XNewRef(keywords);
    return c;
}

bool bp_is_call(PyObject *object)
{
    return Py_IS_TYPE(object, call_type);
}

static PyObject *not_none(PyObject *o)
{
    return o == Py_None ? NULL : Py_NewRef(o);
}

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"function",
                            (char *)"args",
                            (char *)"kwargs",
                            (char *)"running",
                            (char *)"name",
                            (char *)"future",
                            NULL};
    PyObject *function, *positional, *given, *running = Py_None, *name = Py_None, *future = Py_None;
    (void)type;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO!O!|OOO:Call", names, &function, &PyTuple_Type, &positional,
                                     &PyDict_Type, &given, &running, &name, &future))
        return NULL;
    struct bp_call *c = bp_call_new(function, positional, given);
    if (c) {
        c->running = not_none(running);
        c->name = not_none(name);
        c->future = not_none(future);
    }
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
    if (((struct bp_call *)self)->weak)
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

static int notes_that_it_runs(struct bp_call *c, bool runs)
{
    if (!c->running)
        return 0;
    return runs ? PySet_Add(c->running, (PyObject *)c) : PySet_Discard(c->running, (PyObject *)c) < 0 ? -1 : 0;
}

static PyObject *call_at_work(struct bp_thread *t, PyObject *function, PyObject *args, PyObject *keywords)
{
    bool before = t->in_item;
    t->in_item = true;
    PyObject *result = PyObject_Call(function, args, keywords);
    t->in_item = before;
    return result;
}

static PyObject *in_branch(struct bp_call *c, PyObject *function, PyObject *args, PyObject *keywords)
{
    struct bp_thread *t = bp_self();
    const char *name = c->name ? PyUnicode_AsUTF8(c->name) : "item";
    if (!t || !name)
        return NULL;
    PyObject *result = NULL;
    struct bp_item item = bp_item_begin(t, name);
    c->handle = item.branch;
    if (c->asked)
        never_begun();
    else {
        if (bp_taking_part_begin(t) == 0)
            result = call_at_work(t, function, args, keywords);
        if (!result)
            bp_item_failed(t);
    }
    c->handle = NULL;
    c->over = true;
    bp_item_end(&item);
    return result;
}

static PyObject *begin_call(struct bp_call *c)
{
    PyObject *function = c->function, *args = c->args, *keywords = c->keywords, *result = NULL;
    if (!function)
        return never_begun();
    c->function = c->args = c->keywords = NULL;
    if (notes_that_it_runs(c, true) == 0) {
        result = in_branch(c, function, args, keywords);
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        if (notes_that_it_runs(c, false) != 0)
            PyErr_WriteUnraisable((PyObject *)c);
        PyErr_Restore(type, value, trace);
    }
    Py_DECREF(function);
    Py_DECREF(args);
    Py_XDECREF(keywords);
    return result;
}

static PyObject *call(PyObject *self, PyObject *no_args, PyObject *no_keywords)
{
    (void)no_args, (void)no_keywords;
    return begin_call((struct bp_call *)self);
}

/* ---- a work item ------------------------------------------------------------------------------------------------- */

/* From 3.14 on a worker passes a context, whose run() is called with (function, args, kwargs) as one argument. */
static int call_in(struct bp_call *c, PyObject *context)
{
    PyObject *keywords = c->keywords ? Py_NewRef(c->keywords) : PyDict_New();
    PyObject *run = keywords ? PyObject_GetAttrString(context, "run") : NULL;
    PyObject *args = run ? Py_BuildValue("((OOO))", c->function, c->args, keywords) : NULL;
    Py_XDECREF(keywords);
    if (!args)
        return Py_XDECREF(run), -1;
    Py_CLEAR(c->keywords);
    Py_SETREF(c->function, run);
    Py_SETREF(c->args, args);
    return 0;
}

/* Stores the exception that is set in the future. */
static PyObject *fail_future(PyObject *future)
{
    PyObject *error = bp_taken_exception(), *failed = bp_load("bough._call", "failed");
    PyObject *result = failed ? PyObject_CallFunctionObjArgs(failed, future, error, NULL) : NULL;
    Py_XDECREF(failed);
    Py_DECREF(error);
    return result;
}

/* The future refers to its call from before its state is RUNNING until the call has ended. */
static PyObject *run_for(struct bp_call *c, PyObject *future)
{
    if (PyObject_SetAttr(future, bp_name_call, (PyObject *)c) != 0)
        return NULL;
    PyObject *runs = PyObject_CallMethodNoArgs(future, bp_name_set_running), *result = NULL;
    bool begins = runs == Py_True;
    if (begins)
        result = begin_call(c);
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (PyObject_SetAttr(future, bp_name_call, Py_None) != 0)
        PyErr_WriteUnraisable(future);
    PyErr_Restore(type, value, trace);
    if (!begins)
        return runs;
    Py_DECREF(runs);
    PyObject *done = result ? PyObject_CallMethodOneArg(future, bp_name_set_result, result) : fail_future(future);
    Py_XDECREF(result);
    return done;
}

/* The method run() of a pool's work item; from 3.14 on run(context). */
static PyObject *run_item(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct bp_call *c = (struct bp_call *)self;
    PyObject *future = c->future;
    if (!future || !c->function)
        return PyErr_SetString(PyExc_RuntimeError, "run() must be called once, and only for a call that has a future"),
               NULL;
    if (count > 0 && call_in(c, args[0]) != 0)
        return NULL;
    c->future = NULL;
    PyObject *result = run_for(c, future);
    Py_DECREF(future);
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

/* ---- from other threads ------------------------------------------------------------------------------------------ */

/* Returns whether the call had not ended. A call that has not begun ends as soon as it begins. */
static PyObject *interrupt(PyObject *self, PyObject *args)
{
    struct bp_call *c = (struct bp_call *)self;
    PyObject *reason = NULL;
    const char *text = NULL;
    if (!PyArg_ParseTuple(args, "|U:interrupt", &reason))
        return NULL;
    reason = reason ? Py_NewRef(reason) : PyUnicode_FromString("its event loop was interrupted");
    PyObject *kept = reason ? bp_for_library(reason, &text) : NULL;
    if (!kept)
        return Py_XDECREF(reason), NULL;
    Py_XSETREF(c->asked, reason); /* before the handle is read: see the file's beginning */
    void *handle = c->handle;
    int error = c->over ? -1 : 0;
    if (handle) {
        Py_BEGIN_ALLOW_THREADS
        error = bough_interrupt((bough_target)handle, text);
        Py_END_ALLOW_THREADS
    }
    Py_DECREF(kept);
    return PyBool_FromLong(error == 0);
}

/* Prevents the call from beginning. Returns whether that was in time. */
static PyObject *forgo(PyObject *self, PyObject *none)
{
    struct bp_call *c = (struct bp_call *)self;
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
    void *handle = ((struct bp_call *)self)->handle;
    (void)none;
    return handle ? PyLong_FromVoidPtr(handle) : Py_NewRef(Py_None);
}

static PyObject *pass_on_ctrl_c(PyObject *self, PyObject *none)
{
    (void)none;
    PyObject *passes = bp_load("bough._call", "pass_on_ctrl_c");
    PyObject *result = passes ? PyObject_CallOneArg(passes, self) : NULL;
    Py_XDECREF(passes);
    return result;
}

static PyObject *is_bough_call(PyObject *self, void *none)
{
    (void)self, (void)none;
    Py_RETURN_TRUE;
}

static PyMethodDef call_methods[] = {
    {"run", (PyCFunction)(void (*)(void))run_item, METH_FASTCALL,
     PyDoc_STR("run($self, context=None, /)\n--\n\nRun as a work item: the future gets the result.")},
    {"interrupt", interrupt, METH_VARARGS,
     PyDoc_STR(
         "interrupt($self, reason='its event loop was interrupted', /)\n--\n\nReturns whether the call had not ended. "
         "A call that has not begun ends as soon as it begins.")},
    {"pass_on_ctrl_c", pass_on_ctrl_c, METH_NOARGS,
     PyDoc_STR("pass_on_ctrl_c($self, /)\n--\n\nInterrupt the call as a Ctrl-C does.")},
    {"forgo", forgo, METH_NOARGS,
     PyDoc_STR("forgo($self, /)\n--\n\nPrevent the call from beginning. Returns whether that was in time.")},
    {0},
};

static PyMemberDef members[] = {
    {"asked", T_OBJECT, offsetof(struct bp_call, asked), 0, PyDoc_STR("Why the call was interrupted, or None.")},
    {"future", T_OBJECT, offsetof(struct bp_call, future), READONLY,
     PyDoc_STR("The future, if this is a work item that has not begun, or None.")},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct bp_call, weak), READONLY, NULL},
    {0},
};

static PyGetSetDef attributes[] = {
    {"handle", get_handle, NULL, PyDoc_STR("The handle of the call's branch, while the call runs, or None."), NULL},
    {"is_bough_call", is_bough_call, NULL,
     PyDoc_STR("For _pools.py and _loops.py, which must not make a work item of a Call again."), NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     (void *)PyDoc_STR(
         "Call(function, args, kwargs, running=None, name=None, future=None): another thread may interrupt it.")},
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
    .basicsize = sizeof(struct bp_call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *bp_name_call, *bp_name_set_running, *bp_name_set_result;

int bp_pool_call_init(PyObject *module)
{
    bp_name_call = PyUnicode_InternFromString("_bough_call");
    bp_name_set_running = PyUnicode_InternFromString("set_running_or_notify_cancel");
    bp_name_set_result = PyUnicode_InternFromString("set_result");
    if (!bp_name_call || !bp_name_set_running || !bp_name_set_result)
        return -1;
    return bp_add_type(module, &call_type, &spec, "Call");
}
