/* SPDX-License-Identifier: MIT */
/*
 * Errors that an interrupt has caused (rules 26 to 28).
 *
 * A client library answers an interrupted call with its own exception: psycopg2.OperationalError, pycurl.error. Where that
 * leaves a child, a work item, a thread's run() or a branch block it is to count as the interrupt, and a real error is to
 * stay one. What tells them apart is the place:
 *
 *      on_cut()                    the call is interrupted, without the interpreter lock: unplaced = true
 *      PyEval_RestoreThread()      ...called by the extension module, which has the lock again: the frame and its
 *        |                         instruction are noted, a `bp_site`. If the module never gave the lock away, on_cut() does
 *        |                         that itself
 *      the error                   passes this frame at this instruction: its traceback says so
 *      the instruction succeeds    the site is dropped (watch.c)
 *      the frame is freed          the same, so no later frame at the same address is taken for it
 *      the interrupt is cleared    the same
 *      the boundary                an error whose traceback, or that of one of its causes or contexts, passes a site
 *                                  becomes the interrupt's exception
 *
 * What was raised after a ThreadExit, by cleanup code, has a ThreadExit as its context: that is no such error (rule 26).
 *
 * C code may also drop an interrupt's exception that comes out of a Python function it has called: an SQL function, a
 * callback. Then the call of that C code counts as interrupted, and what was dropped is armed again (rule 44).
 */
#include "cause.h"

#include <errno.h>

enum { SITES_OF_A_THREAD = 8, LINKS_MOST = 1000 };

struct bp_site *bp_sites;
static uint64_t order;

/* ---- the end of a frame ------------------------------------------------------------------------------------------ */

static destructor free_frame; /* the interpreter's; NULL while nothing of ours stands before it */

static void drop(struct bp_site *s);

static void frame_dies(PyObject *frame)
{
    destructor original = free_frame;
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if ((PyObject *)s->frame == frame)
            drop(s);
    }
    original(frame);
}

/* Only while there are sites: the interpreter frees long chains of frames without recursion, but not with a function of ours
 * in its place. */
static void mind_frames(void)
{
    if (bp_sites && !free_frame) {
        free_frame = PyFrame_Type.tp_dealloc;
        PyFrame_Type.tp_dealloc = frame_dies;
    } else if (!bp_sites && free_frame && PyFrame_Type.tp_dealloc == frame_dies) {
        PyFrame_Type.tp_dealloc = free_frame;
        free_frame = NULL;
    }
}

/* ---- sites --------------------------------------------------------------------------------------------------------- */

static void drop(struct bp_site *s)
{
    struct bp_site **at = &bp_sites;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    mind_frames();
    PyMem_RawFree(s);
}

void bp_site_drop(struct bp_site *s)
{
    if (s->watched)
        bp_watch_end(s);
    drop(s);
}

/* An exception that was dropped and left no error comes again: the next call raises it. */
void bp_site_succeeded(struct bp_site *s)
{
    if (s->dropped && s->thread == bp_me)
        bough_foreign_again();
    bp_site_drop(s);
}

static void drop_if(bool (*test)(const struct bp_site *, const void *), const void *value)
{
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if (test(s, value))
            bp_site_drop(s);
    }
}

static bool is_of_thread(const struct bp_site *s, const void *thread)
{
    return s->thread == thread;
}

static bool is_of_target(const struct bp_site *s, const void *target)
{
    return (const void *)s->why.target == target;
}

void bp_cause_forget(struct bp_thread *t)
{
    t->unplaced = false;
    drop_if(is_of_thread, t);
}

void bp_cause_forget_target(bough_target target)
{
    drop_if(is_of_target, (const void *)target);
}

void bp_cause_forget_kind(const struct bp_thread *t, enum bough_kind kind)
{
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if (s->thread == t && s->why.kind == kind)
            bp_site_drop(s);
    }
}

