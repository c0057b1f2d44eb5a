/* SPDX-License-Identifier: MIT */
/*
 * Detects whether the interrupted call, or a later call at the same instruction, has succeeded: then a later error at
 * that instruction is not the interrupt's. Only the interpreter can detect that: the frame continues with the next
 * instruction after a success, and with the handler in the code's exception table after an error.
 *
 * From 3.12 on sys.monitoring reports each instruction of that code object (instructions.c), in 3.11 the thread's trace
 * function does (trace.c). Both are active only while a frame has such an instruction, and affect only that code.
 */
#include "calls/calls.h"
#include "calls/cause.h"
#include "upcalls.h"

#include <stddef.h>
#include <stdint.h>

/* sys.monitoring does not report an instruction at which another tool switches its LINE event off (returns DISABLE). So
 * the instruction after the handler's first one shows an error as well: the first one, PUSH_EXC_INFO for instance, is
 * one code unit long and does not jump. */
static bool is_at_handler(const struct bp_site *s, int offset)
{
    return s->handler >= 0 && (offset == s->handler || offset == s->handler + (int)sizeof(uint16_t));
}

/* The frame is about to execute the instruction at `offset`. Returns the next site to examine; examining one twice has
 * no effect. */
static struct bp_site *step(struct bp_site *s, int offset)
{
    if (offset >= s->first && offset <= s->last)
        s->running = true;
    else if (s->running && is_at_handler(s, offset))
        s->running = false;
    else if (s->running)
        return bp_site_succeeded(s);
    return s->next;
}

static void step_all(const PyFrameObject *frame, int offset)
{
    for (struct bp_site *s = bp_sites; s;)
        s = s->watched && s->frame == frame ? step(s, offset) : s->next;
}

#if PY_VERSION_HEX >= 0x030C0000

bool bp_watch_wants(const PyCodeObject *code)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && (!code || s->code == code)))
        s = s->next;
    return s != NULL;
}

void bp_watch_step(PyCodeObject *code, int offset)
{
    if (bp_watch_wants(code))
        step_all(PyEval_GetFrame(), offset);
}

/* May be called inside a C function, or while an exception is set, which stays set. */
void bp_watch_begin(struct bp_site *s)
{
    uint64_t number = s->order;
    PyCodeObject *code = (PyCodeObject *)Py_NewRef((PyObject *)s->code);
    s->watched = true;
    if (bp_instructions(code) != 0 && (s = bp_site_with(number)))
        s->watched = false;
    Py_DECREF(code);
}

#else

bool bp_watch_is_on(const struct bp_thread *t)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && s->thread == t))
        s = s->next;
    return s != NULL;
}

bool bp_watch_is_of(const PyFrameObject *frame)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && s->frame == frame))
        s = s->next;
    return s != NULL;
}

void bp_watch_opcode(PyFrameObject *frame)
{
    step_all(frame, PyFrame_GetLasti(frame));
}

/* The frame has returned and executes nothing more, unless it is a generator's. */
void bp_watch_return(const PyFrameObject *frame)
{
    for (struct bp_site *s = bp_sites; s; s = s->next)
        if (s->frame == frame && !(s->code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)))
            s->watched = false;
}

void bp_watch_begin(struct bp_site *s)
{
    bp_trace(s->thread);
    s->watched = true;
    bp_trace_mark(s->frame);
}

#endif
