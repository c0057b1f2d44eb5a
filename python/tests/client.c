/* SPDX-License-Identifier: MIT */
/* A typical client library, for causes.py: C code that does not use bough, releases the GIL while it blocks, and raises
 * one exception class for each error. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static PyObject *client_error;

static PyObject *fail(const char *why)
{
    PyErr_SetString(client_error, why);
    return NULL;
}

static int wait_for(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, -1);
}

/* ask(fd): blocks until fd can be read. */
static PyObject *ask(PyObject *module, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd), result, error;
    (void)module;
    if (number == -1 && PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = wait_for(number);
    error = errno;
    Py_END_ALLOW_THREADS
    return result == 1 ? Py_NewRef(Py_True) : fail(strerror(error));
}

/* The same, but holds the GIL, as careless code does. */
static PyObject *ask_with_lock(PyObject *module, PyObject *fd)
{
    (void)module;
    return wait_for((int)PyLong_AsLong(fd)) == 1 ? Py_NewRef(Py_True) : fail(strerror(errno));
}

/* Blocks until fd can be read, and checks for signals regularly, as long-running C code does. */
static PyObject *ask_and_look(PyObject *module, PyObject *fd)
{
    struct pollfd entry = {.fd = (int)PyLong_AsLong(fd), .events = POLLIN};
    (void)module;
    for (int result = 0; result == 0;) {
        Py_BEGIN_ALLOW_THREADS
        result = poll(&entry, 1, 1);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() != 0)
            return NULL;
    }
    Py_RETURN_TRUE;
}

/* Ignores the result of the wait. */
static PyObject *ask_and_ignore(PyObject *module, PyObject *fd)
{
    int number = (int)PyLong_AsLong(fd);
    (void)module;
    Py_BEGIN_ALLOW_THREADS
    wait_for(number);
    Py_END_ALLOW_THREADS
    Py_RETURN_FALSE;
}

static PyObject *refuse(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return fail("refused");
}

/* call(function): replaces the function's error by the library's error. */
static PyObject *call(PyObject *module, PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);
    (void)module;
    if (result)
        return result;
    PyErr_Clear();
    return fail("the callback failed");
}

static PyObject *call_and_print(PyObject *module, PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);
    (void)module;
    if (result)
        return result;
    PyErr_Print();
    return fail("the callback failed");
}

static PyObject *call_and_report(PyObject *module, PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);
    (void)module;
    if (result)
        return result;
    PyErr_WriteUnraisable(function);
    return fail("the callback failed");
}

/* Drops the function's error. */
static PyObject *call_and_ignore(PyObject *module, PyObject *function)
{
    PyObject *result = PyObject_CallNoArgs(function);
    (void)module;
    if (!result)
        PyErr_Clear();
    Py_XDECREF(result);
    Py_RETURN_NONE;
}

/* ---- a thread of the library ------------------------------------------------------------------------------------- */

/* Calls back twice, with a thread state for each call, as a library does that has a long-lived thread. */
static void *call_twice(void *callable)
{
    for (int i = 0; i < 2; i++) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyObject *result = PyObject_CallNoArgs(callable);
        if (!result)
            PyErr_WriteUnraisable(callable);
        Py_XDECREF(result);
        PyGILState_Release(state);
    }
    return NULL;
}

/* on_a_thread(callable): calls it twice in one thread, with two thread states, one after the other. */
static PyObject *on_a_thread(PyObject *module, PyObject *callable)
{
    pthread_t thread;
    (void)module;
    int error = pthread_create(&thread, NULL, call_twice, callable);
    if (error)
        return errno = error, PyErr_SetFromErrno(PyExc_OSError);
    Py_BEGIN_ALLOW_THREADS
    pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* beside_a_new_state(callable): calls it while this thread has made a second thread state, as for a new thread that
 * does not run yet. Returns whether an asynchronous exception was set for that state. */
static PyObject *beside_a_new_state(PyObject *module, PyObject *callable)
{
    (void)module;
    PyThreadState *made = PyThreadState_New(PyInterpreterState_Get());
    PyObject *result = PyObject_CallNoArgs(callable);
    bool meant = made->async_exc != NULL;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyThreadState_Clear(made);
    PyThreadState_Delete(made);
    PyErr_Restore(type, value, trace);
    if (!result)
        return NULL;
    Py_DECREF(result);
    return PyBool_FromLong(meant);
}

static PyMethodDef methods[] = {
    {"beside_a_new_state", beside_a_new_state, METH_O, NULL},
    {"on_a_thread", on_a_thread, METH_O, NULL},
    {"ask", ask, METH_O, NULL},
    {"ask_and_look", ask_and_look, METH_O, NULL},
    {"ask_with_lock", ask_with_lock, METH_O, NULL},
    {"ask_and_ignore", ask_and_ignore, METH_O, NULL},
    {"refuse", refuse, METH_O, NULL},
    {"call", call, METH_O, NULL},
    {"call_and_print", call_and_print, METH_O, NULL},
    {"call_and_report", call_and_report, METH_O, NULL},
    {"call_and_ignore", call_and_ignore, METH_O, NULL},
    {0},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "client",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit_client(void);
PyMODINIT_FUNC PyInit_client(void)
{
    PyObject *module = PyModule_Create(&definition);
    client_error = PyErr_NewException("client.Error", NULL, NULL);
    if (!module || !client_error || PyModule_AddObjectRef(module, "Error", client_error) != 0)
        return NULL;
    return module;
}
