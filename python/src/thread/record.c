/* SPDX-License-Identifier: MIT */
/* Records as Python objects, and the record of a posted exception. */
#include "base/base.h"
#include "thread/thread.h"

static const char *const kind_names[BOUGH_KINDS] = {"stop", "timeout",  "sibling",  "signal",
                                                    "exit", "operator", "exception"};

static PyStructSequence_Field record_fields[] = {
    {"kind", "'stop', 'timeout', 'sibling', 'signal', 'exit', 'operator' or 'exception'"},
    {"reason", "the reason that the first poster gave, or ''"},
    {"source", "the native id of the thread that posted it; 0: bough itself"},
    {"age", "seconds from the first post until the record was read"},
    {"count", "how many posts it stands for"},
    {"signo", "the number of the signal, for the kind 'signal'; else 0"},
    {"rung", "its rung on the ladder; 1 is the flag"},
    {"target", "the handle of the thread or branch it was posted to"},
    {"since", "when it was first posted, in nanoseconds on bough's clock"},
    {NULL, NULL},
};

static PyStructSequence_Desc record_desc = {"bough.Record", "Why a thread has to stop, since when, and who asked.",
                                            record_fields, 9};

PyObject *bp_record_object(const struct bough_record *r)
{
    PyObject *record = PyStructSequence_New((PyTypeObject *)bp.record_type);
    if (!record)
        return NULL;
    PyStructSequence_SetItem(record, 0, PyUnicode_FromString(r->kind < BOUGH_KINDS ? kind_names[r->kind] : "?"));
    PyStructSequence_SetItem(record, 1, bp_text(r->reason));
    PyStructSequence_SetItem(record, 2, PyLong_FromLong(r->source));
    PyStructSequence_SetItem(record, 3, PyFloat_FromDouble((double)(bough_now() - r->since) / 1e9));
    PyStructSequence_SetItem(record, 4, PyLong_FromUnsignedLong(r->count));
    PyStructSequence_SetItem(record, 5, PyLong_FromLong(r->signo));
    PyStructSequence_SetItem(record, 6, PyLong_FromLong(r->rung));
    PyStructSequence_SetItem(record, 7, PyLong_FromVoidPtr((void *)(uintptr_t)r->target));
    PyStructSequence_SetItem(record, 8, PyLong_FromLongLong(r->since));
    if (PyErr_Occurred())
        Py_CLEAR(record);
    return record;
}

int bp_post_exception(struct bp_thread *t)
{
    struct bough_event event = {
        .kind = BOUGH_EXCEPTION, .flags = BOUGH_ALONE, .reason = Py_TYPE(t->exc.posted)->tp_name};
    return bough_post_event(t->handle, &event).record ? 0 : -1;
}

int bp_record_init(PyObject *module)
{
    if (!bp.record_type)
        bp.record_type = (PyObject *)PyStructSequence_NewType(&record_desc);
    return bp.record_type ? PyModule_AddObjectRef(module, "Record", bp.record_type) : -1;
}
