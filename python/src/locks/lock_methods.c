/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's methods that wait for a lock, and their stand-ins: a function for each method and each of its
 * calling conventions, which differ between versions. The wait itself is in locks.c.
 */
#include "locks/locks.h"

enum method_index { LOCK_ACQUIRE, LOCK_ACQUIRE_LOCK, LOCK_ENTER, RLOCK_ACQUIRE, RLOCK_ENTER, QUEUE_GET, METHODS };

static struct bp_method methods[METHODS];

/* ---- a call without arguments: most locks are free --------------------------------------------------------------- */

/* These functions contain the whole overhead of such a call. They are inline, because one more function call costs
 * measurable time. */
#define INLINE static inline __attribute__((always_inline))
#define OUT_OF_LINE __attribute__((noinline)) static

static PyObject *only_false, *no_arguments; /* tuples of arguments: (False,), which means not to wait; () */

OUT_OF_LINE PyObject *try_otherwise(const struct bp_method *by, PyObject *self)
{
    return bp_call_original(&(struct bp_lock){by, self, NULL}, &(PyObject *){Py_False}, 1);
}

INLINE PyObject *try_it(const struct bp_method *by, PyObject *self, PyTypeObject *type)
{
    if (type)
        return AS(method_fn, by->original)(self, type, &(PyObject *){Py_False}, 1, NULL);
    if (__builtin_expect(by->flags == (METH_VARARGS | METH_KEYWORDS), 1))
        return AS(keywords_fn, by->original)(self, only_false, NULL);
    return try_otherwise(by, self);
}

/* Called when the attempt without waiting has failed. Passes indices instead of addresses, so that only `self` has to
 * be kept during the attempt. */
OUT_OF_LINE PyObject *wait_on(enum method_index own, enum method_index by, PyObject *self, PyTypeObject *type,
                              PyObject *result)
{
    result = bp_wait_on(&(struct bp_lock){&methods[by], self, type}, result);
    return result || PyErr_Occurred() ? result
                                      : bp_call_original(&(struct bp_lock){&methods[own], self, type}, NULL, 0);
}

/* `own`: the method that was called; `by`: the method that waits for it. `type`: the class that METH_METHOD passes, if
 * `own` and `by` are the same. */
INLINE PyObject *acquire(enum method_index own, enum method_index by, PyObject *self, PyTypeObject *type)
{
    PyObject *result = try_it(&methods[by], self, type);
    return __builtin_expect(result && result != Py_False, 1) ? result : wait_on(own, by, self, type, result);
}

/* ---- a call with arguments --------------------------------------------------------------------------------------- */

static PyObject *wait_vector(const struct bp_lock *by, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    return bp_wait(by, by->method == &methods[QUEUE_GET] ? "block" : "blocking", args, count, names);
}

OUT_OF_LINE PyObject *by_vector(const struct bp_method *own, const struct bp_method *by, PyObject *self,
                                PyTypeObject *type, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *result = wait_vector(&(struct bp_lock){by, self, type}, args, count, names);
    return result || PyErr_Occurred() ? result
                                      : bp_call_original_vector(&(struct bp_lock){own, self, type}, args, count, names);
}

enum { ARGUMENTS_MOST = 4 };

static PyObject *wait_tuple(const struct bp_lock *by, PyObject *tuple, PyObject *keywords)
{
    PyObject *args[ARGUMENTS_MOST], *names = NULL, *result = NULL, *name, *value;
    Py_ssize_t count = PyTuple_GET_SIZE(tuple), named = keywords ? PyDict_GET_SIZE(keywords) : 0, at = 0, i = 0;
    if (count + named <= ARGUMENTS_MOST && (names = PyTuple_New(named))) {
        for (i = 0; i < count; i++)
            args[i] = PyTuple_GET_ITEM(tuple, i);
        while (keywords && PyDict_Next(keywords, &at, &name, &value)) {
            PyTuple_SET_ITEM(names, i - count, Py_NewRef(name));
            args[i++] = value;
        }
        result = wait_vector(by, args, count, names);
    }
    Py_XDECREF(names);
    return result;
}

OUT_OF_LINE PyObject *by_tuple(const struct bp_method *own, const struct bp_method *by, PyObject *self, PyObject *tuple,
                               PyObject *keywords)
{
    PyObject *result = wait_tuple(&(struct bp_lock){by, self, NULL}, tuple, keywords);
    if (result || PyErr_Occurred())
        return result;
    return own->flags & METH_KEYWORDS ? AS(keywords_fn, own->original)(self, tuple, keywords)
                                      : own->original(self, tuple);
}

