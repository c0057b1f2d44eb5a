/* SPDX-License-Identifier: MIT */
/* The parts that the types of branches and children have in common. Their classes are Python code's, which derives from
 * them. */
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
/* For a PyGetSetDef, whose closure is the struct bp_lazy. */
PyObject *bp_lazy_get(PyObject *self, void *lazy);
int bp_lazy_set(PyObject *self, PyObject *value, void *lazy);

/* `references`: the offsets of all that the object holds; 0 ends them. */
int bp_references_visit(PyObject *self, const size_t *references, visitproc visit, void *arg);
void bp_references_clear(PyObject *self, const size_t *references);

/* Keeps in `*kept` the class that Python code has derived from `base`, and returns it. `function` is the caller's
 * name. */
PyObject *bp_keep_class(PyObject **kept, PyTypeObject *base, PyObject *class, const char *function);
/* Makes the type, once, and adds it to the module by its name. -1 with an exception. */
int bp_add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec, const char *name);

#endif
