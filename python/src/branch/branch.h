/* SPDX-License-Identifier: MIT */
/* The interface between the files for a branch's Python object (branch_object.c), its beginning and end (branch.c), its
 * children (child.c) and `with` (branch_context.c). */
#ifndef BP_BRANCH_H
#define BP_BRANCH_H

#include "base/state.h"

#include <sys/types.h>

struct bp_branch {
    bough_branch *handle;
    struct bp_thread *owner;
    struct bp_region *around; /* the innermost region that was open before the branch */
    unsigned forks;           /* bp_forks() of the process in which `running` counts the children */
    bool ended, interrupted;  /* set by bp_branch_end(), as `result` is */
    bool waits;               /* main is in bp_branch_wait() */
    int result;
    _Atomic int users; /* the branch itself and its children */
    _Atomic uint32_t running;
};

/* The object bough.Branch or bough.CancelScope. Its class is written in Python, and has the methods that are needed
 * when something fails. Fields that only these methods need are NULL until then. */
struct bp_branch_object {
    PyObject_HEAD
    PyObject *weak_references, *dictionary;
    struct bp_branch *branch;      /* NULL until the block is entered */
    struct bp_thread *opened_by;   /* the thread whose list has the block, from its beginning to its end; NULL: none */
    struct bp_branch_object *next; /* in that list: the block that was opened before */
    unsigned long ident;           /* of the thread that has entered the block */
    bool open;                     /* from the block's beginning to its end, and not given up */
    /* The interpreter reads these as C's type char. */
    char strict, supervisor;
    char interrupted, stopped, timed_out;        /* interrupts of this branch that have ended the body or a child */
    char inherited, ended_with_main;             /* opened by the process that has forked; ended when main did */
    PyObject *name, *limit, *timeout, *deadline; /* as the caller gave them */
    PyObject *failures, *errors, *children;      /* [exception], [(exception, its child)], {running children} */
    PyObject *slots, *where;                     /* for a limited number of children; where they were interrupted */
    PyObject *in, *left_by, *from_outside;       /* the child that entered the block; interrupts from further out */
    /* Only of a scope: scope.c. */
    char scope;                           /* enum bp_scope */
    char asynchronous, sets_asynchronous; /* as the caller gave it; in force now */
    char was_asynchronous;                /* the thread's setting before the block, to be restored after it */
    char cancelled;                       /* by cancel() or the deadline */
    char caught, used;                    /* its exception was swallowed; it was entered, or used as a decorator */
    bough_time ends_at;                   /* on the library's clock; 0: never */
    PyObject *reason;                     /* of a cancel() before the scope was entered */
    PyObject *due;                        /* the deadline for Python code, once that has read or set it */
};

enum bp_scope { BP_NO_SCOPE, BP_FAIL, BP_MOVE_ON };

/* ---- branch_users.c ----------------------------------------------------------------------------------- */

/* Release one user's reference. */
void bp_branch_release(struct bp_branch *b);
/* In a forked process, set the number of running children to 0: the parent's children do not exist here. */
void bp_branch_here(struct bp_branch *b);
/* The number of forks between the first process that has imported the package and this one. */
unsigned bp_forks(void);
/* Begin counting forks. -1 with an exception. */
int bp_count_forks(void);

/* ---- open_branches.c ---------------------------------------------------------------------------------- */

/* The type Block, the base of branches and scopes; made by branch_object.c. */
extern PyTypeObject *bp_block_type;
/* The branch of an object. NULL with an exception: the object is no Branch, or was not entered. */
struct bp_branch *bp_branch_of(PyObject *object);
/* Clear the thread's list of open branches. */
void bp_branches_forget(struct bp_thread *t);
/* Add the block to the thread's list, or remove it from its list. */
void bp_branch_list(struct bp_branch_object *o, struct bp_thread *t);
void bp_branch_unlist(struct bp_branch_object *o);

/* ---- branch_object.c ---------------------------------------------------------------------------------- */

/* Is the timeout a valid number of seconds without further checks by Python code? */
bool bp_is_good_timeout(PyObject *timeout);
int bp_branch_init(PyObject *module);