/* ---- one function for each method and calling convention --------------------------------------------------------- */

/* This check is the whole cost for a thread that has not opted in. */
INLINE bool has_opted_in(void)
{
    return __builtin_expect(bp_me != NULL && bp_me->kinds != 0, 0);
}

#define ORIGINAL(type, index) AS(type, methods[index].original)

/* The code for an opted-in thread is in a separate function: the registers that it saves would cost time in other
 * threads, too. */
#define WRAPPERS(name, index, by)                                                                                   \
    OUT_OF_LINE PyObject *name##_bare(PyObject *self)                                                               \
    {                                                                                                               \
        return acquire(index, by, self, NULL);                                                                      \
    }                                                                                                               \
    OUT_OF_LINE PyObject *name##_bare_method(PyObject *self, PyTypeObject *type)                                    \
    {                                                                                                               \
        return acquire(index, by, self, (index) == (by) ? type : NULL);                                             \
    }                                                                                                               \
    static PyObject *name##_tuple(PyObject *self, PyObject *tuple)                                                  \
    {                                                                                                               \
        if (!has_opted_in())                                                                                        \
            return methods[index].original(self, tuple);                                                            \
        return PyTuple_GET_SIZE(tuple) == 0 ? name##_bare(self)                                                     \
                                            : by_tuple(&methods[index], &methods[by], self, tuple, NULL);           \
    }                                                                                                               \
    static PyObject *name##_keywords(PyObject *self, PyObject *tuple, PyObject *keywords)                           \
    {                                                                                                               \
        if (!has_opted_in())                                                                                        \
            return ORIGINAL(keywords_fn, index)(self, tuple, keywords);                                             \
        return PyTuple_GET_SIZE(tuple) == 0 && !keywords                                                            \
                   ? name##_bare(self)                                                                              \
                   : by_tuple(&methods[index], &methods[by], self, tuple, keywords);                                \
    }                                                                                                               \
    static PyObject *name##_fast(PyObject *self, PyObject *const *args, Py_ssize_t count)                           \
    {                                                                                                               \
        if (!has_opted_in())                                                                                        \
            return ORIGINAL(fast_fn, index)(self, args, count);                                                     \
        return count == 0 ? name##_bare(self)                                                                       \
                          : by_vector(&methods[index], &methods[by], self, NULL, args, count, NULL);                \
    }                                                                                                               \
    static PyObject *name##_fast_keywords(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names) \
    {                                                                                                               \
        if (!has_opted_in())                                                                                        \
            return ORIGINAL(fast_keywords_fn, index)(self, args, count, names);                                     \
        return count == 0 && !names ? name##_bare(self)                                                             \
                                    : by_vector(&methods[index], &methods[by], self, NULL, args, count, names);     \
    }                                                                                                               \
    /* For an original that takes a tuple and a dictionary. */                                                      \
    static PyObject *name##_quick(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)         \
    {                                                                                                               \
        if (count == 0 && !names)                                                                                   \
            return has_opted_in() ? name##_bare(self) : ORIGINAL(keywords_fn, index)(self, no_arguments, NULL);     \
        if (!has_opted_in())                                                                                        \
            return bp_call_original_vector(&(struct bp_lock){&methods[index], self, NULL}, args, count, names);     \
        return by_vector(&methods[index], &methods[by], self, NULL, args, count, names);                            \
    }                                                                                                               \
    static PyObject *name##_method(PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count,         \
                                   PyObject *names)                                                                 \
    {                                                                                                               \
        if (!has_opted_in())                                                                                        \
            return ORIGINAL(method_fn, index)(self, type, args, count, names);                                      \
        Py_ssize_t positional = PyVectorcall_NARGS(count);                                                          \
        return positional == 0 && !names ? name##_bare_method(self, type)                                           \
                                         : by_vector(&methods[index], &methods[by], self,                           \
                                                     (index) == (by) ? type : NULL, args, positional, names);       \
    }                                                                                                               \
    static PyObject *name##_alone(PyObject *self, PyObject *none)                                                   \
    {                                                                                                               \
        return has_opted_in() ? name##_bare(self) : methods[index].original(self, none);                            \
    }

