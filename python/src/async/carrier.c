/* SPDX-License-Identifier: MIT */
/*
 * The class that is passed to PyThreadState_SetAsyncExc(), which accepts only classes. When the interpreter
 * instantiates it, in the thread, the metaclass returns the intended instance (rule 44).
 */
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"

/* ---- the intended instance ------------------------------------------------------------------------------- */

/* Marks the record as delivered, for cleanup(). At a higher rung bough_check() would run handlers, whose verdict could
 * be that nothing is to be raised. If the record was cleared meanwhile, the exception is raised nevertheless. */
static void mark_delivered(struct bough_record *why)
{
    why->kind = BOUGH_STOP;
    if (bough_reason(why) == 0 && why->rung == BOUGH_RUNG_FLAG)
        (void)bough_check();
}

static PyObject *what_is_due(struct bp_thread *t, struct bough_record *why)
{
    t->cut.is_set = false;
    if (!t->exc.posted)
        mark_delivered(why);
    return bp_exception_for(t, why);
}

void bp_raise_here(struct bp_thread *t)
{
    struct bough_record why = {.kind = BOUGH_EXCEPTION};
    t->monitor.awaited = false;
    PyObject *exception = bp_self() ? what_is_due(t, &why) : NULL;
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
}

/* ---- the carrier's call ---------------------------------------------------------------------------------------- */

/* Python 3.11 calls the class a second time, with the instance as its argument. */
static PyObject *carrier_call(PyObject *type, PyObject *args, PyObject *keywords)
{
    struct bough_record why = {.kind = BOUGH_EXCEPTION};
    (void)type, (void)keywords;
    if (PyTuple_GET_SIZE(args) == 1 && PyExceptionInstance_Check(PyTuple_GET_ITEM(args, 0)))
        return Py_NewRef(PyTuple_GET_ITEM(args, 0));
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    if (t->armed.withdrawing)
        return PyObject_CallNoArgs(PyExc_BaseException);
    t->armed.is_set = false;
    bp_carrier_withdraw(t); /* the exception was armed twice, see was_swallowed() in delivery.c */
    return what_is_due(t, &why);
}

static PyType_Slot meta_slots[] = {
    {Py_tp_call, (void *)carrier_call},
    {Py_tp_base, NULL}, /* type */
    {0, NULL},
};

static PyType_Spec meta_spec = {
    .name = "bough._bough.CarrierType",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = meta_slots,
};

static int make_carrier(void)
{
    if (bp_carrier)
        return 0;
    meta_slots[1].pfunc = &PyType_Type;
    PyObject *meta = PyType_FromSpec(&meta_spec);
    PyObject *name = PyUnicode_FromString("Carrier"), *bases = PyTuple_Pack(1, PyExc_BaseException);
    PyObject *args = meta && name && bases ? Py_BuildValue("(OO{})", name, bases) : NULL;
    if (args)
        bp_carrier = PyType_Type.tp_call(meta, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(bases);
    Py_XDECREF(name);
    Py_XDECREF(meta);
    return bp_carrier ? 0 : -1;
}

int bp_carrier_init(void)
{
    return make_carrier() == 0 && bp_withdraw_init() == 0 ? 0 : -1;
}
