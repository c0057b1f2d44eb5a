/* SPDX-License-Identifier: MIT */
/* Text: conversion for the library and from it, and names of keyword arguments. */
#include "base/base.h"

#include <string.h>

/* The UTF-8 form of text. NULL: the text has null characters or lone surrogates. */
static const char *utf8_of(PyObject *text)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (!utf8)
        PyErr_Clear();
    return utf8 && strlen(utf8) == (size_t)size ? utf8 : NULL;
}

PyObject *bp_for_library(PyObject *text, const char **utf8)
{
    *utf8 = text && PyUnicode_Check(text) ? utf8_of(text) : NULL;
    if (*utf8)
        return Py_NewRef(text);
    PyObject *for_library = bp_load("bough._check", "for_library"), *made = NULL;
    if (for_library)
        made = PyObject_CallOneArg(for_library, text ? text : Py_None);
    Py_XDECREF(for_library);
    *utf8 = made ? PyUnicode_AsUTF8(made) : NULL;
    if (!*utf8)
        Py_CLEAR(made);
    return made;
}

PyObject *bp_text(const char *utf8)
{
    return PyUnicode_DecodeUTF8(utf8, (Py_ssize_t)strlen(utf8), "replace");
}

bool bp_is_keyword(PyObject *keyword, const char *name)
{
    return PyUnicode_CompareWithASCIIString(keyword, name) == 0;
}
