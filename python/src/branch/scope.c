/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a time limit for a block, as in Trio and anyio.
 *
 *      fail_after(s), fail_at(t)             the block raises TimeoutError
 *      move_on_after(s), move_on_at(t)       the block ends, and the code after it continues
 *
 * A scope is a branch without children: its deadline is the branch's deadline, its cancel() interrupts the branch. Only
 * the end differs: a branch whose deadline has interrupted a thread has failed, because its work is incomplete. A scope
 * has only its block: if the block reaches its end, the work is complete. A scope that succeeds is created, entered and
 * left in C; everything else is in _scope.py.
 */
#include "base/base.h"
#include "base/object.h"
#include "branch/branch.h"
#include "api/module.h"

static PyObject *scope_class; /* the class in _scope.py */

/* ---- a new scope ------------------------------------------------------------------------------------------------- */

struct maker {
    const char *function, *parameter;
    enum bp_scope scope;
    PyObject *name; /* the function's name, as an object */
};

static struct maker makers[] = {
    {"fail_after", "seconds", BP_FAIL, NULL},
    {"fail_at", "deadline", BP_FAIL, NULL},
    {"move_on_after", "seconds", BP_MOVE_ON, NULL},
    {"move_on_at", "deadline", BP_MOVE_ON, NULL},
};

static bool is_relative(const struct maker *m)
{
    return m->parameter[0] == 's';
}

/* The function's arguments; NULL: not given. */
struct given {
    PyObject *limit, *asynchronous;
};

static int unexpected(const struct maker *m, PyObject *name)
{
    const char *advice =
        bp_is_keyword(name, "shield") ? ". Protect code by critical_section(), which ends by itself" : "";
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R: it takes %s= and asynchronous=%s",
                 m->function, name, m->parameter, advice);
    return -1;
}

static int take_scope_keywords(const struct maker *m, struct given *given, PyObject *const *values, PyObject *names)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (bp_is_keyword(name, "asynchronous"))
            given->asynchronous = values[i];
        else if (bp_is_keyword(name, m->parameter) && !given->limit)
            given->limit = values[i];
        else
            return unexpected(m, name);
    }
    return 0;
}

static int take_arguments(const struct maker *m, struct given *given, PyObject *const *args, Py_ssize_t count,
                          PyObject *names)
{
    if (count > 1)
        return (void)PyErr_Format(
                   PyExc_TypeError,
                   "%s() takes 1 positional argument, its %s, but %zd were given: write asynchronous=True", m->function,
                   m->parameter, count),
               -1;
    given->limit = count ? args[0] : NULL;
    if (take_scope_keywords(m, given, args + count, names) != 0)
        return -1;
    if (!given->limit)
        return (void)PyErr_Format(PyExc_TypeError, "%s() missing 1 required argument: '%s'", m->function, m->parameter),
               -1;
    return 0;
}

static struct bp_branch_object *new_scope(enum bp_scope scope, PyObject *name)
{
    PyTypeObject *type = (PyTypeObject *)scope_class;
    if (!type)
        return PyErr_SetString(PyExc_RuntimeError, "bough._scope is not loaded"), NULL;
    struct bp_branch_object *o = (struct bp_branch_object *)type->tp_alloc(type, 0);
    if (!o)
        return NULL;
    o->scope = (char)scope;
    o->name = Py_NewRef(name);
    o->limit = Py_NewRef(Py_None);
    return o;
}

