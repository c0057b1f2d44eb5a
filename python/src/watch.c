/* SPDX-License-Identifier: MIT */
/*
 * Has the interrupted call succeeded after all, or a later one at the same instruction? Then an error that comes out of that
 * instruction is a real one. Only the interpreter can see it: the frame goes on with the next instruction, or with the
 * handler that the code's exception table names.
 *
 * From 3.12 on sys.monitoring reports each instruction of that code object. In 3.11 the thread's trace function does; one
 * that was there before (a debugger's) is called as before. Both are on only while a frame has such an instruction, and cost
 * something only there.
 */
#include "cause.h"

#include <stddef.h>

/* The frame is about to execute the instruction at `offset`. */
static void step(struct bp_site *s, int offset)
{
    if (offset >= s->first && offset <= s->last)
        s->running = true;
    else if (s->running && offset == s->handler)
        s->running = false;
    else if (s->running)
        bp_site_succeeded(s);
}

static void step_all(const PyFrameObject *frame, int offset)
{
    for (struct bp_site *s = bp_sites, *next; s; s = next) {
        next = s->next;
        if (s->watched && s->frame == frame)
            step(s, offset);
    }
}

#if PY_VERSION_HEX >= 0x030C0000

enum { NO_TOOL = -1, TOOLS = 6 };

static int tool = NO_TOOL;

static bool any_watched(const PyCodeObject *code)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && (!code || s->code == code)))
        s = s->next;
    return s != NULL;
}

static int call(const char *method, const char *format, ...)
{
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *function = monitoring ? PyObject_GetAttrString(monitoring, method) : NULL;
    va_list list;
    va_start(list, format);
    PyObject *args = function ? Py_VaBuildValue(format, list) : NULL;
    va_end(list);
    PyObject *result = args ? PyObject_CallObject(function, args) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(function);
    Py_XDECREF(result);
    if (!result)
        PyErr_Clear();
    return result ? 0 : -1;
}

static long instruction_event(void)
{
    static long event;
    PyObject *monitoring = PySys_GetObject("monitoring");
    PyObject *events = !event && monitoring ? PyObject_GetAttrString(monitoring, "events") : NULL;
    PyObject *number = events ? PyObject_GetAttrString(events, "INSTRUCTION") : NULL;
    if (number)
        event = PyLong_AsLong(number);
    Py_XDECREF(number);
    Py_XDECREF(events);
    if (PyErr_Occurred())
        PyErr_Clear();
    return event;
}

static void give_tool_back(void)
{
    if (tool == NO_TOOL || any_watched(NULL))
        return;
    call("register_callback", "(ilO)", tool, instruction_event(), Py_None);
    call("free_tool_id", "(i)", tool);
    tool = NO_TOOL;
}

/* (code, offset) */
static PyObject *at_instruction(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyCode_Check(args[0]))
        Py_RETURN_NONE;
    if (any_watched((PyCodeObject *)args[0]))
        step_all(PyEval_GetFrame(), (int)PyLong_AsLong(args[1]));
    else
        call("set_local_events", "(iOi)", tool, args[0], 0); /* its frame was freed meanwhile */
    Py_RETURN_NONE;
}

static PyMethodDef instruction_method = {"at_instruction", (PyCFunction)(void (*)(void))at_instruction, METH_FASTCALL,
                                         NULL};

/* One that no debugger, profiler or test coverage has. */
static bool take_tool(void)
{
    static const int order[TOOLS] = {3, 4, 5, 2, 1, 0};
    PyObject *function = tool == NO_TOOL ? PyCFunction_New(&instruction_method, NULL) : NULL;
    for (int i = 0; function && tool == NO_TOOL && i < TOOLS; i++)
        if (call("use_tool_id", "(is)", order[i], "bough") == 0)
            tool = order[i];
    if (function && tool != NO_TOOL)
        call("register_callback", "(ilO)", tool, instruction_event(), function);
    Py_XDECREF(function);
    return tool != NO_TOOL;
}

/* In the middle of a C function's call, or of an exception: what is set stays set. */
void bp_watch_begin(struct bp_site *s)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    bool already = any_watched(s->code);
    if (take_tool())
        s->watched = already || call("set_local_events", "(iOl)", tool, s->code, instruction_event()) == 0;
    PyErr_Restore(type, value, trace);
}

void bp_watch_end(struct bp_site *s)
{
    PyObject *type, *value, *trace;
    s->watched = false;
    if (any_watched(s->code))
        return;
    PyErr_Fetch(&type, &value, &trace);
    call("set_local_events", "(iOi)", tool, s->code, 0);
    give_tool_back();
    PyErr_Restore(type, value, trace);
}

#else

#define Py_BUILD_CORE_MODULE 1
#include <internal/pycore_frame.h>

static bool any_watched(const struct bp_thread *t)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && s->thread == t))
        s = s->next;
    return s != NULL;
}

static bool is_watched(const PyFrameObject *frame)
{
    const struct bp_site *s = bp_sites;
    while (s && !(s->watched && s->frame == frame))
        s = s->next;
    return s != NULL;
}

static int trace(PyObject *self, PyFrameObject *frame, int what, PyObject *arg);

/* Unless a debugger has come meanwhile. */
static void stop(struct bp_thread *t)
{
    PyThreadState *ts = t->tstate;
    if (ts->c_tracefunc != trace)
        return;
    ts->c_tracefunc = t->traced_before;
    t->traced_before = NULL;
    ts->cframe->use_tracing = ts->c_tracefunc || ts->c_profilefunc ? 255 : 0;
}

/* A frame that has returned executes nothing more; a generator's may. */
static void frame_returns(const PyFrameObject *frame)
{
    for (struct bp_site *s = bp_sites; s; s = s->next)
        if (s->frame == frame && !(s->code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)))
            s->watched = false;
}

static int trace(PyObject *self, PyFrameObject *frame, int what, PyObject *arg)
{
    struct bp_thread *t = bp_me;
    Py_tracefunc before = t ? t->traced_before : NULL;
    bool ours = is_watched(frame);
    if (ours && what == PyTrace_OPCODE)
        step_all(frame, PyFrame_GetLasti(frame));
    else if (ours && what == PyTrace_RETURN)
        frame_returns(frame);
    if (ours && !is_watched(frame) && !before)
        frame->f_trace_opcodes = 0;
    if (t && !any_watched(t))
        stop(t);
    return before && !(ours && what == PyTrace_OPCODE) ? before(self, frame, what, arg) : 0;
}

void bp_watch_begin(struct bp_site *s)
{
    struct bp_thread *t = s->thread;
    PyThreadState *ts = t->tstate;
    if (ts->c_tracefunc != trace) {
        t->traced_before = ts->c_tracefunc;
        ts->c_tracefunc = trace;
        ts->cframe->use_tracing = 255;
    }
    s->frame->f_trace_opcodes = 1;
    s->watched = true;
}

void bp_watch_end(struct bp_site *s)
{
    s->watched = false;
    if (!is_watched(s->frame))
        s->frame->f_trace_opcodes = 0;
    if (bp_me == s->thread && !any_watched(s->thread))
        stop(s->thread);
}

#endif
