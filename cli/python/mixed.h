/* SPDX-License-Identifier: MIT */
/*
 * A thread's C stack and its Python stack as one. A dump has the C frames of a thread that waits; each was found as a
 * word on its stack. Each Python frame is executed by a call of the interpreter's loop, whose C frame contains an
 * address that stacks.c has found. So the order of the addresses is the order of the frames, and no names are needed.
 *
 *      a word in libc               dump: the C frame after which the thread returns
 *      a word in the loop           the next C frame: the loop
 *      the loop's local variable    the Python frames that it executes
 *      a word in the loop's caller
 *
 * The words are looked for again, because a dump has no addresses of stacks. If the thread has moved on meanwhile, the
 * words are not found, and the Python frames are printed after the C frames.
 */
#ifndef CLI_PYTHON_MIXED_H
#define CLI_PYTHON_MIXED_H

#include "attach.h"
#include "pid_ns.h"
#include "stacks.h"

enum { MIXED_MODULES = 512 };

struct mixed {
    const struct arena *arena;
    const struct stacks *python;
    struct pid_map ids; /* of a process in another PID namespace */
    int fd;             /* the process's memory; -1: it can't be read */
    struct memory memory;
    struct mixed_module {
        uint64_t base;
        char name[128];
    } module[MIXED_MODULES];
    unsigned modules;

    /* State for the present thread. */
    const struct py_thread *thread; /* NULL: it runs no Python code */
    uint64_t begin, at;             /* its stack pointer, and where the search for the next word begins; 0: lost */
    size_t next;                    /* the first Python frame that is not printed yet, from the innermost one on */
    unsigned frames;                /* C frames so far */
};

/* Read the modules of the dump, from the file's position to the dump's end; the position stays. NULL: out of memory. */
struct mixed *mixed_new(const struct arena *a, const struct stacks *python, FILE *dump);
void mixed_free(struct mixed *m);
/* The lines of a thread begin, by its id in its PID namespace; 0: the lines have ended. `m` may be NULL here and
 * below. */
void mixed_begin(struct mixed *m, pid_t own);
/* To be called for each line of the thread: returns how many Python frames to print before the line, from the old
 * `next` on, and moves `next` past them. */
size_t mixed_before(struct mixed *m, const char *line);

#endif
