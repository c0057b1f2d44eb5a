/* SPDX-License-Identifier: MIT */
/*
 * The place of the calling Python code, a file and a line, for the tree and for messages.
 *
 * The interpreter finds a line by walking through the code object's table from its beginning, which takes microseconds
 * in a long function. So the most recent places are cached. An entry of the cache owns its code object, so no other
 * code object can get the same address.
 */
#include "base/base.h"

#if PY_VERSION_HEX < 0x030C0000
#define Py_BUILD_CORE_MODULE 1
#include <internal/pycore_frame.h>
#endif

enum { PLACES_KEPT = 64 };

static struct place {
    PyCodeObject *code;
    int instruction, line;
    const char *file;
} places[PLACES_KEPT];

static PyObject *file_names; /* never freed, because another process may read the tree at any time */

static const char *kept(PyObject *name)
{
    if (!file_names && !(file_names = PyDict_New()))
        return NULL;
    PyObject *mine = PyDict_SetDefault(file_names, name, name);
    return mine ? PyUnicode_AsUTF8(mine) : NULL;
}

/* A new reference to the frame's code, and the offset of its current instruction. No frame object is created. */
static PyCodeObject *code_of(struct _PyInterpreterFrame *frame, int *instruction)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *code = PyUnstable_InterpreterFrame_GetCode(frame);
    *instruction = PyUnstable_InterpreterFrame_GetLasti(frame);
#else
    PyObject *code = Py_NewRef(frame->f_code);
    *instruction = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
#endif
    if (PyCode_Check(code))
        return (PyCodeObject *)code;
    Py_DECREF(code);
    return NULL;
}

/* Steals the reference to the code. */
static const struct place *look_up(PyCodeObject *code, int instruction)
{
    struct place *p = &places[((uintptr_t)code / 64 + (unsigned)instruction / 2) % PLACES_KEPT];
    if (p->code == code && p->instruction == instruction) {
        Py_DECREF(code);
        return p;
    }
    const char *file = kept(code->co_filename);
    PyErr_Clear();
    PyCodeObject *before = p->code;
    *p = (struct place){code, instruction, PyCode_Addr2Line(code, instruction), file ? file : ""};
    Py_XDECREF(before);
    return p;
}

int bp_caller_flags(void)
{
    int instruction;
    struct _PyInterpreterFrame *frame = bp_innermost(PyThreadState_Get());
    PyCodeObject *code = frame ? code_of(frame, &instruction) : NULL;
    int flags = code ? code->co_flags : 0;
    Py_XDECREF(code);
    return flags;
}

const char *bp_caller(int *line)
{
    int instruction;
    struct _PyInterpreterFrame *frame = bp_innermost(PyThreadState_Get());
    PyCodeObject *code = frame ? code_of(frame, &instruction) : NULL;
    const struct place *p = code ? look_up(code, instruction) : NULL;
    *line = p ? p->line : 0;
    return p ? p->file : "";
}

/* The text of a string that has its UTF-8 form inside the object: getting that allocates nothing. */
static const char *inside(PyObject *text)
{
    return text && PyUnicode_Check(text) && PyUnicode_IS_COMPACT_ASCII(text) ? PyUnicode_AsUTF8(text) : "?";
}

bool bp_innermost_line(const PyThreadState *ts, char *text, size_t size)
{
    int instruction;
    struct _PyInterpreterFrame *frame = bp_innermost(ts);
    PyCodeObject *code = frame ? code_of(frame, &instruction) : NULL; /* not released: the process ends */
    if (!code)
        return false;
    snprintf(text, size, "File \"%s\", line %d, in %s", inside(code->co_filename), PyCode_Addr2Line(code, instruction),
             inside(code->co_name));
    return true;
}
