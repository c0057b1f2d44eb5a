/* SPDX-License-Identifier: MIT */
/*
 * The Python frames of each thread of a process, read from outside. The interpreter does nothing for that, and may hold
 * its GIL, hang or be stopped. A process that runs changes its frames meanwhile, so a stack may be torn. Each pointer,
 * length and chain is checked: a process that damages its memory on purpose only gets wrong lines.
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
    bool is_package;       /* the code belongs to the package `bough` */
    uint64_t loop;         /* an address in the C frame that executes this frame; 0: not known */
};

struct py_thread {
    uint64_t state; /* the address of its PyThreadState */
    pid_t own;      /* its id in the process's PID namespace */
    bool has_gil;
    bool is_cut;         /* there are more frames than wanted, or the next one can't be read */
    size_t first, count; /* in `frame`, the innermost one first */
};

struct stacks {
    /* Set by the caller: only the innermost frames are wanted, up to the first that is not the package's. */
    bool is_lines;
    /* Set by the caller: of how many threads a reading reads the frames, in turn, besides those in `wanted` (their
     * ids). The other threads keep their frames of the last reading, if they had any. 0: of all threads. */
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
    pid_t pid; /* the process that `place` was found in; 0: none yet */
    struct runtime_place place;
};

/* Read the stacks of a process; nothing if it has no interpreter. `s` is zeroed, or has an earlier reading: then its
 * memory is used again, and the interpreter is not looked for again. */
void stacks_read(struct stacks *s, pid_t pid);
/* Forget what was read, except the frames that the next reading may keep. */
void stacks_renew(struct stacks *s);
/* Read the stacks from any memory, by the address of _PyRuntime. */
void stacks_walk(struct stacks *s, struct memory *m, uint64_t runtime, uint32_t version);
void stacks_free(struct stacks *s);

/* NULL: the thread runs no Python code, or has no PyThreadState. */
const struct py_thread *stacks_thread(const struct stacks *s, pid_t own);
/* The innermost frame that is not the package's, or the innermost one; NULL: there is none. */
const struct py_frame *stacks_innermost(const struct stacks *s, const struct py_thread *t);

/* The source line of an offset in a code object's instructions; 0: the instruction has no line. */
int stacks_line(struct memory *m, const struct layout *l, uint64_t code, int64_t at);
/* A str as UTF-8, always terminated. False: the object is no str, or can't be read. */
bool stacks_string(struct memory *m, const struct layout *l, uint64_t object, char *text, size_t size);

#endif
