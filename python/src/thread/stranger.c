/* SPDX-License-Identifier: MIT */
/*
 * Threads that have not used bough, and are posted to: the poster makes them known to the library, which shows them in
 * its tree and reports what is overdue (rule 16). Such a thread takes that over at its first use of bough.
 *
 * No Python code runs in here, and no other thread: who posts has looked an entry up, and goes on with it.
 */
#include "base/state.h"

/* 0: it is being started, and its id not known yet. */
static pid_t native_id(const PyThreadState *ts)
{
    bool is_starters = PY_VERSION_HEX < 0x030C0000 && !bp_runs_code(ts); /* as its ident is */
    return is_starters ? 0 : (pid_t)ts->native_thread_id;
}

#ifdef Py_GIL_DISABLED

/* Such an interpreter leaves what this thread makes for another one to this thread, which may free it after that one
 * has gone. So bp_prune() is what forgets it, or the library's own look. */
static bool will_be_forgotten(struct bp_thread *t)
{
    (void)t;
    return true;
}

#else

/* A collection, which up to 3.11 may begin here, runs Python code: threads would end meanwhile. */
static PyObject *new_dictionary(void)
{
    int collects = PyGC_Disable();
    PyObject *dict = PyDict_New();
    if (collects)
        PyGC_Enable();
    return dict;
}

/* With its capsule, so that it goes when the thread ends. */
static bool will_be_forgotten(struct bp_thread *t)
{
    PyThreadState *ts = t->tstate;
    bool is = (ts->dict || (ts->dict = new_dictionary())) && bp_thread_attach(t, ts->dict) == 0;
    PyErr_Clear();
    return is;
}

#endif

void bp_thread_show(struct bp_thread *t)
{
    char name[BP_NAME];
    if (t->handle && !t->begun && bough_alive(t->handle) != 0)
        t->handle = NULL; /* C code of the thread has used bough at the same moment: it is known by another one */
    pid_t tid = t->handle ? 0 : native_id(t->tstate);
    if (!tid || !will_be_forgotten(t))
        return;
    bp_thread_name(t->tstate->thread_id, name, sizeof name);
    t->handle = bough_adopt_thread(tid, name);
    if (t->handle)
        bp_post_queued(t);
}

static PyObject *handle_of(PyObject *module, PyObject *args)
{
    unsigned long ident;
    (void)module;
    if (!PyArg_ParseTuple(args, "k:handle_of", &ident))
        return NULL;
    struct bp_thread *t = bp_thread_of_ident(ident);
    if (t)
        bp_thread_show(t);
    if (t && !t->handle)
        return PyErr_SetString(PyExc_ValueError,
                               "the thread has not used bough, and bough can't know it yet: it is being started"),
               NULL;
    return t ? PyLong_FromVoidPtr(t->handle) : NULL;
}

PyMethodDef bp_stranger_methods[] = {
    {"handle_of", handle_of, METH_VARARGS, PyDoc_STR("handle_of(ident): any thread's handle in libbough.")},
    {0},
};
