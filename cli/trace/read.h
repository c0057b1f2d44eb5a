/* SPDX-License-Identifier: MIT */
/*
 * Reads a recording (docs/recording.md) into its model. The file is treated as hostile: nothing in it is used before it
 * is checked, and a damaged file is read as far as possible. Processes may be recording to the file at the moment: the
 * model may contain what they write meanwhile, but it never contains part of an event.
 */
#ifndef CLI_TRACE_READ_H
#define CLI_TRACE_READ_H

#include "trace/trace.h"

/* Returns 0, and the model, to be freed; -1 if the recording can't be read, with the reason on standard error. */
int trace_read(const char *file, struct trace *trace);
void trace_free(struct trace *trace);

#endif
