/* SPDX-License-Identifier: MIT */
/*
 * The dump: all that can be seen of this process, written by a thread that may be the only one that still works
 * (rule 41). No lock, no memory, no waiting without an end; slots may change, or be garbage, while they are read.
 *
 * One dump at a time has the room for the tree and the stacks. Another that begins meanwhile, perhaps in a signal
 * handler on top of the first, says so and shows the rest.
 */
#ifndef BO_INSPECT_DUMP_H
#define BO_INSPECT_DUMP_H

enum bo_dump_flags {
    BO_DUMP_FATAL = 1 /* the process is about to die: running threads are asked for their stacks, by a signal */
};

/* 0; -1 with write's errno, EAGAIN where the descriptor took nothing in time. [signal] */
int bo_dump(int fd, unsigned flags);
/* `why`: a line for its head; NULL. */
int bo_dump_because(int fd, unsigned flags, const char *why);

#endif
