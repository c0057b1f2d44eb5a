/* SPDX-License-Identifier: MIT */
/* A branch, between the files that hold its Python object (branch_object.c), open and end it (branch.c), run its
 * children (child.c) and make `with` of it (branch_context.c). */
#ifndef BP_BRANCH_H
#define BP_BRANCH_H

#include "base/state.h"

#include <sys/types.h>

struct bp_branch {
    bough_branch *handle;
    struct bp_thread *owner;
    struct bp_region *around; /* the innermost one that was open before it */
    unsigned forks;           /* after a fork its children are not here */
    bool ended, interrupted;  /* by branch_end(), whose result is kept */
    int result;
    _Atomic int users; /* the branch itself and its children */
    _Atomic uint32_t running;
};

/* Python's object: bough.Branch, whose class is Python and has the methods that are needed when a child is added or
 * something fails. What such code needs is NULL until then. */
struct bp_branch_object {
    PyObject_HEAD
    PyObject *weak_references, *dictionary;
    struct bp_branch *branch;      /* NULL until it is entered */
    struct bp_thread *opened_by;   /* in whose list it is: from its begin to its end; NULL: in none */
    struct bp_branch_object *next; /* of that list: opened before it */
    unsigned long ident;           /* of the thread that has entered it */
    bool open;                     /* from its begin to its end, and not given up */
    /* Of C's type char, as the interpreter reads them. */
    char strict, supervisor;
    char interrupted, stopped, timed_out;        /* what of its own has ended the body, or a child */
    char inherited, ended_with_main;             /* opened by the process that has forked; ended when main did */
    PyObject *name, *limit, *timeout, *deadline; /* as they are given */
    PyObject *failures, *errors, *children;      /* [exception], [(exception, its child)], {those that run} */
    PyObject *slots, *where;                     /* for a limited number of children; where they were interrupted */
    PyObject *in, *left_by, *from_outside;       /* the child that has entered it; interrupts from further out */
    /* Of a scope: scope.c. */
    char scope;                           /* enum bp_scope */
    char asynchronous, sets_asynchronous; /* as it is given; in force now */
    char was_asynchronous;                /* what it is to be after the block */
    char cancelled, caught, used;         /* by cancel() or the deadline; an exception of it; entered, or a decorator */
    bough_time ends_at;                   /* on the library's clock; 0: never */
    PyObject *reason;                     /* of a cancel() before it was entered */
    PyObject *due;                        /* its deadline for Python code, once it was asked for or set */
};

enum bp_scope { BP_NO_SCOPE, BP_FAIL, BP_MOVE_ON };

/* ---- branch_users.c ----------------------------------------------------------------------------------- */

/* One user less. */
void bp_branch_release(struct bp_branch *b);
/* In this process: after a fork the parent's children are not here. */
void bp_branch_here(struct bp_branch *b);
/* How many lie between the first process that has imported the package and this one. */
unsigned bp_forks(void);
/* From here on they are counted. -1 with an exception. */
int bp_count_forks(void);

/* ---- open_branches.c ---------------------------------------------------------------------------------- */

/* Block, which branch_object.c makes: what branches and scopes have in common. */
extern PyTypeObject *bp_block_type;
/* NULL with an exception: it is no branch, or was not entered. */
struct bp_branch *bp_branch_of(PyObject *object);
/* No more: those that the thread has open are in no list. */
void bp_branches_forget(struct bp_thread *t);
void bp_branch_list(struct bp_branch_object *o, struct bp_thread *t);
void bp_branch_unlist(struct bp_branch_object *o);

/* ---- branch_object.c ---------------------------------------------------------------------------------- */

/* What has a deadline is a number of seconds that needs no second look. */
bool bp_is_good_timeout(PyObject *timeout);
int bp_branch_init(PyObject *module);

/* Python's object: bough.Child, whose class is Python as a branch's is. */
struct bp_child_object {
    PyObject_HEAD
    PyObject *weak_references, *dictionary;
    PyObject *name, *outcome, *result, *exception;
    PyObject *raised_text; /* of the exception, once the block has raised it: then `exception` is None */
    PyObject *owner;       /* a weak reference to its branch */
    PyObject *above;       /* the child that the branch was entered in */
    PyObject *function, *args, *keywords, *context; /* until it begins */
    PyObject *closing, *posted, *ended;             /* lists; an Event for those who join it. NULL until needed */
    struct bp_branch *runs_in;
    uintptr_t handle, branch_handle; /* of the library's; 0: it does not run yet */
    unsigned long ident, native_id;  /* 0 until it runs */
    unsigned forks;                  /* when it began */
    int process;                     /* in which it was added */
    char over;
};

/* ---- child_object.c ----------------------------------------------------------------------------------- */

/* One of _child.py's class, all of whose fields are zero. NULL with an exception. */
struct bp_child_object *bp_child_new(void);
/* The one that the calling code runs in, or None: a new reference. */
PyObject *bp_current_child(void);
/* It has ended, or never started: its branch knows it no more. -1 with an exception. */
int bp_child_forget(struct bp_child_object *c);
void bp_child_drop_call(struct bp_child_object *c);
int bp_child_init(PyObject *module);

/* ---- child.c ------------------------------------------------------------------------------------------ */

/* Runs it. 0, also if the branch is marked and nothing was started: then it has no handle. -1 with an exception. */
int bp_child_start(struct bp_branch *b, struct bp_child_object *c, const char *name);

/* ---- branch.c ----------------------------------------------------------------------------------------- */

/* Opens it: takes part. -1 with an exception; then it may be open. */
int bp_branch_open(struct bp_branch_object *o, const char *label, bough_time deadline);
/* Until no child runs. -1 with the exception of a signal's handler. */
int bp_branch_wait(struct bp_branch *b);
/* Ends the regions that were entered in it and are open still. How many; -1 with an exception. */
long bp_branch_leave_regions(struct bp_branch *b);
/* Its result and `interrupted` are in `b` then. -1 with an exception. By the owner. */
int bp_branch_end(struct bp_branch *b);

/* ---- child_add.c -------------------------------------------------------------------------------------- */

/* The branch's method add(). */
PyObject *bp_branch_add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

/* ---- branch_context.c --------------------------------------------------------------------------------- */

/* Opens the block. -1 with an exception: it is not open. */
int bp_branch_enter(struct bp_branch_object *o);
/* Ends it; `error` is what it was left by, or None. True: that is swallowed. NULL with an exception. A new
 * reference. */
PyObject *bp_branch_leave(struct bp_branch_object *o, PyObject *error);
/* __enter__ and __exit__; add() */
extern PyMethodDef bp_block_with[], bp_branch_adds[];

/* ---- scope_block.c ------------------------------------------------------------------------------------ */

/* May the calling code enter it? -1 with an exception. */
int bp_scope_may_enter(struct bp_branch_object *o);
/* It is open, by the calling thread, from here on. -1 with an exception. */
int bp_scope_begins(struct bp_branch_object *o);
/* Its block is left: code behind it is interrupted as code before it was. */
void bp_scope_ends(struct bp_branch_object *o);
/* It is about to be freed. Warns if nobody has used it. */
void bp_scope_dropped(struct bp_branch_object *o);

/* ---- scope.c ------------------------------------------------------------------------------------------ */

/* One more with the same limit, which has not been entered. NULL with an exception. */
struct bp_branch_object *bp_scope_again(const struct bp_branch_object *o, PyObject *name);
int bp_scope_init(PyObject *module);

#endif
