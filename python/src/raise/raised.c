/* SPDX-License-Identifier: MIT */
/* Records the exception instances raised in a thread, and the records raised a short time ago. */
#include "raise/raise.h"

#include <string.h>

/* ---- instances --------------------------------------------------------------------------------------------------- */

/* A swallowed instance must be recognised. It is marked, because a reference to it would keep alive its traceback, and
 * everything that the traceback refers to. */
static const char mark[] = "_bough_raised_in";

void bp_mark_raised(const struct bp_thread *t, PyObject *exception)
{
    PyObject *id = PyLong_FromUnsignedLongLong(t->id);
    if (!id || PyObject_GenericSetAttr(exception, PyUnicode_InternFromString(mark), id) != 0)
        PyErr_Clear();
    Py_XDECREF(id);
}

bool bp_was_raised_here(const struct bp_thread *t, PyObject *exception)
{
    PyObject *id = PyObject_GenericGetAttr(exception, PyUnicode_InternFromString(mark));
    bool here = id && PyLong_Check(id) && PyLong_AsUnsignedLongLong(id) == t->id;
    PyErr_Clear();
    Py_XDECREF(id);
    return here;
}

/* ---- records that were raised a short time ago ------------------------------------------------------------------- */

bool bp_same_record(const struct bp_raised *seen, const struct bough_record *why)
{
    return seen->target == why->target && seen->since == why->since && seen->kind == why->kind;
}

bough_time bp_raised_until(const struct bp_thread *t, const struct bough_record *why)
{
    for (int i = 0; t->exc.lately && i < BP_RAISED_KEPT; i++) {
        const struct bp_raised *r = &t->exc.lately->records[i];
        if (bp_same_record(r, why) && r->rung == why->rung)
            return r->until;
    }
    return 0;
}

/* If there is no memory, nothing is recorded, and the record may be raised again sooner. */
void bp_note_raised(struct bp_thread *t, const struct bough_record *why)
{
    if (!t->exc.lately && !(t->exc.lately = PyMem_RawCalloc(1, sizeof *t->exc.lately)))
        return;
    struct bp_raised_lately *lately = t->exc.lately;
    bough_time until = bough_after(t->grace.length ? t->grace.length : BOUGH_DEFAULT_GRACE);
    unsigned i = 0;
    while (i < BP_RAISED_KEPT && !bp_same_record(&lately->records[i], why))
        i++;
    if (i == BP_RAISED_KEPT)
        i = lately->next++ % BP_RAISED_KEPT;
    lately->records[i] = (struct bp_raised){why->target, why->since, why->kind, why->rung, until};
}

void bp_forget_raised(struct bp_thread *t)
{
    if (t->exc.lately)
        memset(t->exc.lately->records, 0, sizeof t->exc.lately->records);
}
