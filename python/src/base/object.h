/* SPDX-License-Identifier: MIT */
/* The parts that the types of branches and children have in common. The classes bough.Branch, bough.Child and so on are
 * written in Python, and derive from these types. */
#ifndef BP_OBJECT_H
#define BP_OBJECT_H

#include "base/state.h"

/* An attribute that is created at its first use, because most objects do not need it. */
struct bp_lazy {
    size_t offset;
    PyObject *(*make)(void);
};

PyObject *bp_new_list(void);
PyObject *bp_new_set(void);
/* Getter and setter for a PyGetSetDef whose closure is a struct bp_lazy. */
PyObject *bp_lazy_get(PyObject *self, void *lazy);
int bp_lazy_set(PyObject *self, PyObject *value, void *lazy);

/* `references` has the offsets of all references that the object holds, and a 0 as its end. */
int bp_references_visit(PyObject *self, const size_t *references, visitproc visit, void *arg);
void bp_references_clear(PyObject *self, const size_t *references);

/* Store in `*kept` the class that Python code has derived from `base`. Returns the class, for use as a decorator; NULL
 * with an exception, which names the calling method, `function`. */
PyObject *bp_keep_class(PyObject **kept, PyTypeObject *base, PyObject *class, const char *function);
/* Create the type at the first call, and add it to the module by its name. -1 with an exception. */
int bp_add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec, const char *name);

#endif
