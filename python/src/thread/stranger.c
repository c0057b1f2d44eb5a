/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of threads that have not used bough. The poster makes such a thread known to the library, which then shows
 * the thread in its tree and reports overdue interrupts (rule 16). The thread takes over its slot at its first use of
 * bough.
 *
 * Nothing here runs Python code or lets other threads run, because the poster continues to use the entry that it has
 * looked up.
 */
#include "thread/thread.h"
#include "api/module.h"

/* 0: the thread is being started, and its id is not known yet. */
static pid_t native_id(const PyThreadState *ts)
{
    bool is_starters = PY_VERSION_HEX < 0x030C0000 && !bp_runs_code(ts); /* so is the ident */
    return is_starters ? 0 : (pid_t)ts->native_thread_id;
}

#ifdef Py_GIL_DISABLED

/* In a free-threaded interpreter, objects that the poster creates for another thread may be freed by the poster, after
 * the other thread has ended. So the entry gets no capsule: bp_prune(), or the library's ticker, drops the entry. */
static bool will_be_forgotten(struct bp_thread *t)
{
    (void)t;
    return true;
}

#else

/* Prevents a garbage collection, which up to 3.11 may begin here and run Python code, so that threads could end
 * meanwhile. */
static PyObject *new_dictionary(void)
{
    int collects = PyGC_Disable();
    PyObject *dict = PyDict_New();
    if (collects)
        PyGC_Enable();
    return dict;
}

/* Attaches the entry's capsule, so that the entry is dropped when the thread ends. */
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
        t->handle = NULL; /* C code of the thread has used bough meanwhile, and the thread has another handle */
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
        return PyErr_SetString(PyExc_ValueError, "the thread is still being started, and has no handle in bough yet"),
               NULL;
    return t ? PyLong_FromVoidPtr(t->handle) : NULL;
}

PyMethodDef bp_stranger_methods[] = {
    {"handle_of", handle_of, METH_VARARGS, PyDoc_STR("handle_of(ident): any thread's handle in libbough.")},
    {0},
};
