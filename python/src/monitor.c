/* SPDX-License-Identifier: MIT */
/*
 * Where an exception may come in, from Python 3.13 on.
 *
 * Up to 3.12 a thread that gives the interpreter lock away at some bytecode looks for an asynchronous exception right when it
 * has it again, at the same bytecode. So the courier can look where it stands, and arm. From 3.13 on it looks at the next such
 * place, which may lie in a `finally` or behind the beginning of a `with`.
 *
 * There, while an exception waits to come in, the interpreter is asked to call us at each line, jump and begin of a function
 * (sys.monitoring): on the thread itself, which so looks where it stands, and raises there or goes on. When nothing waits any
 * more nothing is monitored, and the tool's number is free again.
 */
#include "state.h"

#if PY_VERSION_HEX >= 0x030D0000

static const char *const events[] = {"JUMP", "LINE", "PY_START", "PY_RESUME"};
enum { JUMP, EVENTS = sizeof events / sizeof *events, NO_TOOL = -1, TOOLS = 6 };

static int tool = NO_TOOL;

static PyObject *here(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct bp_thread *t = bp_thread_known();
    (void)module, (void)args, (void)count;
    if (!t || !t->awaited || !bp_place_admits_here(t))
        Py_RETURN_NONE;
    bp_raise_here(t);
    return NULL;
}

/* (code, from, to). To another line is that line's affair: the jump that ends a loop does not count as inside of a `try` around
 * it, the line does. Only a loop on a single line has nothing else. */
static PyObject *at_jump(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyCode_Check(args[0]))
        Py_RETURN_NONE;
    PyCodeObject *code = (PyCodeObject *)args[0];
    int from = PyCode_Addr2Line(code, (int)PyLong_AsLong(args[1]));
    int to = PyCode_Addr2Line(code, (int)PyLong_AsLong(args[2]));
    if (from != to)
        Py_RETURN_NONE;
    return here(module, args, count);
}

static PyMethodDef here_method = {"here", (PyCFunction)(void (*)(void))here, METH_FASTCALL, NULL},
                   jump_method = {"at_jump", (PyCFunction)(void (*)(void))at_jump, METH_FASTCALL, NULL};

static int failed(void)
{
    PyErr_Clear();
    return -1;
}

/* The events' bits, each with its function, or with None; -1 with an exception. */
static long register_all(PyObject *monitoring, PyObject *function, PyObject *jump_function)
{
    PyObject *names = PyObject_GetAttrString(monitoring, "events");
    long all = 0;
    for (int i = 0; names && i < EVENTS; i++) {
        PyObject *event = PyObject_GetAttrString(names, events[i]);
        PyObject *before = event ? PyObject_CallMethod(monitoring, "register_callback", "iOO", tool, event,
                                                       i == JUMP ? jump_function : function)
                                 : NULL;
        all |= event ? PyLong_AsLong(event) : 0;
        Py_XDECREF(before);
        Py_XDECREF(event);
    }
    Py_XDECREF(names);
    return PyErr_Occurred() ? -1 : all;
}

static int call(PyObject *monitoring, const char *method, const char *format, int number, long more)
{
    PyObject *result = PyObject_CallMethod(monitoring, method, format, number, more);
    Py_XDECREF(result);
    return result ? 0 : failed();
}

/* One that no debugger, profiler or test coverage has. */
static int take_tool(PyObject *monitoring)
{
    static const int order[TOOLS] = {4, 3, 5, 2, 1, 0};
    for (int i = 0; i < TOOLS; i++) {
        PyObject *result = PyObject_CallMethod(monitoring, "use_tool_id", "is", order[i], "bough");
        Py_XDECREF(result);
        if (result)
            return tool = order[i], 0;
        PyErr_Clear();
    }
    return -1;
}

static int begin(PyObject *monitoring)
{
    if (take_tool(monitoring) != 0)
        return -1;
    PyObject *function = PyCFunction_New(&here_method, NULL), *jump_function = PyCFunction_New(&jump_method, NULL);
    long all = function && jump_function ? register_all(monitoring, function, jump_function) : -1;
    Py_XDECREF(function);
    Py_XDECREF(jump_function);
    if (all < 0 || call(monitoring, "set_events", "il", tool, all) != 0) {
        PyErr_Clear();
        return bp_monitor(false), -1;
    }
    return 0;
}

int bp_monitor(bool on)
{
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    if (on == (tool != NO_TOOL))
        return 0;
    if (!monitoring)
        return -1;
    if (on)
        return begin(monitoring);
    call(monitoring, "set_events", "il", tool, 0);
    if (register_all(monitoring, Py_None, Py_None) < 0)
        PyErr_Clear();
    call(monitoring, "free_tool_id", "i", tool, 0);
    tool = NO_TOOL;
    return 0;
}

/* Long enough for a thread to have its turn among others. */
bool bp_monitor_pauses(int64_t waited)
{
    return waited > BOUGH_SEC(1) && waited / BOUGH_MS(250) % 10 != 0;
}

#else

bool bp_monitor_pauses(int64_t waited)
{
    (void)waited;
    return false;
}

int bp_monitor(bool on)
{
    return on ? -1 : 0;
}

#endif