/* Python code checks all other values, and may convert them. */
static int check_limit(struct bp_branch_object *o)
{
    if (o->deadline == Py_None && o->timeout != Py_None && bp_is_good_timeout(o->timeout))
        return 0;
    PyObject *result = PyObject_CallMethod((PyObject *)o, "_check_options", NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *make_scope(struct maker *m, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    struct given given = {0};
    if (!m->name && !(m->name = PyUnicode_InternFromString(m->function)))
        return NULL;
    if (take_arguments(m, &given, args, count, names) != 0)
        return NULL;
    int asynchronous = given.asynchronous ? PyObject_IsTrue(given.asynchronous) : 0;
    struct bp_branch_object *o = asynchronous >= 0 ? new_scope(m->scope, m->name) : NULL;
    if (!o)
        return NULL;
    o->asynchronous = (char)asynchronous;
    o->timeout = Py_NewRef(is_relative(m) ? given.limit : Py_None);
    o->deadline = Py_NewRef(is_relative(m) ? Py_None : given.limit);
    if (check_limit(o) == 0)
        return (PyObject *)o;
    o->used = 1; /* an error was raised already: no warning */
    Py_DECREF(o);
    bp_hide_own_frames();
    return NULL;
}

struct bp_branch_object *bp_scope_again(const struct bp_branch_object *o, PyObject *name)
{
    struct bp_branch_object *again = new_scope((enum bp_scope)o->scope, name);
    if (!again)
        return NULL;
    again->asynchronous = o->asynchronous;
    again->timeout = Py_XNewRef(o->timeout);
    again->deadline = Py_XNewRef(o->deadline);
    return again;
}

/* ---- methods ----------------------------------------------------------------------------------------------------- */

static PyObject *fail_after(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    (void)module;
    return make_scope(&makers[0], args, count, names);
}

static PyObject *fail_at(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    (void)module;
    return make_scope(&makers[1], args, count, names);
}

static PyObject *move_on_after(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    (void)module;
    return make_scope(&makers[2], args, count, names);
}

static PyObject *move_on_at(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    (void)module;
    return make_scope(&makers[3], args, count, names);
}

static PyObject *scope_is(PyObject *module, PyObject *class)
{
    (void)module;
    return bp_keep_class(&scope_class, bp_block_type, class, "scope_is");
}

#define MAKER(function, parameter, text)                                                 \
    {                                                                                    \
#function, (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, \
            PyDoc_STR(#function "(" parameter ", *, asynchronous=False)\n--\n\n" text)   \
    }
#define BOTH                                                                                                             \
    "As a decorator: each call of the function has this limit. asynchronous=True also interrupts code that comes to no " \
    "interruption point, as set_enable_async_interrupt() does."

PyMethodDef bp_scope_methods[] = {
    MAKER(fail_after, "seconds",
          "A block that raises TimeoutError if it takes longer: `with fail_after(5):`. The time counts from the "
          "block's beginning; None or infinity is no limit.\n\n" BOTH),
    MAKER(fail_at, "deadline",
          "As fail_after(), but until a time of time.monotonic(). No decorator.\n\n"
          "asynchronous=True also interrupts code that comes to no interruption point."),
    MAKER(move_on_after, "seconds",
          "A block that ends if it takes longer: `with move_on_after(5) as scope:`. `scope.cancelled_caught` shows "
          "afterwards whether the limit ended it.\n\n" BOTH " A call that the limit has ended returns None."),
    MAKER(move_on_at, "deadline",
          "As move_on_after(), but until a time of time.monotonic(). No decorator.\n\n"
          "asynchronous=True also interrupts code that comes to no interruption point."),
    {"scope_is", scope_is, METH_O,
     PyDoc_STR("scope_is(class): set the class whose objects fail_after() and the like create; a decorator.")},
    {0},
};

static PyType_Slot scope_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("The base of bough.CancelScope.")},
    {Py_tp_base, NULL}, /* a Block */
    {0, NULL},
};

static PyType_Spec scope_spec = {
    .name = "bough._bough.CancelScope",
    .basicsize = sizeof(struct bp_branch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = scope_slots,
};

int bp_scope_init(PyObject *module)
{
    static PyTypeObject *base;
    scope_slots[1].pfunc = bp_block_type;
    return bp_add_type(module, &base, &scope_spec, "CancelScope");
}