static struct bp_site *find(const struct bp_thread *t, const PyFrameObject *frame, int instruction)
{
    struct bp_site *s = bp_sites;
    while (s && !(s->thread == t && s->frame == frame && s->last == instruction))
        s = s->next;
    return s;
}

/* Where the calling thread's innermost Python code stands. */
static struct bp_site *find_here(const struct bp_thread *t)
{
    PyFrameObject *frame = PyEval_GetFrame();
    return find(t, frame, frame ? PyFrame_GetLasti(frame) : 0);
}

/* The oldest goes where there are too many: its error was handled long ago. */
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

/* ---- an instruction in its code ------------------------------------------------------------------------------------ */

static const unsigned char *varint(const unsigned char *p, int *value)
{
    int v = *p & 63;
    while (*p & 64)
        v = v << 6 | (*++p & 63);
    *value = v;
    return p + 1;
}

/* The exception table (Objects/exception_handling_notes.txt of the interpreter): start, length, target, depth of each entry,
 * in code units. */
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

/* Where it begins: arguments that are large come in instructions before it. */
static int first_of(PyCodeObject *code, int instruction)
{
    static int extended; /* the number of EXTENDED_ARG, which each version has changed */
    if (!extended) {
        PyObject *opcode = PyImport_ImportModule("opcode");
        PyObject *number = opcode ? PyObject_GetAttrString(opcode, "EXTENDED_ARG") : NULL;
        extended = number ? (int)PyLong_AsLong(number) : -1;
        Py_XDECREF(number);
        Py_XDECREF(opcode);
        PyErr_Clear();
    }
    PyObject *bytes = PyCode_GetCode(code);
    const unsigned char *units = bytes ? (const unsigned char *)PyBytes_AS_STRING(bytes) : NULL;
    while (units && instruction >= 2 && units[instruction - 2] == extended)
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
    Py_DECREF(s->code); /* the frame has it */
}

static struct bp_site *add(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why)
{
    struct bp_site *s = find(t, frame, instruction);
    if (s)
        bp_site_drop(s);
    make_room(t);
    if (!(s = PyMem_RawCalloc(1, sizeof *s)))
        return NULL;
    *s = (struct bp_site){.next = bp_sites, .thread = t, .running = true, .order = ++order, .why = *why};
    if (frame)
        note_frame(s, frame, instruction);
    bp_sites = s;
    mind_frames();
    return s;
}

static void add_and_watch(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why)
{
    struct bp_site *s = add(t, frame, instruction, why);
    if (s && frame)
        bp_watch_begin(s);
}

/* By the thread itself: where its innermost Python code stands. */
static void add_here(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    int collects = PyGC_Disable(); /* up to 3.11 a new frame object may run finalizers: not in the middle of C code */
    PyFrameObject *frame = PyEval_GetFrame();
    add_and_watch(t, frame, frame ? PyFrame_GetLasti(frame) : 0, why);
    if (collects)
        PyGC_Enable();
    PyErr_Restore(type, value, trace);
}

/* ---- a call was interrupted ----------------------------------------------------------------------------------------- */

static bool is_current(const struct bp_thread *t)
{
    struct bp_place now = bp_place(t);
    return now.frame == t->cut_at.frame && now.instruction == t->cut_at.instruction;
}

static void place(struct bp_thread *t)
{
    int saved = errno;
    t->unplaced = false;
    if (bp_is_nudge(t, &t->why))
        bp_nudge_for(t, &t->why);
    t->told_until = bough_after(BOUGH_DEFAULT_GRACE);
    if (PyThreadState_Get() == t->tstate && is_current(t))
        add_here(t, &t->why);
    errno = saved;
}

void bp_cause_cut(struct bp_thread *t)
{
    t->unplaced = true;
    if (PyGILState_Check())
        place(t);
}

/* The interrupt's exception is raised right here: no error of the call is to be expected. */
void bp_cause_raised(struct bp_thread *t)
{
    t->unplaced = false;
    if (!bp_sites || !bp_me || bp_me != t)
        return;
    struct bp_site *s = find_here(t);
    if (s)
        bp_site_drop(s);
}

