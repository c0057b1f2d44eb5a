/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls of the interpreter and of everything that is loaded, through the library's interposer (bough/interpose.h).
 *
 * Each thread says which kinds of interrupts cut its calls:
 *
 *      a thread that did not opt in            none: its calls go straight to libc
 *      bough.Thread                            what was posted with raise_exc()
 *      ...with enable_io_interrupt, a branch's
 *      child or body                           everything
 *
 * Waits for condition variables, semaphores and threads are left to libc, by hooks: the interpreter's own, for its lock,
 * must never fail, and other C code mostly aborts if one does. Two sorts of semaphores may fail. The interpreter waits for
 * them on behalf of a lock's method, by a timeout, inside of the methods that lock_methods.c has wrapped and only there. And
 * multiprocessing's locks are semaphores, whose failing is an OSError as any other's.
 *
 * system() is left to libc, too: os.system() returns what it returned, so nobody would see that it was cut, and the processes
 * that its shell has started would live on. They can't be put into a process group: they belong to the terminal's foreground.
 */
#include "state.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <threads.h>
#include <time.h>

/* ---- which error a call fails with --------------------------------------------------------------------------- */

/* Of the interpreter, and of the libraries that its modules rely on: they pass on any error, and an OSError comes of it. */
static const char *const passes_on[] = {"/lib-dynload/",   "/libpython3", "/libssl.so", "/libcrypto.so",
                                        "/libreadline.so", "/libncurses", "/libtinfo"};
enum { PASS_ON = sizeof passes_on / sizeof *passes_on };

/* An object that is loaded. */
struct object {
    const void *place; /* identifies it */
    const char *path;
};

#ifdef DLFO_STRUCT_HAS_EH_DBASE /* glibc 2.35: takes no lock, and compares no symbols, which takes 10 us in the interpreter */
static bool find_object(const void *address, struct object *object)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    *object = (struct object){found.dlfo_link_map, found.dlfo_link_map->l_name};
    return true;
}
#else
static bool find_object(const void *address, struct object *object)
{
    Dl_info info;
    if (!dladdr(address, &info))
        return false;
    *object = (struct object){info.dli_fbase, info.dli_fname};
    return true;
}
#endif

/* Where the interpreter itself lies: a program or a library. */
static const void *interpreter;

static bool is_one_of(const char *path, const char *const *parts, int count)
{
    for (int i = 0; path && i < count; i++)
        if (strstr(path, parts[i]))
            return true;
    return false;
}

static bool passes_on_errors(const struct object *object)
{
    return object->place == interpreter || is_one_of(object->path, passes_on, PASS_ON);
}

/*
 * These modules, and the interpreter, raise an OSError right after each call that failed, as their source shows. The interrupt's
 * exception replaces that error, so no later error has to be recognised as the interrupt's: watching the instruction for one
 * (cause.c, watch.c) takes longer than the rest of an interrupt. Calls that look up a name are left out: other errors follow them.
 */
static const char *const raises_at_once[] = {"/lib-dynload/_socket.", "/lib-dynload/select.", "/lib-dynload/fcntl.",
                                             "/lib-dynload/_multiprocessing."};
enum { AT_ONCE = sizeof raises_at_once / sizeof *raises_at_once };

static bool raises(const struct object *object, const char *call)
{
    if (strncmp(call, "get", 3) == 0)
        return false;
    return object->place == interpreter || is_one_of(object->path, raises_at_once, AT_ONCE);
}

/*
 * The interpreter tries again after EINTR, so its calls fail with BP_CUT, and at once. All other code meets what C code does:
 * EINTR first, which extension modules answer with PyErr_CheckSignals(). A semaphore is a lock's (below), and a look at
 * readline's input begins again after any other error.
 */
static int choose(void *argument, const char *call, const void *site)
{
    struct bp_thread *t = argument;
    struct object object;
    t->raises = false;
    if (t->in_lock && strncmp(call, "sem_", 4) == 0)
        return ETIMEDOUT;
    if (t->in_readline)
        return EINTR;
    if (!find_object(site, &object) || !passes_on_errors(&object))
        return 0;
    t->raises = raises(&object, call);
    return BP_CUT;
}

/* ---- a call was cut ----------------------------------------------------------------------------------------- */

/* Runs on the thread, mostly without the GIL. If the record was cleared meanwhile, the interpreter and the lock's method try
 * again. */
