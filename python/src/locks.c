/* SPDX-License-Identifier: MIT */
/*
 * Locks whose waits can be cut: Lock and RLock, and all that threading and queue build on them; SimpleQueue.get().
 *
 * The interpreter's methods are kept and called; only their entries in the method tables are replaced, by functions that
 * do the following where the thread takes part and the call would wait (elsewhere they go straight on):
 *
 *      try it without waiting ---------------------------------------> got it
 *        |
 *      wait, with a timeout always: the caller's, or three years
 *        |   the semaphore below may end early by a cut, as by a timeout (cut.c): lock_cut
 *        |
 *      got it, or the caller's time is over -------------------------> so it is; an interrupt stays pending (rule 9)
 *      cut: try once more without waiting --------------------------> got it: whoever released it did so for us, and
 *        |                                                             its wake-up must not be lost
 *      raise
 *
 * A failed wait is never taken for an acquired lock: that is told by what the original method returns, and by nothing else.
 */
#include "state.h"

#include <string.h>

enum method_index { LOCK_ACQUIRE, LOCK_ACQUIRE_LOCK, LOCK_ENTER, RLOCK_ACQUIRE, RLOCK_ENTER, QUEUE_GET, METHODS };

static struct method {
    PyMethodDef *def; /* the interpreter's; NULL: never wrapped. It stays: a thread may be in a wrapper for long */
    PyCFunction original;
    bool wrapped;
} methods[METHODS];

/* Far enough to be for ever, near enough for any clock's arithmetic. */
static const double FOR_EVER = 1e8;

/* ---- calling an original ------------------------------------------------------------------------------------------ */