static const struct bough_record unknown = {.kind = BOUGH_KINDS};

static bool is_unknown(const struct bp_site *s)
{
    return s->why.kind == BOUGH_KINDS;
}

/* In 3.11 it is not watched: the thread's trace function would be called for all that the block calls. There it counts until
 * the frame has ended, also if it has succeeded and is executed again. */
static void add_block(struct bp_thread *t, PyFrameObject *frame)
{
    if (PY_VERSION_HEX < 0x030C0000)
        add(t, frame, PyFrame_GetLasti(frame), &unknown);
    else
        add_and_watch(t, frame, PyFrame_GetLasti(frame), &unknown);
}

/* The call that the callback ends may return, and the client raise the server's answer somewhere else: so where the code of
 * a block stands counts, too. */
static void add_blocks(struct bp_thread *t, PyFrameObject *inner)
{
    for (PyFrameObject *frame = PyFrame_GetBack(inner), *outer; frame; frame = outer) {
        if (bp_callback_is_of(t, frame))
            add_block(t, frame);
        outer = PyFrame_GetBack(frame);
        Py_DECREF(frame);
    }
}

void bp_cause_running(struct bp_thread *t)
{
    PyFrameObject *frame = PyThreadState_GetFrame(t->tstate);
    if (!frame)
        return;
    add_and_watch(t, frame, PyFrame_GetLasti(frame), &unknown);
    add_blocks(t, frame);
    Py_DECREF(frame);
}

void bp_cause_known(const struct bp_thread *t)
{
    struct bough_record why;
    bool pending = bough_reason(&why) == 0;
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if (s->thread != t || !is_unknown(s))
            continue;
        if (pending)
            s->why = why;
        else
            bp_site_drop(s);
    }
}

/* A call that begins while a callback is at work may be the one that it ends. */
PyThreadState *bp_save_thread(void)
{
    if (bp_me && bp_me->callbacks && bp_callback_runs(bp_me))
        add_here(bp_me, &unknown);
    return PyEval_SaveThread();
}

/* Extension modules call these; errno is theirs to look at right after. */
void bp_restore_thread(PyThreadState *ts)
{
    PyEval_RestoreThread(ts);
    if (bp_me && bp_me->unplaced)
        place(bp_me);
}

void bp_acquire_thread(PyThreadState *ts)
{
    PyEval_AcquireThread(ts);
    if (bp_me && bp_me->unplaced)
        place(bp_me);
}

PyGILState_STATE bp_gilstate_ensure(void)
{
    PyGILState_STATE state = PyGILState_Ensure();
    if (bp_me && bp_me->unplaced)
        place(bp_me);
    return state;
}

/* ---- is it the interrupt's? ------------------------------------------------------------------------------------------ */

static bool is_exit(PyObject *exception)
{
    return bp.thread_exit && PyObject_TypeCheck(exception, (PyTypeObject *)bp.thread_exit);
}

/* A stop, as is_a_stop() of _child.py has it. */
static bool is_stop(PyObject *exception)
{
    if (is_exit(exception))
        return true;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_SystemExit))
        return false;
    PyObject *terminates = PyObject_GetAttrString(exception, "_bough_terminates");
    bool yes = terminates && PyObject_IsTrue(terminates) > 0;
    PyErr_Clear();
    Py_XDECREF(terminates);
    return yes;
}

static const struct bp_site *passed_site(const struct bp_thread *t, PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    const struct bp_site *s = NULL;
    while (trace && trace != Py_None && !s) {
        PyTracebackObject *tb = (PyTracebackObject *)trace;
        s = find(t, tb->tb_frame, tb->tb_lasti);
        trace = Py_XNewRef((PyObject *)tb->tb_next);
        Py_DECREF(tb);
    }
    Py_XDECREF(trace);
    return s;
}

