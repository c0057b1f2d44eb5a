/* SPDX-License-Identifier: MIT */
/*
 * Places where a call was interrupted: cause.c, watch.c.
 *
 * If other threads may run, one of them may drop a place: when its frame, its thread or its interrupt ends. Other
 * threads may run wherever watching of instructions begins or ends, because the interpreter may have audit hooks. So a
 * place is removed from the list before it is dropped, and a walk through the list continues with the result of
 * bp_site_drop().
 */
#include "thread/thread.h"
#include "calls/cause.h"
#include "api/module.h"

#include <opcode.h>

enum { SITES_OF_A_THREAD = 8 };

struct bp_site *bp_sites;
static uint64_t order;   /* of the latest place */
static unsigned changes; /* of the list */

/* ---- the end of a frame ------------------------------------------------------------------------------------------ */

static destructor free_frame; /* the interpreter's function; NULL while it is not replaced */

static void unlist_site(struct bp_site *s);

static void frame_dies(PyObject *frame)
{
    destructor original = free_frame;
    PyCodeObject *watched = NULL;
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if ((PyObject *)s->frame != frame)
            continue;
        if (s->watched && !watched)
            watched = (PyCodeObject *)Py_NewRef((PyObject *)s->code);
        unlist_site(s);
    }
    original(frame);
    if (watched)
        bp_watch_code(watched); /* only here may other threads run */
    Py_XDECREF(watched);
}

/* The interpreter's function is replaced only while there are sites: with it the interpreter frees long chains of
 * frames without recursion. */
static void follow_sites(void)
{
    if (bp_sites && !free_frame) {
        free_frame = PyFrame_Type.tp_dealloc;
        PyFrame_Type.tp_dealloc = frame_dies;
    } else if (!bp_sites && free_frame && PyFrame_Type.tp_dealloc == frame_dies) {
        PyFrame_Type.tp_dealloc = free_frame;
        free_frame = NULL;
    }
}

/* ---- sites ------------------------------------------------------------------------------------------------------- */

static void unlist_site(struct bp_site *s)
{
    struct bp_site **at = &bp_sites;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    changes++;
    follow_sites();
    PyMem_RawFree(s);
}

struct bp_site *bp_site_drop(struct bp_site *s)
{
    struct bp_site gone = *s;
    Py_XINCREF(gone.code);
    unlist_site(s);
    unsigned before = changes;
    if (gone.watched)
        bp_watch_end(&gone);
    Py_XDECREF(gone.code);
    return changes == before ? gone.next : bp_sites;
}

/* If C code dropped the exception and raised no error, the interrupt is due again: the next call raises it. */
struct bp_site *bp_site_succeeded(struct bp_site *s)
{
    if (s->dropped && s->thread == bp_me)
        bough_foreign_again();
    return bp_site_drop(s);
}

struct bp_site *bp_site_with(uint64_t number)
{
    struct bp_site *s = bp_sites;
    while (s && s->order != number)
        s = s->next;
    return s;
}

void bp_sites_drop(bool (*test)(const struct bp_site *, const void *), const void *value)
{
    for (struct bp_site *s = bp_sites; s;)
        s = test(s, value) ? bp_site_drop(s) : s->next;
}

struct bp_site *bp_site_find(const struct bp_thread *t, const PyFrameObject *frame, int instruction)
{
    struct bp_site *s = bp_sites;
    while (s && !(s->thread == t && s->frame == frame && s->last == instruction))
        s = s->next;
    return s;
}

struct bp_site *bp_site_here(const struct bp_thread *t)
{
    PyFrameObject *frame = PyEval_GetFrame();
    return bp_site_find(t, frame, frame ? PyFrame_GetLasti(frame) : 0);
}

