/* SPDX-License-Identifier: MIT */
/*
 * Finds the entries of the calling thread and of other threads.
 *
 * A thread creates its entry at its first use of bough. If another thread posts to it before that, the poster creates
 * the entry, and makes the thread known to the library, too. An entry is found by the number of its PyThreadState,
 * which is never reused: so a post to a thread that has ended does not reach another thread with the same ident
 * (rule 6). The entry is freed with the PyThreadState, whose dictionary contains the entry's capsule.
 */
#include "base/base.h"
#include "thread/thread.h"
#include "api/module.h"
#include "upcalls.h"

#include <pthread.h>
#include <unistd.h>

static const char key[] = "bough._bough.thread";
static __thread uint64_t cleared; /* the number of this thread's state whose capsule was destroyed */

/* ---- entries -------------------------------------------------------------------------------------------- */

/* The thread state is being cleared: by the thread at its end, or by another one after a fork or at the interpreter's
 * end. If the thread continues without Python, its interrupted calls no longer become exceptions. */
static void capsule_dies(PyObject *capsule)
{
    struct bp_thread *t = PyCapsule_GetPointer(capsule, key);
    if (!t)
        return;
    if (bp_me == t)
        bp_thread_leaves(t);
    if (t->tstate->thread_id == (unsigned long)pthread_self())
        cleared = t->id;
    bp_thread_ends(t);
}

int bp_thread_attach(struct bp_thread *t, PyObject *dict)
{
    static PyObject *name;
    if (!name && !(name = PyUnicode_InternFromString(key)))
        return -1;
    if (PyDict_GetItemWithError(dict, name))
        return 0;
    PyObject *capsule = PyCapsule_New(t, key, capsule_dies);
    if (!capsule)
        return -1;
    int error = PyDict_SetItem(dict, name, capsule);
    if (error != 0)
        PyCapsule_SetDestructor(capsule, NULL); /* the caller drops the entry */
    Py_DECREF(capsule);
    return error;
}

static struct bp_thread *make_entry(PyThreadState *tstate)
{
    struct bp_thread *t = PyMem_RawCalloc(1, sizeof *t);
    if (!t)
        return (void)PyErr_NoMemory(), NULL;
    t->id = PyThreadState_GetID(tstate);
    t->tstate = tstate;
    t->event_fd = -1;
    bp_entry_add(t);
    return t;
}

/* ---- the calling thread ---------------------------------------------------------------------------------- */

/* `options` is NULL if bough did not start the thread. The library then gets the name that threading has for it. */
static bough_thread *adopt(struct bp_thread *t, const struct bough_child_options *options)
{
    char name[BP_NAME];
    if (options)
        return bough_adopt_with(options);
    bp_thread_name(t->tstate->thread_id, name, sizeof name);
    return bough_adopt_with(&(struct bough_child_options){.name = *name ? name : NULL});
}

/* C code has used the library already, on this thread. Its name stays if it has one. */
static bough_thread *adopted_already(const struct bp_thread *t)
{
    char name[BP_NAME];
    bough_thread *handle = bough_self();
    if (handle && bough_get_name(handle, name, sizeof name) == 0) {
        bp_thread_name(t->tstate->thread_id, name, sizeof name);
        bough_adopt(name);
    }
    return handle;
}

/* Adds the calling thread to the tree, or takes over the slot that a poster has created for it. Then posts the
 * interrupts that were queued while the library did not know the thread. */
static int begin_entry(struct bp_thread *t, const struct bough_child_options *options)
{
    if (t->begun)
        return 0;
    bough_thread *handle = adopt(t, options);
    if (!handle && errno == EEXIST)
        handle = adopted_already(t);
    if (!handle)
        return (void)bp_error("the table of threads is full"), -1;
    bool shown = t->handle == handle;
    t->handle = handle;
    t->begun = true;
    if (!shown)
        bp_post_queued(t);
    return 0;
}

/* For finalizers that run while the thread state is cleared, when its dictionary and the thread's entry are gone
 * already: a new entry serves for the remaining time. The new entry is not stored in bp_me, because the thread may get
 * another thread state, as threads of C libraries do. */
static struct bp_thread *late(PyThreadState *tstate)
{
    bp_prune();
    struct bp_thread *t = bp_entry_find(PyThreadState_GetID(tstate));
    if (!t)
        t = make_entry(tstate);
    if (t)
        t->late = true;
    return t && begin_entry(t, NULL) == 0 ? t : NULL;
}

static struct bp_thread *self(const struct bough_child_options *options)
{
    PyThreadState *tstate = PyThreadState_Get();
    if (PyThreadState_GetID(tstate) == cleared)
        return late(tstate);
    struct bp_thread *t = bp_entry_find(PyThreadState_GetID(tstate));
    if (!t)
        t = make_entry(tstate);
    if (!t)
        return NULL;
    PyObject *dict = PyThreadState_GetDict();
    if (!dict || bp_thread_attach(t, dict) != 0) {
        if (!dict)
            PyErr_SetString(PyExc_RuntimeError, "this thread has no thread state to keep its interrupts in");
        bp_thread_ends(t);
        return NULL;
    }
    if (begin_entry(t, options) != 0)
        return NULL;
    return bp_me = t;
}

struct bp_thread *bp_self(void)
{
    return bp_me && bp_me->handle ? bp_me : self(NULL);
}

struct bp_thread *bp_thread_known(void)
{
    if (bp_me)
        return bp_me;
    PyThreadState *ts = PyThreadState_Get();
    return PyThreadState_GetInterpreter(ts) == bp.interpreter ? bp_entry_find(PyThreadState_GetID(ts)) : NULL;
}

