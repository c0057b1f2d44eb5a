/* SPDX-License-Identifier: MIT */
/*
 * Makes blocking calls of the interpreter and of all loaded objects interruptible, by the library's interposer
 * (bough/interpose.h).
 *
 * The kinds of interrupts that end a thread's calls:
 *
 *      a thread that did not opt in            none: its calls go straight to libc
 *      bough.Thread                            those posted by raise_exc()
 *      ...with enable_io_interrupt, a branch's
 *      child or body                           all
 *
 * Hooks leave waits for condition variables, semaphores and threads to libc, because the interpreter's waits for the
 * GIL must never fail, and most other C code aborts if such a wait fails. Two kinds of waits for semaphores may fail:
 * the interpreter's with a timeout in a lock's method, but only inside the methods that lock_methods.c has wrapped; and
 * those of multiprocessing's locks, whose failure becomes an OSError like any other.
 *
 * system() is left to libc, too: os.system() returns its result, which would not show the interruption, and the
 * processes started by its shell would continue to run. bough can't put these processes into a separate group, because
 * they belong to the terminal's foreground.
 */
#include "base/base.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "interpose/interpose.h"
#include "interpose/waits.h"
#include "locks/locks.h"
#include "api/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

/* ---- the hooks --------------------------------------------------------------------------------------------------- */

/* In this order: of two hooks that match, the later one applies. */
static struct {
    const char *object, *symbol;
    bough_code *function, **original;
    bough_hook_t *hook;
} hooks[] = {
    {NULL, "pthread_cond_wait", (bough_code *)pthread_cond_wait, NULL, NULL},
    {NULL, "pthread_cond_timedwait", (bough_code *)pthread_cond_timedwait, NULL, NULL},
    {NULL, "pthread_cond_clockwait", (bough_code *)pthread_cond_clockwait, NULL, NULL},
    {NULL, "pthread_join", (bough_code *)pthread_join, NULL, NULL},
    {NULL, "cnd_wait", (bough_code *)cnd_wait, NULL, NULL},
    {NULL, "cnd_timedwait", (bough_code *)cnd_timedwait, NULL, NULL},
    {NULL, "thrd_join", (bough_code *)thrd_join, NULL, NULL},
    {NULL, "sem_wait", (bough_code *)sem_wait, (bough_code **)&bp_interruptible_wait, NULL},
    {NULL, "sem_clockwait", (bough_code *)bp_own_sem_clockwait, (bough_code **)&bp_interruptible_clockwait, NULL},
    {NULL, "sem_timedwait", (bough_code *)bp_own_sem_timedwait, (bough_code **)&bp_interruptible_timedwait, NULL},
    {NULL, "system", (bough_code *)system, NULL, NULL},
    {NULL, "PyErr_CheckSignals", (bough_code *)bp_check_signals, NULL, NULL},
    {NULL, "PyEval_SaveThread", (bough_code *)bp_save_thread, NULL, NULL},
    {NULL, "PyEval_RestoreThread", (bough_code *)bp_restore_thread, NULL, NULL},
    {NULL, "PyEval_AcquireThread", (bough_code *)bp_acquire_thread, NULL, NULL},
    {NULL, "PyGILState_Ensure", (bough_code *)bp_gilstate_ensure, NULL, NULL},
    {NULL, "PyErr_Clear", (bough_code *)bp_clear_error, NULL, NULL},
    {NULL, "PyErr_Print", (bough_code *)bp_print_error_as_ever, NULL, NULL},
    {NULL, "PyErr_PrintEx", (bough_code *)bp_print_error, NULL, NULL},
    {NULL, "PyErr_WriteUnraisable", (bough_code *)bp_write_unraisable, NULL, NULL},
    {bp_interpreters_name, "fopen", (bough_code *)bp_fopen, (bough_code **)&bp_libc_fopen, NULL},
    {bp_interpreters_name, "fopen64", (bough_code *)bp_fopen, (bough_code **)&bp_libc_fopen, NULL},
    {"_multiprocessing", "sem_wait", (bough_code *)bp_process_sem_wait, NULL, NULL},
    {"_multiprocessing", "sem_timedwait", (bough_code *)bp_process_sem_timedwait, NULL, NULL},
    {"_sqlite3", "sqlite3_busy_timeout", (bough_code *)bp_sqlite_busy_timeout, &bp_sqlite_timeout, NULL},
    {"_sqlite3", "sqlite3_sleep", (bough_code *)bp_sqlite_sleep, &bp_sqlite_slept, NULL},
    {"_sqlite3", "sqlite3_backup_step", (bough_code *)bp_sqlite_backup_step, &bp_sqlite_step, NULL},
    {"_ssl", "poll", (bough_code *)bp_ssl_poll, (bough_code **)&bp_interruptible_poll, NULL},
    {"_ssl", "PyErr_SetString", (bough_code *)bp_ssl_set_error, NULL, NULL},
    {"readline", "select", (bough_code *)bp_readline_select, (bough_code **)&bp_interruptible_select, NULL},
};
enum { HOOKS = sizeof hooks / sizeof *hooks };

