/* SPDX-License-Identifier: MIT */
/*
 * The Python frames of each thread of a process, read from outside: the interpreter does nothing for it, and may hold its GIL, hang
 * or be stopped. A process that runs changes its frames meanwhile, so a stack may be torn; each pointer, length and chain
 * is checked, and a process that damages its memory on purpose gets wrong lines for itself, and no more.
 */
#ifndef CLI_PYTHON_STACKS_H
#define CLI_PYTHON_STACKS_H

#include <stdio.h>
#include "find.h"
#include "layout.h"

enum { STACK_FRAMES = 200, STACK_FUNCTION = 128, STACK_FILE = 512, STACKS_WANTED = 256 };

struct py_frame {
    size_t function, file; /* in `text` */
    int line;              /* 0: not known */
    bool is_package;       /* the code is of the package `bough` */
    uint64_t loop;         /* an address in the C frame that executes it; 0: not known */
};

struct py_thread {
    uint64_t state; /* the address of its PyThreadState */
    pid_t own;      /* its id, as the process has it */
    bool has_gil;
    bool is_cut;         /* there are more frames than wanted, or the next one can't be read */
    size_t first, count; /* in `frame`, the innermost one first */
};

struct stacks {
    bool is_lines; /* to be set before: only the innermost frames are wanted, down to one that is not the package's */
    /* To be set before: of how many threads the frames are read at once, in turn, besides those that are wanted (their
     * ids). The others keep the frames of the reading before, where they were in it. 0: of all. */
    size_t at_once, wanteds;
    pid_t wanted[STACKS_WANTED];
    size_t turn;
    struct stacks *before;
    bool is_python;
    char why[256]; /* what is missing, and what to do; "" */
    uint32_t version;
    struct py_thread *thread;
    size_t threads;
    struct py_frame *frame;
    size_t frames;
    char *text;
    size_t text_size, thread_room, frame_room, text_room;
    pid_t pid; /* the process that `place` is of; 0: none yet */
    struct runtime_place place;
};

/* Of a process. Nothing is read if it has no interpreter. `s` is zeroed, or was read before: then its memory is used again, and the
 * interpreter is not looked for. */
void stacks_read(struct stacks *s, pid_t pid);
/* Forget what was read, but for the frames that the next reading keeps. */
void stacks_renew(struct stacks *s);
/* The same as stacks_read() from any memory, by the address of _PyRuntime. */
void stacks_walk(struct stacks *s, struct memory *m, uint64_t runtime, uint32_t version);
void stacks_free(struct stacks *s);

/* NULL: the thread runs no Python code, or is not known to the interpreter. */
const struct py_thread *stacks_thread(const struct stacks *s, pid_t own);
/* The innermost frame that is not the package's, or the innermost one; NULL: there is none. */
const struct py_frame *stacks_innermost(const struct stacks *s, const struct py_thread *t);

/* The line of a code object for an offset of its instructions; 0: it has none. */
int stacks_line(struct memory *m, const struct layout *l, uint64_t code, int64_t at);
/* A str as UTF-8, always terminated. False: it is none. */
bool stacks_string(struct memory *m, const struct layout *l, uint64_t object, char *text, size_t size);

#endif
