/* SPDX-License-Identifier: MIT */
/* The library's output raises no signal in the program: neither SIGPIPE nor SIGTTOU, nor SIGXFSZ at a limit of file sizes
 * (RLIMIT_FSIZE), whose default action ends the process. */
#ifndef BO_BASE_QUIET_H
#define BO_BASE_QUIET_H

#include <stdint.h>

struct bo_quiet {
    uint64_t mask;   /* the caller's */
    uint64_t waited; /* the signals that were pending before */
};

/* Block these signals for the calling thread. [signal] */
void bo_quiet_begin(struct bo_quiet *q);
/* Remove what the writes since then have raised, and restore the mask. `error`: with which the last of them has failed;
 * 0: none has. [signal] */
void bo_quiet_end(const struct bo_quiet *q, int error);

#endif
