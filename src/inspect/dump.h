/* SPDX-License-Identifier: MIT */
/*
 * The dump: everything that can be seen of this process, written by a thread that may be the only one that still works
 * (rule 41). It takes no lock, allocates no memory, and each wait is limited; slots may change, or be damaged, while
 * they are read.
 *
 * Only one dump at a time has room for the tree and the stacks. A second one, perhaps in a signal handler that
 * interrupts the first, states that and contains the rest.
 */
#ifndef BO_INSPECT_DUMP_H
#define BO_INSPECT_DUMP_H

#include <stdint.h>

enum bo_dump_flags {
    BO_DUMP_FATAL = 1, /* the process is about to die: running threads are asked for their stacks, by a signal */
    BO_DUMP_ONE = 2    /* only the calling thread */
};

/* Returns 0; -1 with write's errno, EAGAIN if the descriptor accepted nothing in time. [signal] */
int bo_dump(int fd, unsigned flags);
/*
 *   why     a line for its head; NULL
 *   until   CLOCK_MONOTONIC, or BO_FOREVER: the process may end then. Details for which there is no time are left out,
 *           and the dump mentions that
 *   work    increases while the dump is written; NULL
 */
struct bo_dump_order {
    unsigned flags;
    const char *why;
    int64_t until;
    _Atomic uint32_t *work;
};
int bo_dump_by(int fd, const struct bo_dump_order *order);

#endif