/* It comes out of a C function that a child or a work item was given, and has passed no frame yet. */
static bool comes_from_here(PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    Py_XDECREF(trace);
    return !trace;
}

/* `pending` is the innermost record that is; another one that was not cleared is pending as well. */
static bool is_pending(const struct bough_record *why, const struct bough_record *pending)
{
    bool same = why->target == pending->target && why->kind == pending->kind;
    return why->kind == BOUGH_KINDS || !same || why->since == pending->since;
}

/* `raise ... from exit`: that code says itself what the cause is, as long as the exit's interrupt is the one that is
 * pending. */
static bool is_of_pending(PyObject *exit, const struct bough_record *why)
{
    PyObject *record = PyObject_GetAttrString(exit, "record"), *target = NULL, *since = NULL;
    if (record && record != Py_None) {
        target = PyObject_GetAttrString(record, "target");
        since = PyObject_GetAttrString(record, "since");
    }
    bool yes = target && since && PyLong_AsVoidPtr(target) == (const void *)why->target &&
               PyLong_AsLongLong(since) == why->since;
    PyErr_Clear();
    Py_XDECREF(target);
    Py_XDECREF(since);
    Py_XDECREF(record);
    return yes;
}

/* Steals `exception`, which may be NULL. */
static void remember(PyObject *list, PyObject *exception)
{
    bool known = !exception || PyList_GET_SIZE(list) >= LINKS_MOST;
    for (Py_ssize_t i = 0; !known && i < PyList_GET_SIZE(list); i++)
        known = PyList_GET_ITEM(list, i) == exception;
    if (!known && PyList_Append(list, exception) != 0)
        PyErr_Clear();
    Py_XDECREF(exception);
}

/* It, its causes and its contexts; not beyond an interrupt's exception that is only the context: what was raised while that
 * was handled is an error of the cleanup. `why` is the record that is pending, and becomes the one that is the cause. */
static bool is_caused(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    PyObject *list = PyList_New(0);
    bool yes = false;
    if (!list)
        return PyErr_Clear(), false;
    const struct bough_record pending = *why;
    remember(list, Py_NewRef(exception));
    for (Py_ssize_t i = 0; !yes && i < PyList_GET_SIZE(list); i++) {
        PyObject *one = PyList_GET_ITEM(list, i), *cause = PyException_GetCause(one);
        PyObject *context = PyException_GetContext(one);
        const struct bp_site *s = i == 0 && comes_from_here(one) ? find_here(t) : passed_site(t, one);
        if (s && is_pending(&s->why, &pending))
            *why = is_unknown(s) ? pending : s->why, yes = true;
        yes |= cause && is_exit(cause) && is_of_pending(cause, &pending);
        if (context && (is_stop(context) || bp_was_raised_here(t, context)))
            Py_CLEAR(context);
        if (cause && is_exit(cause))
            Py_CLEAR(cause);
        remember(list, cause);
        remember(list, context);
    }
    Py_DECREF(list);
    return yes;
}

enum verdict { A_FAILURE, A_STOP, CAUSED };

/* Errors become the interrupt's exception. A Ctrl-C, an exit or the close of a generator are no errors, even if they come
 * while one is handled. */
static bool is_error(PyObject *exception)
{
    return PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception);
}

/* A group is what all of its members are. */
static enum verdict judge(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    if (is_stop(exception))
        return A_STOP;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_BaseExceptionGroup))
        return is_error(exception) && is_caused(t, exception, why) ? CAUSED : A_FAILURE;
    PyObject *members = PyObject_GetAttrString(exception, "exceptions");
    enum verdict all = members && PyTuple_Check(members) ? A_STOP : A_FAILURE;
    for (Py_ssize_t i = 0; all != A_FAILURE && i < PyTuple_GET_SIZE(members); i++) {
        enum verdict one = judge(t, PyTuple_GET_ITEM(members, i), why);
        all = one == A_STOP ? all : one;
    }
    PyErr_Clear();
    Py_XDECREF(members);
    return all == A_FAILURE && is_error(exception) && is_caused(t, exception, why) ? CAUSED : all;
}

