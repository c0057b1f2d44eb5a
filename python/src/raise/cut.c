/* SPDX-License-Identifier: MIT */
/* Records that a call was interrupted, or that a wait of C code ends because an interrupt is due. */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "api/module.h"
#include "upcalls.h"

#include <errno.h>
#include <string.h>

/* Runs on the thread, usually without the GIL. If the record was cleared meanwhile, the interpreter and the lock's
 * method retry. */
int bp_call_interrupted(void *argument, const struct bough_cut *cut)
{
    struct bp_thread *t = argument;
    bool lock = t->wait.in_lock && strncmp(cut->call, "sem_", 4) == 0;
    t->wait.lock_cut |= lock;
    if (!cut->why)
        return lock || cut->error != BP_CUT ? 0 : EINTR;
    t->cut.why = *cut->why;
    if (!lock && bp_look_begins()) {
        t->cut.place = bp_place(t);
        t->cut.is_set = true;
        if (!t->cut.raises)
            bp_cause_cut(t);
        bp_look_ends();
    }
    return 0;
}

bool bp_is_cut_here(const struct bp_thread *t)
{
    if (!t || !t->cut.is_set || !bp_look_begins())
        return false;
    bool here = bp_is_cut_place(t);
    bp_look_ends();
    return here;
}

bool bp_cut_here(void)
{
    struct bp_thread *t = bp_me;
    if (t && t->cut.is_set && !bp_is_cut_here(t)) { /* set for another call, whose error was swallowed */
        t->cut.is_set = false;
        bough_foreign_again();
    }
    if (!t || (!t->cut.is_set && bough_foreign_check(&t->cut.why) == 0))
        return false;
    if (!t->cut.is_set && bp_look_begins()) {
        t->cut.place = bp_place(t);
        t->cut.is_set = true;
        bp_cause_cut(t);
        bp_look_ends();
    }
    return true;
}

/* For functions of the interpreter that return the result of their call without raising an error. */
static PyObject *meet_cut(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (bp_cut_here() && bp_meet(bp_me) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *pretend_cut(PyObject *module, PyObject *none)
{
    struct bp_thread *t = bp_self();
    (void)module, (void)none;
    if (!t)
        return NULL;
    t->cut.place = bp_place(t);
    t->cut.is_set = true;
    Py_RETURN_NONE;
}

PyMethodDef bp_cut_methods[] = {
    {"meet_cut", meet_cut, METH_NOARGS,
     PyDoc_STR("meet_cut(): raise the interrupt's exception, if an interrupt has ended a call or is due.")},
    {"pretend_cut", pretend_cut, METH_NOARGS,
     PyDoc_STR("pretend_cut(): for tests, as if a call was interrupted and C code has swallowed the error.")},
    {0},
};