/* ---- any thread -------------------------------------------------------------------------------------------- */

/* If a thread has not used bough itself, or uses bough in its last finalizers, its entry may have no capsule that frees
 * it: so this checks whether the thread state still exists. */
bool bp_thread_lives(const struct bp_thread *t)
{
    if (t->begun && !t->late)
        return true;
    PyThreadState *ts = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    while (ts && PyThreadState_GetID(ts) != t->id)
        ts = PyThreadState_Next(ts);
    return ts != NULL;
}

/* Without a garbage collection: up to 3.11, creating a frame object may begin one, and let other threads run. */
PyFrameObject *bp_thread_frame(const struct bp_thread *t)
{
    int collects = PyGC_Disable();
    PyFrameObject *frame = PyThreadState_GetFrame(t->tstate);
    if (collects)
        PyGC_Enable();
    return frame;
}

/* Dropping an entry may run Python code that changes the list: so the walk starts again after each dropped entry. */
void bp_prune(void)
{
    for (struct bp_thread *t = bp.threads; t;) {
        bool lives = bp_thread_lives(t);
        if (!lives)
            bp_thread_ends(t);
        t = lives ? t->entry.next : bp.threads;
    }
}

struct bp_thread *bp_thread_of_state(PyThreadState *ts)
{
    struct bp_thread *t = bp_entry_find(PyThreadState_GetID(ts));
    return t ? t : make_entry(ts);
}

/* The first thread state with this ident at or after `ts` in the interpreter's list, in which the newest is the
 * first. */
static PyThreadState *with_ident(PyThreadState *ts, unsigned long ident)
{
    while (ts && ts->thread_id != ident)
        ts = PyThreadState_Next(ts);
    return ts;
}

static PyThreadState *first_with_ident(unsigned long ident)
{
    return with_ident(PyInterpreterState_ThreadHead(PyInterpreterState_Get()), ident);
}

bool bp_runs_code(const PyThreadState *ts)
{
    return bp_innermost(ts) != NULL;
}

/* Up to 3.11 the state of a new thread has the ident of the starting thread until the new thread runs: that state must
 * not be found. It executes no code, and neither does a state that C code of an ended thread has left behind. */
static PyThreadState *state_of(unsigned long ident)
{
    PyThreadState *first = first_with_ident(ident), *ts = first;
    while (ts && !bp_runs_code(ts))
        ts = with_ident(PyThreadState_Next(ts), ident);
    return ts ? ts : first;
}

bool bp_ident_names(const struct bp_thread *t)
{
    return first_with_ident(t->tstate->thread_id) == t->tstate;
}

struct bp_thread *bp_thread_of_ident(unsigned long ident)
{
    bp_prune();
    PyThreadState *ts = state_of(ident);
    if (!ts)
        return bp_not_alive("there is no thread with the ident %lu, or it has ended", ident), NULL;
    return bp_thread_of_state(ts);
}

struct bp_thread *bp_thread_find(uint64_t id)
{
    struct bp_thread *t = bp_entry_find(id);
    return t && bp_thread_lives(t) ? t : NULL;
}

struct bp_thread *bp_thread_of_id(uint64_t id)
{
    struct bp_thread *t = bp_thread_find(id);
    if (!t)
        bp_not_alive("the thread has ended");
    return t;
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static PyObject *begin_thread(PyObject *module, PyObject *args)
{
    const char *name;
    int disabled;
    (void)module;
    if (!PyArg_ParseTuple(args, "sp:begin", &name, &disabled))
        return NULL;
    struct bough_child_options options = {.name = name, .disabled = disabled != 0};
    struct bp_thread *t = self(&options);
    if (!t)
        return NULL;
    t->regions.disabled = disabled;
    bough_set_name(name);
    return PyLong_FromVoidPtr(t->handle);
}

static PyObject *self_handle(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    struct bp_thread *t = bp_self();
    return t ? PyLong_FromVoidPtr(t->handle) : NULL;
}

static PyObject *id_of(PyObject *module, PyObject *args)
{
    unsigned long ident;
    (void)module;
    if (!PyArg_ParseTuple(args, "k:id_of", &ident))
        return NULL;
    struct bp_thread *t = bp_thread_of_ident(ident);
    return t ? PyLong_FromUnsignedLongLong(t->id) : NULL;
}

/* Replaces sys._current_frames(), which creates a frame object for every thread, and may collect garbage while it holds
 * the lock of the interpreter's list. */
static PyObject *has_state(PyObject *module, PyObject *args)
{
    unsigned long ident;
    (void)module;
    return PyArg_ParseTuple(args, "k:has_state", &ident) ? PyBool_FromLong(first_with_ident(ident) != NULL) : NULL;
}

static PyObject *set_name(PyObject *module, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);
    (void)module;
    if (!text || !bp_self())
        return NULL;
    bough_set_name(text);
    Py_RETURN_NONE;
}

PyMethodDef bp_thread_methods[] = {
    {"begin", begin_thread, METH_VARARGS,
     PyDoc_STR("begin(name, disabled): make the calling thread known, started disabled or not. Returns its handle.")},
    {"self_handle", self_handle, METH_NOARGS, PyDoc_STR("The calling thread's handle in libbough.")},
    {"id_of", id_of, METH_VARARGS,
     PyDoc_STR("id_of(ident): the thread's number, which no other thread of the process ever has.")},
    {"has_state", has_state, METH_VARARGS,
     PyDoc_STR("has_state(ident): whether the interpreter still has a thread state with this ident.")},
    {"set_name", set_name, METH_O, PyDoc_STR("Name the calling thread, in the tree and for the kernel.")},
    {0},
};
