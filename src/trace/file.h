/* SPDX-License-Identifier: MIT */
/* The recording's file. Only src/trace includes this. */
#ifndef BO_TRACE_FILE_H
#define BO_TRACE_FILE_H

#include <stdbool.h>
#include "trace/chunk.h"
#include "trace/recorder.h"

/* Open and map the file that is wished for, or a file in memory, and fill `r`: a new one, or one that another process
 * records to at the moment (wish->joined). 0, or an error number, with the reason in `why`. */
int bo_trace_file_open(struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why, unsigned size);
/* Get blocks on the disk for the chunks up to and including this one: so an access never fails for lack of them. False:
 * there are none; then no more chunks than those that have blocks are used from now on. [signal] */
bool bo_trace_file_grow(struct bo_trace_recording *r, uint32_t chunk);
/* Why the recording is limited, once: for the operator. NULL: it is not. */
const char *bo_trace_file_complaint(void);
/* The descriptor; -1 if the program has closed it. Whether another process has locked the file. */
int bo_trace_file_descriptor(void);
bool bo_trace_file_is_locked(void);
/* The recording is over: no thread writes to the file from now on, but to memory without a file. */
void bo_trace_file_close(struct bo_trace_recording *r);

#endif