static int on_interrupted(void *argument, const struct bough_cut *cut)
{
    struct bp_thread *t = argument;
    bool lock = t->in_lock && strncmp(cut->call, "sem_", 4) == 0;
    t->lock_cut |= lock;
    if (!cut->why)
        return lock || cut->error != BP_CUT ? 0 : EINTR;
    t->why = *cut->why;
    if (!lock && bp_look_begins()) {
        t->cut_at = bp_place(t);
        t->cut = true;
        if (!t->raises)
            bp_cause_cut(t);
        bp_look_ends();
    }
    return 0;
}

int bp_set_kinds(struct bp_thread *t, unsigned kinds)
{
    unsigned now = bp_callbacks_end_calls(t) ? kinds & BP_EXCEPTION_ONLY : kinds;
    struct bough_foreign ways = {
        .kinds = now, .grace = t->grace, .on_cut = on_interrupted, .argument = t, .choose = choose, .paced = 1};
    if (bough_foreign_set(now ? &ways : NULL) != 0)
        return (void)bp_error("cannot make this thread interruptible"), -1;
    t->kinds = kinds;
    return 0;
}

/* ---- waits that are the interpreter's own ------------------------------------------------------------------------ */

static int (*interruptible_wait)(sem_t *);
static int (*interruptible_clockwait)(sem_t *, clockid_t, const struct timespec *);
static int (*interruptible_timedwait)(sem_t *, const struct timespec *);

static bool for_a_lock(void)
{
    return bp_me && bp_me->in_lock;
}

static int own_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    return for_a_lock() ? interruptible_clockwait(sem, clock, until) : sem_clockwait(sem, clock, until);
}

static int own_sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return for_a_lock() ? interruptible_timedwait(sem, until) : sem_timedwait(sem, until);
}

static int process_sem_wait(sem_t *sem)
{
    return interruptible_wait(sem);
}

static int process_sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return interruptible_timedwait(sem, until);
}

/* ---- code that asks for signals when a call has failed ------------------------------------------------------------ */

/* An interruption point for an extension module, whether a call of its has failed or it only looks. */
static int check_signals(void)
{
    struct bp_thread *t = bp_me;
    if (t && t->cut && bp_meet(t) != 0)
        return -1;
    if (t && bough_foreign_check(&t->why) != 0 && bp_meet(t) != 0)
        return -1;
    return PyErr_CheckSignals();
}

static int (*interruptible_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);

/* Its only reason not to begin again is EINTR, and a signal whose handler raises. */
static int readline_select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout)
{
    struct bp_thread *t = bp_me;
    if (t)
        t->in_readline = true;
    int result = interruptible_select(count, in, out, other, timeout);
    if (t)
        t->in_readline = false;
    return result;
}

/* ---- the hooks ------------------------------------------------------------------------------------------------------ */

static int (*interruptible_poll)(struct pollfd *, nfds_t, int);

static bool is_cut_here(const struct bp_thread *t)
{
    if (!t || !t->cut || !bp_look_begins())
        return false;
    bool here = bp_is_cut_place(t);
    bp_look_ends();
    return here;
}

/* SSLSocket.unwrap() with a timeout ignores the failure of its poll(), and polls again. For it the time is over then. */
static int ssl_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    return is_cut_here(bp_me) ? 0 : interruptible_poll(polled, count, timeout);
}

/* The TimeoutError that it reports then. Not by the class, as other errors: up to 3.11 the object is made where it is caught, and
 * a TimeoutError that other code makes out there is not of this call. */
static void ssl_set_error(PyObject *type, const char *text)
{
    if (type == PyExc_TimeoutError && is_cut_here(bp_me) && bp_meet(bp_me) != 0)
        return;
    PyErr_SetString(type, text);
}

