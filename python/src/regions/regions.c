/* SPDX-License-Identifier: MIT */
/*
 * Regions as context managers: critical_section(), cleanup(), allow_interruption, taking_part(), handler().
 *
 * Several threads may enter one object, and a thread may enter it again: the open regions are listed with the thread,
 * the innermost first. The thread that entered a region must leave it, the innermost first; code that switches between
 * generators can violate that, which raises a RuntimeError (rule 31).
 */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "raise/raise.h"

#include <errno.h>

/* ---- open regions ------------------------------------------------------------------------------------------------ */

struct bp_region *bp_region_new(struct bp_thread *t, int kind)
{
    struct bp_region *r = t->regions.spare ? t->regions.spare : PyMem_RawMalloc(sizeof *r);
    if (!r)
        return (void)PyErr_NoMemory(), NULL;
    t->regions.spare = NULL;
    *r = (struct bp_region){.kind = kind, .outer = t->regions.innermost};
    return r;
}

void bp_region_free(struct bp_thread *t, struct bp_region *r)
{
    Py_XDECREF(r->callable);
    if (t->regions.spare)
        PyMem_RawFree(r);
    else
        t->regions.spare = r;
}

static int end_innermost(struct bp_thread *t)
{
    struct bp_region *r = t->regions.innermost;
    if (bough_region_end(&r->region) != 0)
        return -1;
    t->regions.innermost = r->outer;
    if (r->kind == BP_TAKES_PART && bp_set_kinds(t, r->kinds_before) != 0)
        PyErr_Clear(); /* only invalid arguments could make bp_set_kinds() fail */
    bp_region_free(t, r);
    return 0;
}

int bp_region_end(struct bp_thread *t, int kind)
{
    if (t->regions.innermost && t->regions.innermost->kind == kind && end_innermost(t) == 0)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "regions must be exited by the thread that entered them, the innermost first");
    return -1;
}

/* The budget counts from the entry or the post, whichever is later. As the time of the post counts when the async
 * thread saw it. */
static bool protects(const struct bp_thread *t, const struct bp_region *r)
{
    bough_time from = t->due.since > r->entered ? t->due.since : r->entered;
    return bough_now() < from + r->budget;
}

bool bp_admits(const struct bp_thread *t)
{
    if (t->fork.in_hooks)
        return false;
    bool allowed = !t->regions.disabled || t->exc.posted; /* raise_exc() reaches a protected thread, too: rule 16 */
    for (const struct bp_region *r = t->regions.innermost; r; r = r->outer) {
        if (r->kind == BP_CRITICAL && protects(t, r))
            return false;
        allowed |= r->kind == BP_ALLOW;
    }
    return allowed;
}

/* ---- the type ---------------------------------------------------------------------------------------------------- */

/* The setting before set_enable_io_interrupt(), until its result is used in a `with`. */
struct switched {
    uint64_t thread;
    unsigned kinds_before;
    bool began; /* it began a region that stays */
};

struct manager {
    PyObject_HEAD
    int kind;
    int64_t amount;            /* ns: budget or grace */
    bool check;                /* its end is an interruption point */
    unsigned kinds;            /* of a region that opts in */
    struct switched *switched; /* what the call that made this object has changed; NULL */
    unsigned flags;            /* of a handler */
    PyObject *callable;
};

static int begin_region(struct bp_thread *t, struct manager *m, struct bp_region *r)
{
    int line;
    const char *file = bp_caller(&line);
    switch ((enum bp_region_kind)m->kind) {
    case BP_CRITICAL:
        r->entered = bough_now();
        r->budget = m->amount ? m->amount : BOUGH_DEFAULT_BUDGET;
        return bough_critical_begin(&r->region, m->amount, file, line);
    case BP_CLEANUP:
        return bough_cleanup_begin(&r->region, m->amount, file, line);
    case BP_ALLOW:
        return bough_allow_begin(&r->region, file, line);
    case BP_TAKES_PART:
        r->kinds_before = t->kinds;
        if (bp_set_kinds(t, m->kinds) != 0)
            return -1;
        return bough_foreign_begin(&r->region, file, line > 0 ? -line : -1); /* the package's region is hidden */
    case BP_HANDLER:
        Py_INCREF(m->callable);
        r->callable = m->callable;
        return bp_handler_enter(r, m->callable, m->flags, file, line);
    }
    return -1;
}