typedef PyObject *fast_fn(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *fast_keywords_fn(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *method_fn(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

typedef PyObject *keywords_fn(PyObject *, PyObject *, PyObject *);

#define AS(type, function) ((type *)(void (*)(void))(function))

static PyObject *call_with_tuple(const struct method *m, PyObject *self, PyObject *const *args, Py_ssize_t count)
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

static PyObject *call_original(const struct method *m, PyObject *self, PyObject *const *args, Py_ssize_t count)
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

/* ---- one wait ------------------------------------------------------------------------------------------------------ */

static double seconds_until(bough_time deadline)
{
    bough_time left = deadline - bough_now();
    return left > 0 ? (double)left / 1e9 : 0;
}

/* What it is called with: `wait` says whether, `timeout` for how long. */
static PyObject *call_waiting(const struct method *m, PyObject *self, bool wait, double timeout)
{
    PyObject *args[2] = {wait ? Py_True : Py_False, wait ? PyFloat_FromDouble(timeout) : NULL};
    if (wait && !args[1])
        return NULL;
    PyObject *result = call_original(m, self, args, wait ? 2 : 1);
    Py_XDECREF(args[1]);
    return result;
}

/* How a method says that it did not get what it waits for. */
static bool failed(PyObject *result)
{
    return result == Py_False;
}

static PyObject *empty_error; /* _queue.Empty */

static bool came_to_nothing(PyObject *result)
{
    return result ? failed(result) : empty_error && PyErr_ExceptionMatches(empty_error);
}

static void drop(PyObject *result)
{
    if (result)
        Py_DECREF(result);
    else
        PyErr_Clear();
}

/* Where a race would be lost, tests come in between: called with the window's name. Nobody else sets it. */
static PyObject *in_window;

static void window(const char *name)
{
    PyObject *callable = Py_XNewRef(in_window);
    PyObject *result = callable ? PyObject_CallFunction(callable, "s", name) : NULL;
    if (callable && !result)
        PyErr_WriteUnraisable(callable);
    Py_XDECREF(result);
    Py_XDECREF(callable);
}

/* Says in *cut whether it ended so. In the main thread, the handler of a signal may run in here, and wait itself. */
static PyObject *wait_once(struct bp_thread *t, const struct method *m, PyObject *self, double timeout, bool *cut)
{
    bool in_lock = t->in_lock, lock_cut = t->lock_cut;
    if (in_window)
        window("before the wait");
    t->in_lock = true;
    t->lock_cut = false;
    PyObject *result = call_waiting(m, self, true, timeout);
    *cut = t->lock_cut;
    t->in_lock = in_lock;
    t->lock_cut = lock_cut;
    return result;
}

/* After a cut: whoever let it go in the last moment did so for us. */
static PyObject *last_try(const struct method *m, PyObject *self)
{
    if (in_window)
        window("after the cut");
    PyObject *result = call_waiting(m, self, false, 0);
    if (!came_to_nothing(result))
        bough_foreign_again(); /* got after all: the next wait is told */
    return result;
}

/* `timeout` below 0: for ever. */
static PyObject *wait_for(struct bp_thread *t, const struct method *m, PyObject *self, double timeout)
{
    bough_time deadline = timeout < 0 ? 0 : bough_after((int64_t)(timeout * 1e9));
    for (;;) {
        bool cut;
        PyObject *result = wait_once(t, m, self, deadline ? seconds_until(deadline) : FOR_EVER, &cut);
        if (!came_to_nothing(result)) {
            if (cut)
                bough_foreign_again();
            return result;
        }
        if (!cut && deadline)
            return result;
        drop(result);
        if (!cut)
            continue;
        result = last_try(m, self);
        if (!came_to_nothing(result))
            return result;
        drop(result);
        if (bp_meet(t) != 0)
            return NULL;
    }
}

/* ---- what the caller wants ------------------------------------------------------------------------------------------ */

struct wanted {
    bool wait;
    double timeout; /* below 0: for ever */
};

/* One that is odd is for the original to refuse, in its own words. */
static bool read_timeout(PyObject *timeout, bool none_is_for_ever, struct wanted *wanted)
{
    if (!timeout || (none_is_for_ever && timeout == Py_None)) {
        wanted->timeout = -1;
        return true;
    }
    wanted->timeout = PyFloat_AsDouble(timeout);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return wanted->timeout >= 0 ? wanted->timeout < FOR_EVER : wanted->timeout == -1 && !none_is_for_ever;
}

/* `names`, of keyword arguments, whose values follow the positional ones; NULL without. */
static bool read_wanted(PyObject *const *args, Py_ssize_t count, PyObject *names, const char *wait_name,
                        struct wanted *wanted)
{
    PyObject *wait = count > 0 ? args[0] : NULL, *timeout = count > 1 ? args[1] : NULL;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, i));
        PyObject **to = name && strcmp(name, wait_name) == 0   ? &wait
                        : name && strcmp(name, "timeout") == 0 ? &timeout
                                                               : NULL;
        if (!to || *to)
            return PyErr_Clear(), false;
        *to = args[count + i];
    }
    int truth = wait ? PyObject_IsTrue(wait) : 1;
    if (truth < 0 || count > 2)
        return PyErr_Clear(), false;
    wanted->wait = truth;
    return read_timeout(timeout, strcmp(wait_name, "block") == 0, wanted);
}

/* ---- who must not fail ---------------------------------------------------------------------------------------------- */

/* Python functions whose waits for a lock are no waits for something to happen: who gives back, tells or starts takes a
 * lock for a moment to do so, and can't say that it has not done it (rule 9). */
static PyObject **steadfast;
static Py_ssize_t steadfast_count;
enum { FRAMES_ABOVE = 4 }; /* Thread.start(), Event.wait(), Condition.wait() */

static bool is_steadfast(const PyCodeObject *code)
{
    for (Py_ssize_t i = 0; i < steadfast_count; i++)
        if (steadfast[i] == (const PyObject *)code)
            return true;
    return false;
}

