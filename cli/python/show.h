/* SPDX-License-Identifier: MIT */
/* Python stacks as text and as JSON. */
#ifndef CLI_PYTHON_SHOW_H
#define CLI_PYTHON_SHOW_H

#include "json.h"
#include "stacks.h"
#include "view.h"

/* The lines of one thread, by its own id; nothing if it runs no Python code. */
void python_put_stack(FILE *out, const struct stacks *s, pid_t own);
/* For a line of the tree: the innermost frame, and whether the thread holds the GIL. */
void python_put_line(FILE *out, const struct stacks *s, pid_t own);
void python_line_as_json(struct json *j, const char *key, const struct stacks *s, pid_t own);
/* What is missing, as one paragraph; nothing if all is there. */
void python_put_problem(FILE *out, const struct stacks *s);
/* All of them, where no dump has the threads. */
void python_put_all(FILE *out, const struct stacks *s);
/* null if the process has no interpreter. */
void python_as_json(struct json *j, const char *key, const struct stacks *s, const struct view *v);

#endif