static void switch_back(struct bp_thread *t, struct manager *m);

static PyObject *manager_enter(PyObject *self, PyObject *none)
{
    struct manager *m = (struct manager *)self;
    (void)none;
    struct bp_thread *t = bp_self();
    if (t && m->switched)
        switch_back(t, m);
    if (t && t->armed.is_set)
        bp_hold(t); /* an armed exception must not be raised inside */
    struct bp_region *r = t ? bp_region_new(t, m->kind) : NULL;
    if (!r)
        return NULL;
    if (begin_region(t, m, r) != 0) {
        if (!PyErr_Occurred())
            bp_error("cannot enter the region");
        bp_region_free(t, r);
        return NULL;
    }
    t->regions.innermost = r;
    Py_INCREF(self);
    return self;
}

static int begin_as(struct bp_thread *t, struct manager m)
{
    struct bp_region *r = bp_region_new(t, m.kind);
    if (!r)
        return -1;
    if (begin_region(t, &m, r) != 0) {
        bp_region_free(t, r);
        return PyErr_Occurred() ? -1 : ((void)bp_error("cannot enter the region"), -1);
    }
    t->regions.innermost = r;
    return 0;
}

int bp_taking_part_begin(struct bp_thread *t)
{
    return begin_as(t, (struct manager){.kind = BP_TAKES_PART, .kinds = BP_ALL_KINDS});
}

int bp_critical_begin(struct bp_thread *t)
{
    if (t->armed.is_set)
        bp_hold(t); /* an armed exception must not be raised inside */
    return begin_as(t, (struct manager){.kind = BP_CRITICAL});
}

/* ---- set_enable_io_interrupt() ----------------------------------------------------------------------------------- */

static int stay(struct bp_thread *t, unsigned kinds)
{
    struct manager m = {.kind = BP_TAKES_PART, .kinds = kinds};
    struct bp_region *r = bp_region_new(t, BP_TAKES_PART);
    if (!r)
        return -1;
    if (begin_region(t, &m, r) != 0) {
        bp_region_free(t, r);
        return PyErr_Occurred() ? -1 : ((void)bp_error("cannot make this thread interruptible"), -1);
    }
    r->stays = true;
    t->regions.innermost = r;
    return 0;
}

/* Ends the innermost region other than the one that stays. If that one is inside the other, it is ended first, and
 * begun again after that. */
static int end_below(struct bp_thread *t, int kind)
{
    const struct bp_region *top = t->regions.innermost;
    if (!top || !top->stays || !top->outer || top->outer->kind != kind)
        return bp_region_end(t, kind);
    unsigned kinds = t->kinds;
    if (end_innermost(t) != 0)
        return bp_region_end(t, kind);
    int error = bp_region_end(t, kind);
    if (error == 0 && stay(t, kinds) != 0)
        return -1;
    return error;
}

void bp_regions_forget(struct bp_thread *t)
{
    while (t->regions.innermost && t->regions.innermost->stays && end_innermost(t) == 0)
        ;
}

/* In a thread that has opted in already, only changes the kinds. Switching off has no effect in a thread that has not
 * opted in. */
static int switch_now(struct bp_thread *t, struct manager *m)
{
    bool takes_part = bough_foreign();
    if (!takes_part && m->kinds != BP_ALL_KINDS)
        return 0;
    if (!(m->switched = PyMem_RawMalloc(sizeof *m->switched)))
        return (void)PyErr_NoMemory(), -1;
    *m->switched = (struct switched){t->id, t->kinds, !takes_part};
    return takes_part ? bp_set_kinds(t, m->kinds) : stay(t, m->kinds);
}

/* The result is used in a `with`, whose region replaces the change: but only in the thread that was switched. */
static void switch_back(struct bp_thread *t, struct manager *m)
{
    struct switched was = *m->switched;
    if (was.thread != t->id)
        return;
    PyMem_RawFree(m->switched);
    m->switched = NULL;
    if (!was.began && bp_set_kinds(t, was.kinds_before) != 0)
        PyErr_Clear(); /* only invalid arguments could make bp_set_kinds() fail */
    if (was.began)
        bp_regions_forget(t);
}

