/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's methods that wait for a lock, and what stands in for them: a function for each method and each way that it
 * may be called by, which differ from version to version. A wait itself is in locks.c.
 */
#include "locks.h"

enum method_index { LOCK_ACQUIRE, LOCK_ACQUIRE_LOCK, LOCK_ENTER, RLOCK_ACQUIRE, RLOCK_ENTER, QUEUE_GET, METHODS };

static struct bp_method methods[METHODS];

/* ---- calling an original ------------------------------------------------------------------------------------------ */

typedef PyObject *fast_fn(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *fast_keywords_fn(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *method_fn(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

typedef PyObject *keywords_fn(PyObject *, PyObject *, PyObject *);

#define AS(type, function) ((type *)(void (*)(void))(function))

static PyObject *call_with_tuple(const struct bp_method *m, PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count), *result = NULL;
    if (!tuple)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(args[i]);
        PyTuple_SET_ITEM(tuple, i, args[i]);
    }
    if (m->def->ml_flags & METH_KEYWORDS)
        result = AS(keywords_fn, m->original)(self, tuple, NULL);
    else
        result = m->original(self, tuple);
    Py_DECREF(tuple);
    return result;
}

PyObject *bp_call_original(const struct bp_method *m, PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    switch (m->def->ml_flags & ~(METH_CLASS | METH_STATIC | METH_COEXIST)) {
    case METH_FASTCALL:
        return AS(fast_fn, m->original)(self, args, count);
    case METH_FASTCALL | METH_KEYWORDS:
        return AS(fast_keywords_fn, m->original)(self, args, count, NULL);
    case METH_METHOD | METH_FASTCALL | METH_KEYWORDS:
        return AS(method_fn, m->original)(self, Py_TYPE(self), args, (size_t)count, NULL);
    case METH_NOARGS:
        return m->original(self, NULL);
    default:
        return call_with_tuple(m, self, args, count);
    }
}

/* ---- one function for each method and way of calling --------------------------------------------------------------- */

static PyObject *wait_by(enum method_index index, enum method_index by, PyObject *self, PyObject *const *args,
                         Py_ssize_t count, PyObject *names)
{
    return bp_wait(&methods[by], index == QUEUE_GET ? "block" : "blocking", self, args, count, names);
}

static PyObject *by_vector(enum method_index index, enum method_index by, PyObject *self, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *result = wait_by(index, by, self, args, count, names);
    const struct bp_method *m = &methods[index];
    if (result || PyErr_Occurred())
        return result;
    if (m->def->ml_flags & METH_METHOD)
        return AS(method_fn, m->original)(self, Py_TYPE(self), args, (size_t)count, names);
    return m->def->ml_flags & METH_KEYWORDS ? AS(fast_keywords_fn, m->original)(self, args, count, names)
                                            : AS(fast_fn, m->original)(self, args, count);
}

enum { ARGUMENTS_MOST = 4 };

static PyObject *by_tuple(enum method_index index, enum method_index by, PyObject *self, PyObject *tuple,
                          PyObject *keywords)
{
    PyObject *args[ARGUMENTS_MOST], *names = NULL, *result = NULL, *name, *value;
    Py_ssize_t count = PyTuple_GET_SIZE(tuple), named = keywords ? PyDict_GET_SIZE(keywords) : 0, at = 0, i = 0;
    if (count + named <= ARGUMENTS_MOST && (names = PyTuple_New(named))) {
        for (i = 0; i < count; i++)
            args[i] = PyTuple_GET_ITEM(tuple, i);
        while (keywords && PyDict_Next(keywords, &at, &name, &value)) {
            Py_INCREF(name);
            PyTuple_SET_ITEM(names, i - count, name);
            args[i++] = value;
        }
        result = wait_by(index, by, self, args, count, names);
    }
    Py_XDECREF(names);
    if (result || PyErr_Occurred())
        return result;
    const struct bp_method *m = &methods[index];
    return m->def->ml_flags & METH_KEYWORDS ? AS(keywords_fn, m->original)(self, tuple, keywords)
                                            : m->original(self, tuple);
}

/* Who takes no part goes straight on: this is the whole cost for it. */
static inline bool takes_part(void)
{
    return __builtin_expect(bp_me != NULL && bp_me->kinds != 0, 0);
}

#define ORIGINAL(type, index) AS(type, methods[index].original)

#define WRAPPERS(name, index, by)                                                                                   \
    static PyObject *name##_tuple(PyObject *self, PyObject *tuple)                                                  \
    {                                                                                                               \
        return takes_part() ? by_tuple(index, by, self, tuple, NULL) : methods[index].original(self, tuple);        \
    }                                                                                                               \
    static PyObject *name##_keywords(PyObject *self, PyObject *tuple, PyObject *keywords)                           \
    {                                                                                                               \
        return takes_part() ? by_tuple(index, by, self, tuple, keywords)                                            \
                            : ORIGINAL(keywords_fn, index)(self, tuple, keywords);                                  \
    }                                                                                                               \
    static PyObject *name##_fast(PyObject *self, PyObject *const *args, Py_ssize_t count)                           \
    {                                                                                                               \
        return takes_part() ? by_vector(index, by, self, args, count, NULL)                                         \
                            : ORIGINAL(fast_fn, index)(self, args, count);                                          \
    }                                                                                                               \
    static PyObject *name##_fast_keywords(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) \
    {                                                                                                               \
        return takes_part() ? by_vector(index, by, self, args, count, names)                                        \
                            : ORIGINAL(fast_keywords_fn, index)(self, args, count, names);                          \
    }                                                                                                               \
    static PyObject *name##_method(PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count,         \
                                   PyObject *names)                                                                 \
    {                                                                                                               \
        if (!takes_part())                                                                                          \
            return ORIGINAL(method_fn, index)(self, type, args, count, names);                                      \
        return by_vector(index, by, self, args, (Py_ssize_t)(count & ~PY_VECTORCALL_ARGUMENTS_OFFSET), names);      \
    }                                                                                                               \
    static PyObject *name##_alone(PyObject *self, PyObject *none)                                                   \
    {                                                                                                               \
        if (!takes_part())                                                                                          \
            return methods[index].original(self, none);                                                             \
        PyObject *result = wait_by(index, by, self, NULL, 0, NULL);                                                 \
        return result || PyErr_Occurred() ? result : methods[index].original(self, none);                           \
    }