/* The object bough.Child, whose class is written in Python, too. */
struct bp_child_object {
    PyObject_HEAD
    PyObject *weak_references, *dictionary;
    PyObject *name, *outcome, *result, *exception;
    PyObject *raised_text; /* the text of the exception, once the block has raised it: then `exception` is None */
    PyObject *owner;       /* a weak reference to the child's branch */
    PyObject *above;       /* the child in which the branch was entered */
    PyObject *function, *args, *keywords, *context; /* NULL once the child has begun */
    PyObject *closing, *posted, *ended;             /* lists; an Event for joining threads. NULL until needed */
    struct bp_branch *runs_in;
    uintptr_t handle, branch_handle; /* handles of the library; 0: the child was not started, the branch not entered */
    unsigned long ident, native_id;  /* 0 until the child runs */
    unsigned forks;                  /* bp_forks() when the child began */
    int process;                     /* the process in which the child was added */
    char over;
};

/* ---- child_object.c ----------------------------------------------------------------------------------- */

/* A new object of the class in _child.py, with all fields zero. NULL with an exception. */
struct bp_child_object *bp_child_new(void);
/* The child that the calling code runs in, or None: a new reference. */
PyObject *bp_current_child(void);
/* Remove a child that has ended, or never started, from its branch. -1 with an exception. */
int bp_child_forget(struct bp_child_object *c);
/* Drop the child's function, its arguments and its context. */
void bp_child_drop_call(struct bp_child_object *c);
int bp_child_init(PyObject *module);

/* ---- child.c ------------------------------------------------------------------------------------------ */

/* Start a child. Returns 0, also if an interrupt of the branch has prevented the start: then the child has no handle.
 * -1 with an exception. */
int bp_child_start(struct bp_branch *b, struct bp_child_object *c, const char *name);

/* ---- branch.c ----------------------------------------------------------------------------------------- */

/* Open a branch and opt in. -1 with an exception; the branch may be open then. */
int bp_branch_open(struct bp_branch_object *o, const char *label, bough_time deadline);
/* Wait until no child runs. -1 with the exception of a signal's handler. */
int bp_branch_wait(struct bp_branch *b);
/* End the regions that were entered in the branch and are still open. Returns their number; -1 with an exception. */
long bp_branch_leave_regions(struct bp_branch *b);
/* End the branch and store its result and `interrupted` in `b`. Called by the owner. -1 with an exception. */
int bp_branch_end(struct bp_branch *b);

/* ---- child_add.c -------------------------------------------------------------------------------------- */

/* The branch's method add(). */
PyObject *bp_branch_add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

/* ---- branch_context.c --------------------------------------------------------------------------------- */

/* Open the block. -1 with an exception: the block is not open then. */
int bp_branch_enter(struct bp_branch_object *o);
/* End the block; `error` is the exception that has left it, or None. Returns a new reference; True: `error` is
 * swallowed. NULL with an exception. */
PyObject *bp_branch_leave(struct bp_branch_object *o, PyObject *error);
/* __enter__ and __exit__; add() */
extern PyMethodDef bp_block_with[], bp_branch_adds[];

/* ---- scope_block.c ------------------------------------------------------------------------------------ */

/* May the calling code enter the scope? -1 with an exception. */
int bp_scope_may_enter(struct bp_branch_object *o);
/* The calling thread has opened the scope. -1 with an exception. */
int bp_scope_begins(struct bp_branch_object *o);
/* The scope's block was left: restore the setting for asynchronous interrupts. */
void bp_scope_ends(struct bp_branch_object *o);
/* The scope is about to be freed. Warns if it was never used. */
void bp_scope_dropped(struct bp_branch_object *o);

/* ---- scope.c ------------------------------------------------------------------------------------------ */

/* A new scope with the same limit as `o`. NULL with an exception. */
struct bp_branch_object *bp_scope_again(const struct bp_branch_object *o, PyObject *name);
int bp_scope_init(PyObject *module);

#endif
