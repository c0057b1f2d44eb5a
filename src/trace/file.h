/* SPDX-License-Identifier: MIT */
/* The recording's file. Only src/trace includes this. */
#ifndef BO_TRACE_FILE_H
#define BO_TRACE_FILE_H

#include <stdbool.h>
#include "trace/chunk.h"
#include "trace/recorder.h"

/* Open and map the wanted file, or a file in memory, and fill in `r`. The file is new, or another process records to it
 * at the moment (wish->joined). 0, or an error number, with the reason in `why`. */
int bo_trace_file_open(struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why, unsigned size);
/* Allocate blocks on the disk for the chunks up to and including this one, so that no access fails for lack of blocks.
 * False: the disk is full; from now on only the chunks that have blocks are used. [signal] */
bool bo_trace_file_grow(struct bo_trace_recording *r, uint32_t chunk);
/* Why the recording is limited: a text for the operator, returned once. NULL: there is nothing to report. */
const char *bo_trace_file_complaint(void);
/* The file's descriptor, or -1 if the program has closed it; and whether another process has locked the file. */
int bo_trace_file_descriptor(void);
bool bo_trace_file_is_locked(void);
/* Called when the recording is over: from now on threads write to memory without a file. */
void bo_trace_file_close(struct bo_trace_recording *r);
/* Close the descriptor, if there is one. */
void bo_trace_file_forget(void);

#endif