/* An exception that leaves the block is not replaced (rule 18). */
static PyObject *manager_leave(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct manager *m = (struct manager *)self;
    struct bp_thread *t = bp_self();
    bool in_order = count == 0 || args[0] == Py_None;
    if (!t || end_below(t, m->kind) != 0)
        return NULL;
    if (m->check && in_order && bp_check(t) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static void manager_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((struct manager *)self)->callable);
    PyMem_RawFree(((struct manager *)self)->switched);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *represent(PyObject *self)
{
    static const char *const names[] = {[BP_CRITICAL] = "critical_section",
                                        [BP_CLEANUP] = "cleanup",
                                        [BP_ALLOW] = "allow_interruption",
                                        [BP_TAKES_PART] = "set_enable_io_interrupt",
                                        [BP_HANDLER] = "handler"};
    return PyUnicode_FromFormat("<bough.%s>", names[((struct manager *)self)->kind]);
}

static PyMethodDef manager_methods[] = {
    {"__enter__", manager_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))manager_leave, METH_FASTCALL, NULL},
    {0},
};

static PyType_Slot manager_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A region of code, for a with statement. Reentrant, and good for any thread.")},
    {Py_tp_methods, manager_methods},
    {Py_tp_repr, (void *)represent},
    {Py_tp_dealloc, (void *)manager_dealloc},
    {0, NULL},
};

static PyType_Spec manager_spec = {
    .name = "bough._bough.Region",
    .basicsize = sizeof(struct manager),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = manager_slots,
};

static PyTypeObject *manager_type;

static struct manager *manager_new(int kind)
{
    struct manager *m = (struct manager *)manager_type->tp_alloc(manager_type, 0);
    if (m)
        m->kind = kind;
    return m;
}

/* Seconds, or None for the default. */
static int read_seconds(PyObject *seconds, const char *what, int64_t *ns)
{
    if (!seconds || seconds == Py_None) {
        *ns = 0;
        return 0;
    }
    double s = PyBool_Check(seconds) ? 0 : PyFloat_AsDouble(seconds);
    bool failed = s == -1 && PyErr_Occurred();
    if (PyBool_Check(seconds) || (failed && PyErr_ExceptionMatches(PyExc_TypeError)))
        return PyErr_Format(PyExc_TypeError, "%s must be a number of seconds or None, got %R", what, seconds), -1;
    if (failed && !PyErr_ExceptionMatches(PyExc_OverflowError))
        return -1;
    if (!(s > 0 && s < 1e9))
        return PyErr_Format(PyExc_ValueError,
                            "%s must be a number of seconds, more than 0 and less than 1e9, or None, got %R", what,
                            seconds),
               -1;
    *ns = (int64_t)(s * 1e9) > 0 ? (int64_t)(s * 1e9) : 1;
    return 0;
}

/* One object is shared by all calls without arguments, because open regions are listed with the thread. */
static PyObject *default_manager(PyObject **object, int kind)
{
    if (!*object)
        *object = (PyObject *)manager_new(kind);
    return Py_XNewRef(*object);
}

static bool has_only_defaults(PyObject *args, PyObject *keywords)
{
    return PyTuple_GET_SIZE(args) == 0 && (!keywords || PyDict_GET_SIZE(keywords) == 0);
}

static PyObject *critical_section(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"budget", (char *)"check", NULL};
    static PyObject *default_section;
    PyObject *budget = NULL;
    int check = 0;
    int64_t ns;
    (void)module;
    if (has_only_defaults(args, keywords))
        return default_manager(&default_section, BP_CRITICAL);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O$p:critical_section", names, &budget, &check))
        return bp_misfit("critical_section");
    if (read_seconds(budget, "critical_section() budget", &ns) != 0)
        return NULL;
    struct manager *m = manager_new(BP_CRITICAL);
    if (m)
        m->amount = ns, m->check = check;
    return (PyObject *)m;
}

