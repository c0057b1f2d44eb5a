/* SPDX-License-Identifier: MIT */
/* Interruption points. */
#include "thread/thread.h"
#include "raise/raise.h"
#include "api/module.h"

__attribute__((noinline)) static int raise_pending(struct bp_thread *t)
{
    struct bough_record why;
    if (bough_reason(&why) != 0)
        return 0;
    bp_raise(t, &why);
    return -1;
}

static inline int check(struct bp_thread *t)
{
    t->cut.is_set = false; /* an interrupt whose call has raised no error is raised here */
    return __builtin_expect(bough_check() == 0, 1) ? 0 : raise_pending(t);
}

int bp_check(struct bp_thread *t)
{
    return check(t);
}

/* For functions that programs call in their loops. They are METH_FASTCALL, although they take no arguments, because the
 * interpreter calls such a function directly, but a METH_NOARGS function through another function. */
static PyObject *refuse_arguments(const char *name, Py_ssize_t count)
{
    return PyErr_Format(PyExc_TypeError, "%s() takes no arguments (%zd given)", name, count);
}

static inline struct bp_thread *caller(void)
{
    return __builtin_expect(bp_me && bp_me->handle, 1) ? bp_me : bp_self();
}

static PyObject *check_interrupt(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module, (void)args;
    if (__builtin_expect(count != 0, 0))
        return refuse_arguments("check_interrupt", count);
    struct bp_thread *t = caller();
    if (!t || check(t) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *interruption_requested(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module, (void)args;
    if (__builtin_expect(count != 0, 0))
        return refuse_arguments("interruption_requested", count);
    struct bp_thread *t = caller();
    return t ? PyBool_FromLong(bough_interrupted()) : NULL;
}

PyMethodDef bp_point_methods[] = {
    {"check_interrupt", (PyCFunction)(void (*)(void))check_interrupt, METH_FASTCALL,
     PyDoc_STR(
         "check_interrupt()\n--\n\nAn interruption point: raises ThreadExit, or the exception posted by raise_exc(), if "
         "an interrupt is due for the calling thread.")},
    {"interruption_requested", (PyCFunction)(void (*)(void))interruption_requested, METH_FASTCALL,
     PyDoc_STR("interruption_requested()\n--\n\nWhether an interrupt is pending for the calling thread, at any level. "
               "Raises nothing.")},
    {0},
};
