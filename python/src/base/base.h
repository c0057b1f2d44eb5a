/* SPDX-License-Identifier: MIT */
/* The parts that all files use: text, errors, the calling code, and the end of the interpreter. */
#ifndef BP_BASE_H
#define BP_BASE_H

#include "base/state.h"

/* ---- load.c --------------------------------------------------------------------------------------------------- */

/* Load one of the package's files, and return a name from it: a new reference. An exception that is set stays, unless
 * NULL is returned with another one. */
PyObject *bp_load(const char *file, const char *name);

/* ---- text.c --------------------------------------------------------------------------------------------------- */

/* Convert text for the library. `*utf8` is valid as long as the returned object: a new reference. NULL with an
 * exception. */
PyObject *bp_for_library(PyObject *text, const char **utf8);
/* Text of the library's: names and reasons may come from the kernel or from C code, and contain any bytes. Those that
 * are not UTF-8 are replaced. NULL with MemoryError. */
PyObject *bp_text(const char *utf8);
/* Is the keyword argument this one? */
bool bp_is_keyword(PyObject *keyword, const char *name);

/* ---- errors.c ------------------------------------------------------------------------------------------------- */

/* Set an exception for errno after a failed call. Returns NULL. */
PyObject *bp_error(const char *what);
/* An exception is set. If it is Python's for arguments that do not fit, which comes before any frame, misfit(function,
 * exception) completes its message. */
void bp_explain_misfit(PyObject *misfit, PyObject *function);
/* The same for a public function of this name. NULL. */
PyObject *bp_misfit(const char *name);
/* Fetch the exception that is set, and clear it: a new reference. NULL: none is set. */
PyObject *bp_taken_exception(void);
/* Sets a NotAliveError. */
void bp_not_alive(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- traceback.c ---------------------------------------------------------------------------------------------- */

/* Remove the package's frames from the beginning of the set exception's traceback. */
void bp_hide_own_frames(void);

/* ---- window.c ------------------------------------------------------------------------------------------------- */

/* For tests: call the function that was passed to set_window(), with the window's name. 0; -1 with the exception that
 * it raised. */
int bp_window(const char *name);
/* The same where no exception may be raised: it is reported instead. */
void bp_window_passed(const char *name);

/* ---- caller.c ------------------------------------------------------------------------------------------------- */

/* The file and line of the calling Python code; the file's name is never freed. "" and 0: there is no Python caller. */
const char *bp_caller(int *line);
/* The flags of its code (CO_COROUTINE and the like). */
int bp_caller_flags(void);
/* "File ..., line ..., in ...": where a thread stands that keeps the GIL, for another one that can't have it. The
 * process is to end. */
bool bp_innermost_line(const PyThreadState *ts, char *text, size_t size);

/* ---- count.c -------------------------------------------------------------------------------------------------- */

/* Replaces fopen() for the interpreter's count of threads. */
FILE *bp_fopen(const char *path, const char *mode);
extern FILE *(*bp_libc_fopen)(const char *, const char *);

/* ---- ending.c ------------------------------------------------------------------------------------------------- */

/* Does the interpreter end? Then the interpreter lock must not be acquired any more. */
bool bp_is_ending(void);
void bp_end(void);
/* Without the interpreter lock: may the thread's state be read, until bp_look_ends()? */
bool bp_look_begins(void);
void bp_look_ends(void);
void bp_looks_after_fork(void);

/* ---- stacks.c ------------------------------------------------------------------------------------------------- */

/* Keep the memory for the frames of ended threads for the next ones, or stop doing so. */
void bp_keep_stacks(bool on);

#endif