static PyObject *cleanup(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"grace", NULL};
    static PyObject *default_cleanup;
    PyObject *grace = NULL;
    int64_t ns;
    (void)module;
    if (has_only_defaults(args, keywords))
        return default_manager(&default_cleanup, BP_CLEANUP);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:cleanup", names, &grace))
        return bp_misfit("cleanup");
    if (read_seconds(grace, "cleanup() grace", &ns) != 0)
        return NULL;
    struct manager *m = manager_new(BP_CLEANUP);
    if (m)
        m->amount = ns;
    return (PyObject *)m;
}

static PyObject *taking_part(PyObject *module, PyObject *all)
{
    struct manager *m = manager_new(BP_TAKES_PART);
    (void)module;
    if (m)
        m->kinds = PyObject_IsTrue(all) == 1 ? BP_ALL_KINDS : BP_EXCEPTION_ONLY;
    return (PyObject *)m;
}

static PyObject *handler(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"callback", (char *)"final", NULL};
    PyObject *callable;
    int final = 0;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$p:handler", names, &callable, &final))
        return NULL;
    if (!PyCallable_Check(callable))
        return PyErr_Format(PyExc_TypeError, "handler() callback must be a function, got %R", callable), NULL;
    struct manager *m = manager_new(BP_HANDLER);
    if (!m)
        return NULL;
    Py_INCREF(callable);
    m->callable = callable;
    m->flags = final ? BOUGH_HANDLER_FINAL : 0;
    return (PyObject *)m;
}

static PyObject *switch_taking_part(PyObject *module, PyObject *all)
{
    struct bp_thread *t = bp_self();
    struct manager *m = t ? (struct manager *)taking_part(module, all) : NULL;
    if (m && switch_now(t, m) != 0)
        Py_CLEAR(m);
    return (PyObject *)m;
}

/* Called by a thread whose code has finished: regions that suspended generators have left open can't be left any more,
 * except the outermost `keep`. */
long bp_leave_open(struct bp_thread *t, long keep)
{
    long open = 0, count = 0;
    for (const struct bp_region *r = t->regions.innermost; r; r = r->outer)
        open++;
    while (count < open - keep && end_innermost(t) == 0)
        count++;
    return count;
}

static PyObject *leave_open(PyObject *module, PyObject *keep)
{
    (void)module;
    struct bp_thread *t = bp_self();
    long kept = PyLong_AsLong(keep);
    return !t || PyErr_Occurred() ? NULL : PyLong_FromLong(bp_leave_open(t, kept));
}

static PyMethodDef region_methods[] = {
    {"leave_open", leave_open, METH_O,
     PyDoc_STR("leave_open(keep): end all regions but the outermost `keep`. Returns how many.")},
    {"critical_section", (PyCFunction)(void (*)(void))critical_section, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "critical_section(budget=5.0, *, check=False)\n--\n\nA region in which no interrupt is delivered, for at most "
         "`budget` seconds, counted from its entry or the interrupt, whichever is later. With check=True its end is an "
         "interruption point.")},
    {"cleanup", (PyCFunction)(void (*)(void))cleanup, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "cleanup(grace=5.0)\n--\n\nA region in which earlier interrupts are not delivered again, for `grace` seconds "
         "counted from their delivery. Interrupts that are posted later are delivered.")},
    {"handler", (PyCFunction)(void (*)(void))handler, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "handler(callback, *, final=False)\n--\n\nA region with a handler of the ladder's: rung 2, or with final=True "
         "rung 3. It runs on the thread, at its next point.")},
    {"switch_taking_part", switch_taking_part, METH_O,
     PyDoc_STR(
         "switch_taking_part(all): as taking_part(), but from here on; as a region if the result is used in a with.")},
    {"taking_part", taking_part, METH_O,
     PyDoc_STR("taking_part(all): a region in which all interrupts, or only raise_exc()'s, end blocking calls.")},
    {0},
};

int bp_regions_init(PyObject *module)
{
    if (!manager_type && !(manager_type = (PyTypeObject *)PyType_FromSpec(&manager_spec)))
        return -1;
    PyObject *allow = (PyObject *)manager_new(BP_ALLOW);
    int error = allow ? PyModule_AddObjectRef(module, "allow_interruption", allow) : -1;
    Py_XDECREF(allow);
    return error == 0 ? PyModule_AddFunctions(module, region_methods) : -1;
}
