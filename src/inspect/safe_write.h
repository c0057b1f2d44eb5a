/* SPDX-License-Identifier: MIT */
/*
 * Formats text where no lock, allocation or wait is allowed: in a signal handler, on the ticker's thread, while malloc
 * or stdio is stuck. The text goes to memory, or through a buffer to a descriptor.
 *
 * Writing stops if the descriptor accepts nothing for PATIENCE, and after LONGEST in any case, so a full pipe does not
 * block the writer for long. Only the time of the writes counts, and not the time between two writes, which is long
 * for a large dump on a busy machine. Writing raises no signal (base/quiet.h).
 */
#ifndef BO_INSPECT_SAFE_WRITE_H
#define BO_INSPECT_SAFE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/atomic.h"
#include "base/quiet.h"

/*
 *   fd         -1: into memory, always terminated; text that does not fit is truncated
 *   error      the first error of a write; nothing is written after it
 *   until      nothing is written after this time, on CLOCK_MONOTONIC, as `patience` and `longest`
 *   left       how long all writes together may still take
 *   patience   when to give up this write if nothing is accepted; `longest`: in any case
 *   work       increased by each write; NULL
 *   quiet      the caller's signals
 */
struct bo_out {
    char *buffer;
    size_t size, used;
    int fd, error;
    int64_t until, left, patience, longest;
    _Atomic uint32_t *work;
    struct bo_quiet quiet;
};

void bo_out_memory(struct bo_out *o, char *buffer, size_t size);
void bo_out_open(struct bo_out *o, int fd, char *buffer, size_t size);
/* Write the text in the buffer. */
void bo_out_flush(struct bo_out *o);
/* Write the rest and restore the signals. 0, or -1 with errno. */
int bo_out_close(struct bo_out *o);

/* Use only formats for integers and strings: others may allocate. */
void bo_put(struct bo_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "7.1 s", "130 ms" */
void bo_put_span(struct bo_out *o, int64_t ns);
/* Text from other code, made harmless (base/plain.h). */
void bo_put_name(struct bo_out *o, const char *name);

#endif