/* Ends early, without an error, if an interrupt is due: the caller asks whether one is. */
void bp_pause(int64_t ns)
{
    struct timeval time = {ns / 1000000000, ns % 1000000000 / 1000};
    if (interruptible_select)
        interruptible_select(0, NULL, NULL, NULL, &time);
    else
        nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

/* A wait of C code ends because of an interrupt, and an error is to come of that. Without the interpreter lock. */
bool bp_cut_here(void)
{
    struct bp_thread *t = bp_me;
    if (t && t->cut && !is_cut_here(t)) { /* that was another call, which has swallowed it */
        t->cut = false;
        bough_foreign_again();
    }
    if (!t || (!t->cut && bough_foreign_check(&t->why) == 0))
        return false;
    if (!t->cut && bp_look_begins()) {
        t->cut_at = bp_place(t);
        t->cut = true;
        bp_cause_cut(t);
        bp_look_ends();
    }
    return true;
}

static char interpreters_name[256]; /* of the object that the interpreter lies in: "" is the program */

static void name_interpreter(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(interpreters_name, sizeof interpreters_name, "%s", slash ? slash + 1 : path ? path : "");
}

/* In this order: of two that fit, the later one counts. */
static struct {
    const char *object, *symbol;
    bough_code *function, **original;
    bough_hook_t *hook;
} own[] = {
    {NULL, "pthread_cond_wait", (bough_code *)pthread_cond_wait, NULL, NULL},
    {NULL, "pthread_cond_timedwait", (bough_code *)pthread_cond_timedwait, NULL, NULL},
    {NULL, "pthread_cond_clockwait", (bough_code *)pthread_cond_clockwait, NULL, NULL},
    {NULL, "pthread_join", (bough_code *)pthread_join, NULL, NULL},
    {NULL, "cnd_wait", (bough_code *)cnd_wait, NULL, NULL},
    {NULL, "cnd_timedwait", (bough_code *)cnd_timedwait, NULL, NULL},
    {NULL, "thrd_join", (bough_code *)thrd_join, NULL, NULL},
    {NULL, "sem_wait", (bough_code *)sem_wait, (bough_code **)&interruptible_wait, NULL},
    {NULL, "sem_clockwait", (bough_code *)own_sem_clockwait, (bough_code **)&interruptible_clockwait, NULL},
    {NULL, "sem_timedwait", (bough_code *)own_sem_timedwait, (bough_code **)&interruptible_timedwait, NULL},
    {NULL, "system", (bough_code *)system, NULL, NULL},
    {NULL, "PyErr_CheckSignals", (bough_code *)check_signals, NULL, NULL},
    {NULL, "PyEval_SaveThread", (bough_code *)bp_save_thread, NULL, NULL},
    {NULL, "PyEval_RestoreThread", (bough_code *)bp_restore_thread, NULL, NULL},
    {NULL, "PyEval_AcquireThread", (bough_code *)bp_acquire_thread, NULL, NULL},
    {NULL, "PyGILState_Ensure", (bough_code *)bp_gilstate_ensure, NULL, NULL},
    {NULL, "PyErr_Clear", (bough_code *)bp_clear_error, NULL, NULL},
    {NULL, "PyErr_Print", (bough_code *)bp_print_error_as_ever, NULL, NULL},
    {NULL, "PyErr_PrintEx", (bough_code *)bp_print_error, NULL, NULL},
    {NULL, "PyErr_WriteUnraisable", (bough_code *)bp_write_unraisable, NULL, NULL},
    {interpreters_name, "fopen", (bough_code *)bp_fopen, (bough_code **)&bp_libc_fopen, NULL},
    {interpreters_name, "fopen64", (bough_code *)bp_fopen, (bough_code **)&bp_libc_fopen, NULL},
    {"_multiprocessing", "sem_wait", (bough_code *)process_sem_wait, NULL, NULL},
    {"_multiprocessing", "sem_timedwait", (bough_code *)process_sem_timedwait, NULL, NULL},
    {"_sqlite3", "sqlite3_busy_timeout", (bough_code *)bp_sqlite_busy_timeout, &bp_sqlite_timeout, NULL},
    {"_sqlite3", "sqlite3_sleep", (bough_code *)bp_sqlite_sleep, &bp_sqlite_slept, NULL},
    {"_sqlite3", "sqlite3_backup_step", (bough_code *)bp_sqlite_backup_step, &bp_sqlite_step, NULL},
    {"_ssl", "poll", (bough_code *)ssl_poll, (bough_code **)&interruptible_poll, NULL},
    {"_ssl", "PyErr_SetString", (bough_code *)ssl_set_error, NULL, NULL},
    {"readline", "select", (bough_code *)readline_select, (bough_code **)&interruptible_select, NULL},
};
enum { OWN = sizeof own / sizeof *own };

static int hook_own_waits(void)
{
    for (int i = 0; i < OWN; i++) {
        if (own[i].hook)
            continue;
        own[i].hook = bough_hook(own[i].object, own[i].symbol, own[i].function, own[i].original);
        if (!own[i].hook && errno != ENOENT)
            return (void)bp_error("cannot recognise the interpreter's internal waits"), -1;
    }
    return 0;
}

/* Up to the first that stays: what is put in again then stands before it, as it did. */
static int unhook_own_waits(void)
{
    for (int i = OWN - 1; i >= 0; i--) {
        if (own[i].hook && bough_unhook(own[i].hook) != 0)
            return -1;
        own[i].hook = NULL;
    }
    return 0;
}

/* The hooks first: from the moment on that something is interposed a thread may come. */
int bp_interpose(void)
{
    struct object object;
    bool found = find_object((const void *)(uintptr_t)PyErr_CheckSignals, &object);
    interpreter = found ? object.place : NULL;
    name_interpreter(found ? object.path : NULL);
    if (hook_own_waits() != 0)
        return -1;
    if (bough_interpose(NULL, 0) < 0)
        return (void)bp_error("cannot interpose libc's calls"), -1;
    return 0;
}

int bp_interpose_undo(void)
{
    if (bough_interpose_undo() < 0 || unhook_own_waits() != 0)
        return (void)bp_error("cannot restore every replaced function"), -1;
    return 0;
}

/* ---- opting in ----------------------------------------------------------------------------------------------------- */

/* The exception that is set stays the one that is reported, whatever fails while a step is taken back. */
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
    return bp_replace_errors(false);
}