/* If there are too many sites, drops the oldest, whose error was handled long ago. */
static void make_room(const struct bp_thread *t)
{
    struct bp_site *oldest = NULL;
    int count = 0;
    for (struct bp_site *s = bp_sites; s; s = s->next) {
        if (s->thread != t)
            continue;
        count++;
        if (!oldest || s->order < oldest->order)
            oldest = s;
    }
    if (count >= SITES_OF_A_THREAD)
        bp_site_drop(oldest);
}

/* ---- an instruction in its code ---------------------------------------------------------------------------------- */

static const unsigned char *varint(const unsigned char *p, int *value)
{
    int v = *p & 63;
    while (*p & 64)
        v = v << 6 | (*++p & 63);
    *value = v;
    return p + 1;
}

/* An entry of the exception table (Objects/exception_handling_notes.txt of the interpreter) has a start, a length and a
 * target, in code units, and a depth. */
static int handler_of(const PyCodeObject *code, int instruction)
{
    const unsigned char *p = (const unsigned char *)PyBytes_AS_STRING(code->co_exceptiontable);
    const unsigned char *end = p + PyBytes_GET_SIZE(code->co_exceptiontable);
    int unit = instruction / (int)sizeof(uint16_t), start, length, target, depth;
    while (p < end) {
        p = varint(varint(varint(varint(p, &start), &length), &target), &depth);
        if (unit >= start && unit < start + length)
            return target * (int)sizeof(uint16_t);
    }
    return -1;
}

/* Where the instruction begins, with the prefixes for large arguments. */
static int first_of(PyCodeObject *code, int instruction)
{
    PyObject *bytes = PyCode_GetCode(code);
    const unsigned char *units = bytes ? (const unsigned char *)PyBytes_AS_STRING(bytes) : NULL;
    while (units && instruction >= 2 && units[instruction - 2] == EXTENDED_ARG)
        instruction -= 2;
    Py_XDECREF(bytes);
    PyErr_Clear();
    return instruction;
}

static void note_frame(struct bp_site *s, PyFrameObject *frame, int instruction)
{
    s->frame = frame;
    s->code = PyFrame_GetCode(frame);
    s->first = first_of(s->code, instruction);
    s->last = instruction;
    s->handler = handler_of(s->code, instruction);
    Py_DECREF(s->code); /* the frame owns a reference */
}

struct bp_site *bp_site_add(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why)
{
    uint64_t id = t->id;
    struct bp_site *s = bp_site_find(t, frame, instruction);
    if (s)
        bp_site_drop(s);
    make_room(t);
    if (t != bp_me && bp_thread_find(id) != t)
        return NULL; /* the thread has ended meanwhile */
    if (!(s = PyMem_RawCalloc(1, sizeof *s)))
        return NULL;
    *s = (struct bp_site){.thread = t, .running = true, .order = ++order, .why = *why};
    if (frame)
        note_frame(s, frame, instruction);
    s->next = bp_sites;
    bp_sites = s;
    changes++;
    follow_sites();
    return s;
}

/* ---- for tests --------------------------------------------------------------------------------------------------- */

static PyObject *description(const struct bp_site *s)
{
    return Py_BuildValue("(OiO)", s->code ? (PyObject *)s->code : Py_None, s->last, s->watched ? Py_True : Py_False);
}

static PyObject *places(PyObject *module, PyObject *none)
{
    PyObject *list = PyList_New(0);
    int collects = PyGC_Disable(); /* up to 3.11 a new object may run finalizers, and other threads with them */
    (void)module, (void)none;
    for (const struct bp_site *s = bp_sites; list && s; s = s->next) {
        PyObject *site = description(s);
        if (!site || PyList_Append(list, site) != 0)
            Py_CLEAR(list);
        Py_XDECREF(site);
    }
    if (collects)
        PyGC_Enable();
    return list;
}

PyMethodDef bp_site_methods[] = {
    {"interrupted_places", places, METH_NOARGS,
     PyDoc_STR(
         "interrupted_places(): (code, offset, is watched) of each instruction whose call was interrupted and has "
         "not succeeded since, in all threads.")},
    {0},
};
