/* SPDX-License-Identifier: MIT */
/*
 * Reads a recording (docs/recording.md) into its model. The file is hostile: nothing in it is used before it is checked,
 * and a damaged one is read as far as it makes sense. Processes may be recording to it at the moment: what they write
 * meanwhile is in the model or is not, but no event is half there.
 */
#ifndef CLI_TRACE_READ_H
#define CLI_TRACE_READ_H

#include "trace/trace.h"

/* 0, and the model, to be freed; -1: it can't be read, which was reported to standard error. */
int trace_read(const char *file, struct trace *trace);
void trace_free(struct trace *trace);

#endif
