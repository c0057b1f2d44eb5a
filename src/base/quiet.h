/* SPDX-License-Identifier: MIT */
/* Output of the library that raises no signal in the program: neither SIGPIPE nor SIGTTOU, nor SIGXFSZ at a limit of
 * file sizes (RLIMIT_FSIZE), whose default action ends the process. */
#ifndef BO_BASE_QUIET_H
#define BO_BASE_QUIET_H

#include <stdint.h>

struct bo_quiet {
    uint64_t mask;   /* the caller's signal mask */
    uint64_t waited; /* the signals that were pending before */
};

/* Block these signals for the calling thread. [signal] */
void bo_quiet_begin(struct bo_quiet *q);
/* Remove the signals that the writes since then have raised, and restore the mask. `error`: that of the last failed
 * write; 0: no write has failed. [signal] */
void bo_quiet_end(const struct bo_quiet *q, int error);

#endif
