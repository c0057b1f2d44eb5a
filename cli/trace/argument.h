/* SPDX-License-Identifier: MIT */
/* The main argument of a recorded call, as text. */
#ifndef CLI_TRACE_ARGUMENT_H
#define CLI_TRACE_ARGUMENT_H

#include "trace/build.h"

/* `text`: `length` arbitrary bytes. `process`: the process whose branches the value refers to. */
struct argument {
    unsigned call, kind;
    uint64_t value;
    const char *text;
    size_t length;
    uint32_t process;
};
const char *argument_text(struct builder *b, const struct argument *a);

#endif
