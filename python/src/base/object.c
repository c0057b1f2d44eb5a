/* SPDX-License-Identifier: MIT */
/* The parts that the types of branches and children have in common. */
#include "base/object.h"

/* ---- attributes that are created at their first use ------------------------------------------------------------ */

PyObject *bp_new_list(void)
{
    return PyList_New(0);
}

PyObject *bp_new_set(void)
{
    return PySet_New(NULL);
}

static PyObject **reference(PyObject *self, size_t offset)
{
    return (PyObject **)((char *)self + offset);
}

PyObject *bp_lazy_get(PyObject *self, void *closure)
{
    const struct bp_lazy *lazy = closure;
    PyObject **at = reference(self, lazy->offset);
    if (!*at) {
        PyObject *made = lazy->make(); /* may run finalizers, which may use the same attribute */
        if (!*at)
            *at = made;
        else
            Py_XDECREF(made);
    }
    return Py_XNewRef(*at);
}

int bp_lazy_set(PyObject *self, PyObject *value, void *closure)
{
    PyObject **at = reference(self, ((const struct bp_lazy *)closure)->offset);
    Py_XSETREF(*at, Py_XNewRef(value));
    return 0;
}

/* ---- for the garbage collector ----------------------------------------------------------------------------------- */

int bp_references_visit(PyObject *self, const size_t *references, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (; *references; references++)
        Py_VISIT(*reference(self, *references));
    return 0;
}

void bp_references_clear(PyObject *self, const size_t *references)
{
    for (; *references; references++)
        Py_CLEAR(*reference(self, *references));
}

/* ---- types and their classes ------------------------------------------------------------------------------------- */

PyObject *bp_keep_class(PyObject **kept, PyTypeObject *base, PyObject *class, const char *function)
{
    if (!PyType_Check(class) || !PyType_IsSubtype((PyTypeObject *)class, base))
        return PyErr_Format(PyExc_TypeError, "%s() must be given a class that derives from %s, not %R", function,
                            base->tp_name, class),
               NULL;
    Py_XSETREF(*kept, Py_NewRef(class));
    return Py_NewRef(class);
}

int bp_add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec, const char *name)
{
    if (!*type && !(*type = (PyTypeObject *)PyType_FromSpec(spec)))
        return -1;
    return PyModule_AddObjectRef(module, name, (PyObject *)*type);
}