/* Asked only where a thread that takes part is about to wait. */
static bool must_not_fail(void)
{
    PyFrameObject *frame = PyEval_GetFrame();
    bool found = false;
    Py_XINCREF(frame);
    for (int i = 0; frame && !found && i < FRAMES_ABOVE; i++) {
        PyFrameObject *outer = PyFrame_GetBack(frame);
        PyCodeObject *code = PyFrame_GetCode(frame);
        found = is_steadfast(code);
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = outer;
    }
    Py_XDECREF(frame);
    return found;
}

static PyObject *set_steadfast(PyObject *module, PyObject *codes)
{
    Py_ssize_t count = PyList_Check(codes) ? PyList_GET_SIZE(codes) : -1;
    PyObject **array = count >= 0 ? PyMem_Calloc((size_t)count + 1, sizeof *array) : NULL;
    (void)module;
    if (!array)
        return count < 0 ? (PyErr_SetString(PyExc_TypeError, "a list of code objects is wanted"), NULL)
                         : PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++)
        array[i] = Py_NewRef(PyList_GET_ITEM(codes, i));
    PyObject **before = steadfast;
    Py_ssize_t before_count = steadfast_count;
    steadfast = array;
    steadfast_count = count;
    for (Py_ssize_t i = 0; i < before_count; i++)
        Py_DECREF(before[i]);
    PyMem_Free(before);
    Py_RETURN_NONE;
}

static PyObject *set_window(PyObject *module, PyObject *callable)
{
    (void)module;
    Py_XSETREF(in_window, callable == Py_None ? NULL : Py_NewRef(callable));
    Py_RETURN_NONE;
}

PyMethodDef bp_lock_methods[] = {
    {"set_window", set_window, METH_O,
     PyDoc_STR("set_window(callable): for tests, called where a race would be lost.")},
    {"set_steadfast", set_steadfast, METH_O,
     PyDoc_STR("set_steadfast(codes): Python functions in which, and right below which, no wait for a lock is cut.")},
    {0},
};

/* ---- the wrappers' part ------------------------------------------------------------------------------------------------- */

/* NULL without an error: it is none of ours, call the original with what it was called with. */
static PyObject *interruptibly(enum method_index index, enum method_index by, PyObject *self, PyObject *const *args,
                               Py_ssize_t count, PyObject *names)
{
    struct bp_thread *t = bp_me;
    struct wanted wanted;
    if (!t || !t->kinds || !bough_foreign() ||
        !read_wanted(args, count, names, index == QUEUE_GET ? "block" : "blocking", &wanted))
        return NULL;
    if (!wanted.wait || wanted.timeout == 0)
        return NULL;
    PyObject *result = call_waiting(&methods[by], self, false, 0);
    if (!came_to_nothing(result))
        return result;
    drop(result);
    return must_not_fail() ? NULL : wait_for(t, &methods[by], self, wanted.timeout);
}

/* ---- one function for each method and way of calling --------------------------------------------------------------- */

static PyObject *by_vector(enum method_index index, enum method_index by, PyObject *self, PyObject *const *args,
                           Py_ssize_t count, PyObject *names)
{
    PyObject *result = interruptibly(index, by, self, args, count, names);
    const struct method *m = &methods[index];
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
        result = interruptibly(index, by, self, args, count, names);
    }
    Py_XDECREF(names);
    if (result || PyErr_Occurred())
        return result;
    const struct method *m = &methods[index];
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
        PyObject *result = interruptibly(index, by, self, NULL, 0, NULL);                                           \
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
    if (!empty_error && !(empty_error = attribute("_queue", "Empty")))
        return -1;
    for (int i = 0; i < METHODS; i++) {
        PyMethodDef *def = entry(&wrappers[i]);
        enum way way = def ? way_of(def->ml_flags) : NO_WAY;
        if (way == NO_WAY || methods[i].wrapped)
            continue;
        methods[i] = (struct method){.def = def, .original = def->ml_meth, .wrapped = true};
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
