/* SPDX-License-Identifier: MIT */
/*
 * From 3.12 on, sys.monitoring reports each instruction of some code objects: to watch.c, for the places of interrupted
 * calls, and to monitor.c, for exceptions that wait to be raised.
 *
 * Only INSTRUCTION events are used, which hardly any other tool uses, and only for those code objects: an event that a
 * tool has switched off at some place by returning DISABLE comes back there as soon as a second tool asks for the same
 * kind of event in that code. bough gives its tool number back when no code object is left.
 */
#include "calls/calls.h"
#include "calls/cause.h"
#include "upcalls.h"

#if PY_VERSION_HEX >= 0x030C0000

enum { NO_TOOL = -1, TOOLS = 6 };

static int tool = NO_TOOL;

static int call_monitoring(const char *method, const char *format, ...)
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

static bool are_instructions_wanted(const PyCodeObject *code)
{
    return bp_watch_wants(code) || bp_monitor_wants(code);
}

static void give_tool_back(void)
{
    if (tool == NO_TOOL || are_instructions_wanted(NULL))
        return;
    int number = tool;
    tool = NO_TOOL; /* if a tool is needed meanwhile, it gets another number */
    call_monitoring("register_callback", "(ilO)", number, instruction_event(), Py_None);
    call_monitoring("free_tool_id", "(i)", number);
}

/* The arguments are a code object and an offset in it. */
static PyObject *at_instruction(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (count != 2 || !PyCode_Check(args[0]))
        Py_RETURN_NONE;
    PyCodeObject *code = (PyCodeObject *)args[0];
    bp_watch_step(code, (int)PyLong_AsLong(args[1]));
    if (bp_monitor_wants(code) && bp_monitor_step() != 0)
        return NULL;
    if (!are_instructions_wanted(code)) /* the frame was freed meanwhile */
        bp_instructions(code);
    Py_RETURN_NONE;
}

static PyMethodDef instruction_method = {"at_instruction", (PyCFunction)(void (*)(void))at_instruction, METH_FASTCALL,
                                         NULL};

/* Takes a tool number that no debugger, profiler or coverage tool uses. An audit hook may refuse bough's function. */
static bool take_tool(void)
{
    static const int order[TOOLS] = {3, 4, 5, 2, 1, 0};
    static PyObject *function; /* never freed: the interpreter borrows it during a call */
    if (!function && !(function = PyCFunction_New(&instruction_method, NULL)))
        return false;
    for (int i = 0; tool == NO_TOOL && i < TOOLS; i++) {
        if (call_monitoring("use_tool_id", "(is)", order[i], "bough") != 0)
            continue;
        if (call_monitoring("register_callback", "(ilO)", order[i], instruction_event(), function) == 0)
            tool = order[i];
        else
            call_monitoring("free_tool_id", "(i)", order[i]);
    }
    return tool != NO_TOOL;
}

static int set_events(PyCodeObject *code)
{
    if (are_instructions_wanted(code))
        return take_tool() ? call_monitoring("set_local_events", "(iOl)", tool, code, instruction_event()) : -1;
    if (tool != NO_TOOL)
        call_monitoring("set_local_events", "(iOi)", tool, code, 0);
    give_tool_back();
    return 0;
}

int bp_instructions(PyCodeObject *code)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    int result = set_events(code);
    PyErr_Restore(type, value, trace);
    return result;
}

void bp_watch_end(const struct bp_site *s)
{
    bp_instructions(s->code);
}

void bp_watch_code(PyCodeObject *code)
{
    bp_instructions(code);
}

#endif