/* `with lock:` waits as lock.acquire() does, which takes a timeout. */
WRAPPERS(lock_acquire, LOCK_ACQUIRE, LOCK_ACQUIRE)
WRAPPERS(lock_acquire_lock, LOCK_ACQUIRE_LOCK, LOCK_ACQUIRE)
WRAPPERS(lock_enter, LOCK_ENTER, LOCK_ACQUIRE)
WRAPPERS(rlock_acquire, RLOCK_ACQUIRE, RLOCK_ACQUIRE)
WRAPPERS(rlock_enter, RLOCK_ENTER, RLOCK_ACQUIRE)
WRAPPERS(queue_get, QUEUE_GET, QUEUE_GET)

#define FUNCTION(f) ((PyCFunction)(void (*)(void))(f))
#define BY_FLAGS(name)                                                                     \
    {                                                                                      \
        FUNCTION(name##_tuple),         FUNCTION(name##_keywords), FUNCTION(name##_fast),  \
        FUNCTION(name##_fast_keywords), FUNCTION(name##_method),   FUNCTION(name##_alone), \
    },                                                                                     \
        FUNCTION(name##_quick)
enum way { BY_TUPLE, BY_KEYWORDS, BY_FAST, BY_FAST_KEYWORDS, BY_METHOD, BY_NOTHING, WAYS, NO_WAY = -1 };

static const struct wrapper {
    const char *module, *type, *name;
    PyCFunction by[WAYS], quick;
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

/* ---- installing the wrappers ------------------------------------------------------------------------------------- */

static PyObject *attribute(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module), *found = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return found;
}

/* The descriptor of a C method in its type; NULL without an error: there is none. */
static PyObject *descriptor(const struct wrapper *w)
{
    PyObject *type = attribute(w->module, w->type);
    PyObject *method = type ? PyObject_GetAttrString(type, w->name) : NULL;
    Py_XDECREF(type);
    PyErr_Clear();
    if (method && !Py_IS_TYPE(method, &PyMethodDescr_Type))
        Py_CLEAR(method);
    return method;
}

/*
 * Calling a method that takes a tuple and a dictionary costs the interpreter more than taking a free lock. So the type
 * gets a second descriptor for the method, which takes a vector of arguments. The interpreter's descriptor is wrapped,
 * too, because there may be bound methods of it already.
 */
static void use_descriptor(struct bp_method *m, bool quick)
{
    PyObject *dict = m->type->tp_dict;
    if (!m->descriptors[1])
        return;
    if (PyDict_GetItemString(dict, m->quick.ml_name) == m->descriptors[!quick] &&
        PyDict_SetItemString(dict, m->quick.ml_name, m->descriptors[quick]) == 0)
        PyType_Modified(m->type);
    PyErr_Clear();
}

static void make_quick(struct bp_method *m, const struct wrapper *w, PyObject *method)
{
    if (m->flags != (METH_VARARGS | METH_KEYWORDS) || m->descriptors[1])
        return;
    m->quick = (PyMethodDef){m->def->ml_name, w->quick, METH_FASTCALL | METH_KEYWORDS, m->def->ml_doc};
    m->descriptors[1] = PyDescr_NewMethod(m->type, &m->quick);
    m->descriptors[0] = Py_NewRef(method);
    PyErr_Clear();
}

static void wrap(struct bp_method *m, const struct wrapper *w, PyObject *method)
{
    PyMethodDef *found = ((PyMethodDescrObject *)method)->d_method, *def = found == &m->quick ? m->def : found;
    enum way way = way_of(def->ml_flags);
    if (way == NO_WAY)
        return;
    if (m->def != def) {
        Py_XDECREF(m->type);
        *m = (struct bp_method){.def = def,
                                .type = (PyTypeObject *)Py_NewRef(PyDescr_TYPE(method)),
                                .original = def->ml_meth,
                                .flags = def->ml_flags};
    }
    m->wrapped = true;
    def->ml_meth = w->by[way];
    make_quick(m, w, method);
    use_descriptor(m, true);
}

int bp_wrap_locks(void)
{
    if (bp_locks_init() != 0 || (!only_false && !(only_false = PyTuple_Pack(1, Py_False))) ||
        (!no_arguments && !(no_arguments = PyTuple_New(0))))
        return -1;
    for (int i = 0; i < METHODS; i++) {
        PyObject *method = methods[i].wrapped ? NULL : descriptor(&wrappers[i]);
        if (method)
            wrap(&methods[i], &wrappers[i], method);
        Py_XDECREF(method);
    }
    return 0;
}

void bp_unwrap_locks(void)
{
    for (int i = 0; i < METHODS; i++)
        if (methods[i].wrapped) {
            use_descriptor(&methods[i], false);
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
