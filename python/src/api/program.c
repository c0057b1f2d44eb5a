/* SPDX-License-Identifier: MIT */
/*
 * Runs a program as `python PROGRAM` does: no frame lies outside that of its module, so its tracebacks, sys._getframe()
 * and warnings are as without bough.
 */
#include "thread/thread.h"
#include "api/module.h"

#include <stdio.h>
#include <unistd.h>

/* The arguments of PyEval_EvalCode() or PyRun_FileEx(). */
struct program {
    PyObject *code; /* NULL: the program is read from the file */
    FILE *file;
    const char *name;
    PyObject *names;
};

static PyObject *evaluate(const struct program *p)
{
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    if (p->code)
        return PyEval_EvalCode(p->code, p->names, p->names);
    return PyRun_FileExFlags(p->file, p->name, Py_file_input, p->names, p->names, p->file != stdin, &flags);
}

/* The interpreter links each thread's frames, from the innermost to the outermost one. If a program begins with an
 * empty list, its module's frame is the outermost one, as in a new thread. */
static PyObject *without_frames_below(const struct program *p)
{
    PyThreadState *ts = PyThreadState_Get();
    struct _PyInterpreterFrame *below = bp_innermost(ts);
    bp_set_innermost(ts, NULL);
    PyObject *result = evaluate(p);
    bp_set_innermost(ts, below);
    return result;
}

static PyObject *silent(PyObject *module, PyObject *args)
{
    (void)module, (void)args;
    Py_RETURN_NONE;
}

/* The interpreter ends by SIGINT only if a KeyboardInterrupt leaves the outermost frame. It would then print the
 * exception a second time, so the hook prints nothing. */
static PyObject *end_by_ctrl_c(void)
{
    static PyMethodDef method = {"excepthook", silent, METH_VARARGS, NULL};
    PyObject *hook = PyCFunction_New(&method, NULL);
    if (hook && PySys_SetObject("excepthook", hook) == 0)
        PyErr_SetNone(PyExc_KeyboardInterrupt);
    Py_XDECREF(hook);
    return NULL;
}

/* Reports the exception that is set, as at the end of any program. A SystemExit stays set: the interpreter handles it
 * when the calling code ends. */
static PyObject *uncaught(void)
{
    bool ctrl_c = PyErr_Occurred() == PyExc_KeyboardInterrupt;
    if (PyErr_ExceptionMatches(PyExc_SystemExit))
        return NULL;
    PyErr_Print();
    return ctrl_c ? end_by_ctrl_c() : Py_NewRef(Py_False);
}

static PyObject *run(const struct program *p)
{
    PyObject *result = without_frames_below(p);
    if (!result)
        return uncaught();
    Py_DECREF(result);
    Py_RETURN_TRUE;
}

static PyObject *run_code(PyObject *module, PyObject *args)
{
    struct program p = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!:run_code", &PyCode_Type, &p.code, &PyDict_Type, &p.names))
        return NULL;
    return run(&p);
}

static PyObject *run_file(PyObject *module, PyObject *args)
{
    struct program p = {0};
    PyObject *name;
    int fd;
    (void)module;
    if (!PyArg_ParseTuple(args, "iO&O!:run_file", &fd, PyUnicode_FSConverter, &name, &PyDict_Type, &p.names))
        return NULL;
    p.name = PyBytes_AS_STRING(name);
    p.file = fd == STDIN_FILENO ? stdin : fdopen(fd, "rb");
    PyObject *result = p.file ? run(&p) : PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(name);
    return result;
}

static PyObject *print_uncaught(PyObject *module, PyObject *error)
{
    (void)module;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    return uncaught();
}

/* Is the thread, which may be any, in an `except`, `finally` or __exit__() that handles such an exception? */
static bool handles(const PyThreadState *ts, PyObject *class)
{
    for (const _PyErr_StackItem *item = ts->exc_info; item; item = item->previous_item)
        if (item->exc_value && PyErr_GivenExceptionMatches(item->exc_value, class))
            return true;
    return false;
}

static PyObject *handles_ctrl_c(PyObject *module, PyObject *number)
{
    unsigned long ident = PyLong_AsUnsignedLong(number);
    bool found = false;
    (void)module;
    if (PyErr_Occurred())
        return NULL;
    for (PyThreadState *ts = PyInterpreterState_ThreadHead(bp.interpreter); ts; ts = PyThreadState_Next(ts))
        found = found || (ts->thread_id == ident && handles(ts, PyExc_KeyboardInterrupt));
    return PyBool_FromLong(found);
}

/* A thread that waits at a lock is delayed by another thread, which _program_end.py therefore interrupts first. */
static PyObject *waits_at_lock(PyObject *module, PyObject *number)
{
    unsigned long ident = PyLong_AsUnsignedLong(number);
    (void)module;
    const struct bp_thread *t = PyErr_Occurred() ? NULL : bp_thread_of_ident(ident);
    return t ? PyBool_FromLong(__atomic_load_n(&t->wait.in_lock, __ATOMIC_RELAXED)) : NULL;
}

PyMethodDef bp_program_methods[] = {
    {"run_code", run_code, METH_VARARGS,
     PyDoc_STR("run_code(code, globals): run a program without a frame outside its module. True: it reached its end; "
               "False: an exception ended it, which was reported. Raises SystemExit, and KeyboardInterrupt, which was "
               "reported already.")},
    {"run_file", run_file, METH_VARARGS,
     PyDoc_STR("run_file(fd, name, globals): as run_code(), for a file, which is read as the interpreter reads it.")},
    {"handles_ctrl_c", handles_ctrl_c, METH_O,
     PyDoc_STR("handles_ctrl_c(ident): is this thread in code that handles a KeyboardInterrupt?")},
    {"waits_at_lock", waits_at_lock, METH_O,
     PyDoc_STR("waits_at_lock(ident): does this thread, which has opted in, wait at a lock?")},
    {"print_uncaught", print_uncaught, METH_O,
     PyDoc_STR("print_uncaught(error): report an exception as run_code() does.")},
    {0},
};