/* All of it or nothing. The windows are where a test makes a step fail. */
static int opt_in_all(void)
{
    if (bp_replace_errors(true) != 0 || bp_wrap_locks() != 0 || bp_window("opt in: methods are replaced") != 0) {
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

/* What can fail comes first: an address that lies in a page that can't be made writable. Then the addresses that were put
 * back already are replaced again. */
static PyObject *opt_out(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (!bp.opted_in)
        Py_RETURN_FALSE;
    if (bp_interpose_undo() != 0) {
        take_back(bp_interpose);
        return NULL;
    }
    restore_methods();
    bp_keep_stacks(false);
    bp.opted_in = false;
    Py_RETURN_TRUE;
}

/* Where the interpreter is a library with a search path of its own, its dlopen() can't be watched. */
static PyObject *rescan(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (bp.opted_in && hook_own_waits() != 0) /* those of objects that were not loaded yet */
        return NULL;
    if (bough_interpose_rescan() < 0)
        return bp_error("cannot interpose the objects that were loaded");
    Py_RETURN_NONE;
}

/* 0 none, 1 what is raised in it, 2 everything. */
static PyObject *takes_part(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    unsigned kinds = bough_foreign() && bp_me ? bp_me->kinds : 0;
    return PyLong_FromLong(!kinds ? 0 : kinds == BP_EXCEPTION_ONLY ? 1 : 2);
}

/* Within a region that takes part already. */
static PyObject *set_taking_part(PyObject *module, PyObject *all)
{
    struct bp_thread *t = bp_self();
    int yes = PyObject_IsTrue(all);
    (void)module;
    if (!t || yes < 0 || bp_set_kinds(t, yes ? BP_ALL_KINDS : BP_EXCEPTION_ONLY) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* For a function of the interpreter that returns what its call returned. */
static PyObject *meet_cut(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (bp_cut_here() && bp_meet(bp_me) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* For tests: 5 s are long. */
static PyObject *set_grace(PyObject *module, PyObject *seconds)
{
    struct bp_thread *t = bp_self();
    double s = PyFloat_AsDouble(seconds);
    (void)module;
    if (!t || PyErr_Occurred())
        return NULL;
    t->grace = (int64_t)(s * 1e9);
    if (bp_set_kinds(t, t->kinds) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* For tests: as if C code had swallowed the error of a call that was cut. */
static PyObject *pretend_cut(PyObject *module, PyObject *none)
{
    struct bp_thread *t = bp_self();
    (void)module, (void)none;
    if (!t)
        return NULL;
    t->cut_at = bp_place(t);
    t->cut = true;
    Py_RETURN_NONE;
}

PyMethodDef bp_interpose_methods[] = {
    {"set_grace", set_grace, METH_O, PyDoc_STR("set_grace(seconds): for how long it is left alone; 0: 5 s.")},
    {"meet_cut", meet_cut, METH_NOARGS,
     PyDoc_STR("meet_cut(): raise the interrupt by which a call has ended, if one has.")},
    {"pretend_cut", pretend_cut, METH_NOARGS, PyDoc_STR("pretend_cut(): a call was cut, and its error swallowed.")},
    {"set_taking_part", set_taking_part, METH_O,
     PyDoc_STR(
         "set_taking_part(all): do all interrupts cut the calling thread's blocking calls, or raise_exc()'s only?")},
    {"opt_in", opt_in, METH_NOARGS,
     PyDoc_STR("opt_in(): interpose, wrap, replace. Whether that was still to be done.")},
    {"opt_out", opt_out, METH_NOARGS, PyDoc_STR("opt_out(): everything as it was.")},
    {"rescan", rescan, METH_NOARGS, PyDoc_STR("rescan(): interpose what was loaded since.")},
    {"takes_part", takes_part, METH_NOARGS,
     PyDoc_STR("takes_part(): whose interrupts cut the calling thread's blocking calls: 0, 1 raise_exc()'s, 2 all.")},
    {0},
};
