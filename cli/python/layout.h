/* SPDX-License-Identifier: MIT */
/*
 * Where CPython keeps the structures that lead to a thread's frames. From 3.13 on, the interpreter describes their
 * layout at the beginning of _PyRuntime; the layouts of earlier versions are tables here.
 *
 *      _PyRuntime -> interpreters -> threads -> the innermost frame -> its caller ...
 *                                                 -> code: function, file, table of lines
 */
#ifndef CLI_PYTHON_LAYOUT_H
#define CLI_PYTHON_LAYOUT_H

#include "memory.h"

/* Offsets in the structure that is the first word of the field's name. */
struct layout {
    uint64_t runtime_interpreters;
    uint64_t interpreter_next, interpreter_threads;
    uint64_t runtime_gil; /* the process's GIL in _PyRuntime; 0: each interpreter points to a GIL, by the next field */
    uint64_t interpreter_gil;
    uint64_t gil_holder, gil_locked; /* in the GIL */
    uint64_t thread_previous, thread_next, thread_native_id;
    uint64_t thread_frame;                  /* the innermost frame; or, if `by_cframe` is set, */
    bool by_cframe;                         /* a structure that points to that frame, by the next field */
    uint64_t cframe_frame, cframe_previous; /* cframe_previous is 0 if entries into the interpreter are frames, too */
    uint64_t frame_caller, frame_code, frame_instruction, frame_owner;
    uint64_t code_file, code_function, code_lines, code_first_line, code_bytes;
    uint64_t object_type, type_name;
    uint64_t bytes_size, bytes_data;
    uint64_t text_length, text_state, text_ascii, text_compact; /* the last two: where the characters begin */
};

/* `version` is the value of Py_Version, or 0 if it is not known; the version in the interpreter's description replaces
 * it. Returns NULL if `l` is filled in, otherwise the reason why not. */
const char *layout_of(struct layout *l, struct memory *m, uint64_t runtime, uint32_t *version);

#endif