static int install_hooks(void)
{
    for (int i = 0; i < HOOKS; i++) {
        if (hooks[i].hook)
            continue;
        hooks[i].hook = bough_hook(hooks[i].object, hooks[i].symbol, hooks[i].function, hooks[i].original);
        if (!hooks[i].hook && errno != ENOENT)
            return (void)bp_error("cannot hook the interpreter's internal waits"), -1;
    }
    return 0;
}

/* Stops at the first hook that can't be removed, so that the later ones, if installed again, still apply before it. */
static int remove_hooks(void)
{
    for (int i = HOOKS - 1; i >= 0; i--) {
        if (hooks[i].hook && bough_unhook(hooks[i].hook) != 0)
            return -1;
        hooks[i].hook = NULL;
    }
    return 0;
}

/* Installs the hooks first, because threads may call an interposed function at once. */
int bp_interpose(void)
{
    bp_find_interpreter();
    if (install_hooks() != 0)
        return -1;
    if (bough_interpose(NULL, 0) < 0)
        return (void)bp_error("cannot interpose libc's calls"), -1;
    return 0;
}

int bp_interpose_undo(void)
{
    if (bough_interpose_undo() < 0 || remove_hooks() != 0)
        return (void)bp_error("cannot restore every replaced function"), -1;
    return 0;
}

/* ---- opting in --------------------------------------------------------------------------------------------------- */

/* Undoes a step. An exception that is set stays set, even if this fails. */
static void take_back(int (*undo)(void))
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (undo() != 0)
        PyErr_WriteUnraisable(NULL);
    PyErr_Restore(type, value, trace);
}

static int restore_methods(void)
{
    bp_unwrap_locks();
    int error = bp_replace_finalizers(false);
    return bp_replace_errors(false) != 0 ? -1 : error;
}

/* Takes all steps or none. Tests make a step fail at the windows. */
static int opt_in_all(void)
{
    if (bp_replace_errors(true) != 0 || bp_replace_finalizers(true) != 0 || bp_wrap_locks() != 0 ||
        bp_window("opt in: methods are replaced") != 0) {
        take_back(restore_methods);
        return -1;
    }
    if (bp_interpose() != 0 || bp_window("opt in: calls are interposed") != 0) {
        take_back(bp_interpose_undo);
        take_back(restore_methods);
        return -1;
    }
    return 0;
}

static PyObject *opt_in(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (bp.opted_in)
        Py_RETURN_FALSE;
    if (opt_in_all() != 0)
        return NULL;
    bp_keep_stacks(true);
    bp.opted_in = true;
    Py_RETURN_TRUE;
}

/* The step that can fail comes first: a slot may be in a page that can't be made writable. If it fails, the slots
 * that were restored already are replaced again. */
static PyObject *opt_out(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (!bp.opted_in)
        Py_RETURN_FALSE;
    if (bp_interpose_undo() != 0) {
        take_back(bp_interpose);
        return NULL;
    }
    take_back(restore_methods);
    bp_keep_stacks(false);
    bp.opted_in = false;
    Py_RETURN_TRUE;
}

/* Needed because dlopen() can't be replaced in an interpreter that is a library with a search path (RUNPATH). */
static PyObject *rescan(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (bp.opted_in && install_hooks() != 0) /* hooks for objects that were not loaded yet */
        return NULL;
    if (bough_interpose_rescan() < 0)
        return bp_error("cannot interpose the objects that were loaded");
    Py_RETURN_NONE;
}

PyMethodDef bp_interpose_methods[] = {
    {"opt_in", opt_in, METH_NOARGS,
     PyDoc_STR("opt_in(): interpose calls, wrap methods, replace errors. False: that was done already.")},
    {"opt_out", opt_out, METH_NOARGS, PyDoc_STR("opt_out(): undo opt_in(). False: there was nothing to undo.")},
    {"rescan", rescan, METH_NOARGS, PyDoc_STR("rescan(): interpose the objects that were loaded since.")},
    {0},
};