/* `with lock:` waits as lock.acquire() does, which takes a timeout. */
WRAPPERS(lock_acquire, LOCK_ACQUIRE, LOCK_ACQUIRE)
WRAPPERS(lock_acquire_lock, LOCK_ACQUIRE_LOCK, LOCK_ACQUIRE)
WRAPPERS(lock_enter, LOCK_ENTER, LOCK_ACQUIRE)
WRAPPERS(rlock_acquire, RLOCK_ACQUIRE, RLOCK_ACQUIRE)
WRAPPERS(rlock_enter, RLOCK_ENTER, RLOCK_ACQUIRE)
WRAPPERS(queue_get, QUEUE_GET, QUEUE_GET)

#define FUNCTION(f) ((PyCFunction)(void (*)(void))(f))
#define BY_FLAGS(name)                                                                                            \
    {                                                                                                             \
        FUNCTION(name##_tuple), FUNCTION(name##_keywords), FUNCTION(name##_fast), FUNCTION(name##_fast_keywords), \
            FUNCTION(name##_method), FUNCTION(name##_alone),                                                      \
    }
enum way { BY_TUPLE, BY_KEYWORDS, BY_FAST, BY_FAST_KEYWORDS, BY_METHOD, BY_NOTHING, WAYS, NO_WAY = -1 };

static const struct wrapper {
    const char *module, *type, *name;
    PyCFunction by[WAYS];
} wrappers[METHODS] = {
    [LOCK_ACQUIRE] = {"_thread", "LockType", "acquire", BY_FLAGS(lock_acquire)},
    [LOCK_ACQUIRE_LOCK] = {"_thread", "LockType", "acquire_lock", BY_FLAGS(lock_acquire_lock)},
    [LOCK_ENTER] = {"_thread", "LockType", "__enter__", BY_FLAGS(lock_enter)},
    [RLOCK_ACQUIRE] = {"_thread", "RLock", "acquire", BY_FLAGS(rlock_acquire)},
    [RLOCK_ENTER] = {"_thread", "RLock", "__enter__", BY_FLAGS(rlock_enter)},
    [QUEUE_GET] = {"_queue", "SimpleQueue", "get", BY_FLAGS(queue_get)},
};

static enum way way_of(int flags)
{
    switch (flags) {
    case METH_VARARGS:
        return BY_TUPLE;
    case METH_VARARGS | METH_KEYWORDS:
        return BY_KEYWORDS;
    case METH_FASTCALL:
        return BY_FAST;
    case METH_FASTCALL | METH_KEYWORDS:
        return BY_FAST_KEYWORDS;
    case METH_METHOD | METH_FASTCALL | METH_KEYWORDS:
        return BY_METHOD;
    case METH_NOARGS:
        return BY_NOTHING;
    default:
        return NO_WAY;
    }
}

/* ---- putting them in ---------------------------------------------------------------------------------------------- */

static PyObject *attribute(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module), *found = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return found;
}

/* The entry of a method that is written in C, and has a way we know; NULL without an error: it is not there. */
static PyMethodDef *entry(const struct wrapper *w)
{
    PyObject *type = attribute(w->module, w->type);
    PyObject *method = type ? PyObject_GetAttrString(type, w->name) : NULL;
    PyMethodDef *def = NULL;
    if (method && Py_IS_TYPE(method, &PyMethodDescr_Type))
        def = ((PyMethodDescrObject *)method)->d_method;
    Py_XDECREF(method);
    Py_XDECREF(type);
    PyErr_Clear();
    return def;
}

int bp_wrap_locks(void)
{
    if (bp_locks_init() != 0)
        return -1;
    for (int i = 0; i < METHODS; i++) {
        PyMethodDef *def = entry(&wrappers[i]);
        enum way way = def ? way_of(def->ml_flags) : NO_WAY;
        if (way == NO_WAY || methods[i].wrapped)
            continue;
        methods[i] = (struct bp_method){.def = def, .original = def->ml_meth, .wrapped = true};
        def->ml_meth = wrappers[i].by[way];
    }
    return 0;
}

void bp_unwrap_locks(void)
{
    for (int i = 0; i < METHODS; i++)
        if (methods[i].wrapped) {
            methods[i].def->ml_meth = methods[i].original;
            methods[i].wrapped = false;
        }
}

PyObject *bp_locks_report(void)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < METHODS; i++) {
        PyObject *item = Py_BuildValue(
            "(NO)", PyUnicode_FromFormat("%s.%s.%s", wrappers[i].module, wrappers[i].type, wrappers[i].name),
            methods[i].wrapped ? Py_True : Py_False);
        if (!item || PyList_Append(list, item) != 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}