bool bp_is_caused(const struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    return bough_reason(&why) == 0 && judge(t, exception, &why) == CAUSED;
}

PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    if (!t || bough_reason(&why) != 0 || judge(t, exception, &why) != CAUSED)
        return Py_NewRef(exception);
    t->cut = false; /* the error of the call has been made the interrupt's: no later one is */
    PyObject *interrupt = bp_exception_for(t, &why);
    if (!interrupt || interrupt == exception) {
        PyErr_Clear();
        Py_XDECREF(interrupt);
        return Py_NewRef(exception);
    }
    PyException_SetCause(interrupt, Py_NewRef(exception));
    return interrupt;
}

/* ---- C code drops it -------------------------------------------------------------------------------------------------- */

static void interrupted_here(struct bp_thread *t, const struct bough_record *why)
{
    t->why = *why;
    t->cut_at = bp_place(t);
    t->cut = true;
    add_here(t, why);
    if (bp_sites && bp_sites->thread == t && bp_sites->order == order)
        bp_sites->dropped = true;
}

/* Takes the exception that is set, if it is the interrupt's or caused by it. The call of the C code that drops it counts as
 * interrupted: an error that it makes of it is no failure. */
static bool dropped(struct bp_thread *t)
{
    struct bough_record why;
    PyObject *exception = bp_taken_exception();
    bool raised = bp_was_raised_here(t, exception) || is_stop(exception);
    bool pending = bough_reason(&why) == 0;
    bool again = raised ? bp_arm_again(t, exception) : pending && is_caused(t, exception, &why);
    if (!again)
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
    else if (Py_DECREF(exception), bough_reason(&why) == 0)
        interrupted_here(t, &why);
    return again;
}

/* Has anything been raised in this thread that could be dropped? */
static bool may_drop(const struct bp_thread *t)
{
    return t && (t->raised || bp_sites) && PyErr_Occurred();
}

void bp_clear_error(void)
{
    if (may_drop(bp_me))
        dropped(bp_me);
    PyErr_Clear();
}

/* A SystemExit that is printed ends the process. */
void bp_print_error(int set_variables)
{
    if (!may_drop(bp_me) || !dropped(bp_me))
        PyErr_PrintEx(set_variables);
}

void bp_print_error_as_ever(void)
{
    bp_print_error(1);
}

void bp_write_unraisable(PyObject *where)
{
    if (!may_drop(bp_me) || !dropped(bp_me))
        PyErr_WriteUnraisable(where);
}

/* ---- methods ---------------------------------------------------------------------------------------------------------- */

static PyObject *as_interrupt(PyObject *module, PyObject *exception)
{
    (void)module;
    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "an instance of an exception is wanted, not %R", exception), NULL;
    return bp_as_interrupt(bp_self(), exception);
}

/* For tests. */
static PyObject *sites(PyObject *module, PyObject *none)
{
    PyObject *list = PyList_New(0);
    (void)module, (void)none;
    for (const struct bp_site *s = bp_sites; list && s; s = s->next) {
        PyObject *site =
            Py_BuildValue("(OiO)", s->code ? (PyObject *)s->code : Py_None, s->last, s->watched ? Py_True : Py_False);
        if (!site || PyList_Append(list, site) != 0)
            Py_CLEAR(list);
        Py_XDECREF(site);
    }
    return list;
}

PyMethodDef bp_cause_methods[] = {
    {"as_interrupt", as_interrupt, METH_O,
     PyDoc_STR("as_interrupt(exception): the interrupt's exception if it was caused by the one that is pending, with "
               "this one as its cause; else this one.")},
    {"interrupted_places", sites, METH_NOARGS,
     PyDoc_STR(
         "interrupted_places(): (code, offset, is watched) of each instruction whose call was interrupted and has "
         "not succeeded since, in all threads.")},
    {0},
};
