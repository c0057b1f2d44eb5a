/* SPDX-License-Identifier: MIT */
/* The parts that all files use: text, errors, the calling code, and the end of the interpreter. */
#ifndef BP_BASE_H
#define BP_BASE_H

#include "base/state.h"

/* ---- load.c --------------------------------------------------------------------------------------------------- */

/* Import one of the package's files and return a new reference to the object with this name in it. An exception that is
 * set before stays set, unless the import fails: NULL, with the exception of the import. */
PyObject *bp_load(const char *file, const char *name);

/* ---- text.c --------------------------------------------------------------------------------------------------- */

/* Convert text for the library. Returns a new reference to the object that owns the memory of `*utf8`; NULL with an
 * exception. */
PyObject *bp_for_library(PyObject *text, const char **utf8);
/* Convert text from the library. Names and reasons may come from the kernel or from C code, and contain any bytes:
 * bytes that are not UTF-8 are replaced. NULL with MemoryError. */
PyObject *bp_text(const char *utf8);
/* Does the keyword argument have this name? */
bool bp_is_keyword(PyObject *keyword, const char *name);

/* ---- errors.c ------------------------------------------------------------------------------------------------- */

/* Set an exception for errno after a failed call. Returns NULL. */
PyObject *bp_error(const char *what);
/* Call this with an exception set. If arguments did not match the signature, so that the interpreter raised a TypeError
 * before it created a frame, misfit(function, exception) completes the message. */
void bp_explain_misfit(PyObject *misfit, PyObject *function);
/* As bp_explain_misfit(), for the public function of this name. Returns NULL. */
PyObject *bp_misfit(const char *name);
/* Fetch and clear the exception that is set. Returns a new reference; NULL: no exception is set. */
PyObject *bp_taken_exception(void);
/* Set a NotAliveError. */
void bp_not_alive(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- traceback.c ---------------------------------------------------------------------------------------------- */

/* Remove the package's frames from the beginning of the set exception's traceback. */
void bp_hide_own_frames(void);

/* ---- window.c ------------------------------------------------------------------------------------------------- */

/* For tests: call the function that was passed to set_window(), with the window's name. Returns 0, or -1 with the
 * exception that the function raised. */
int bp_window(const char *name);
/* As bp_window(), where no exception may be raised: an exception is reported as unraisable instead. */
void bp_window_passed(const char *name);

/* ---- caller.c ------------------------------------------------------------------------------------------------- */

/* The file and line of the calling Python code. The file's name is never freed. "" and 0: there is no Python caller. */
const char *bp_caller(int *line);
/* The flags of the calling Python code (CO_COROUTINE and the like); 0: there is no Python caller. */
int bp_caller_flags(void);
/* Write "File ..., line ..., in ...", the place of a thread that keeps the GIL. The caller can't get the GIL, and is
 * about to end the process. false: the thread executes no Python code. */
bool bp_innermost_line(const PyThreadState *ts, char *text, size_t size);

/* ---- count.c -------------------------------------------------------------------------------------------------- */

/* Replaces fopen() for the interpreter's count of threads. */
FILE *bp_fopen(const char *path, const char *mode);
extern FILE *(*bp_libc_fopen)(const char *, const char *);

/* ---- ending.c ------------------------------------------------------------------------------------------------- */

/* Is the interpreter ending? Then no thread may try to acquire the GIL any more. */
bool bp_is_ending(void);
void bp_end(void);
/* May a caller without the GIL read a thread state now? If so, the interpreter's end waits for bp_look_ends(). */
bool bp_look_begins(void);
void bp_look_ends(void);
void bp_looks_after_fork(void);

/* ---- stacks.c ------------------------------------------------------------------------------------------------- */

/* Start or stop keeping the memory for the frames of ended threads for new threads. */
void bp_keep_stacks(bool on);

#endif
