/* SPDX-License-Identifier: MIT */
/* Python stacks as text and as JSON. */
#ifndef CLI_PYTHON_SHOW_H
#define CLI_PYTHON_SHOW_H

#include "json.h"
#include "mixed.h"
#include "view.h"

/* The lines of one thread, by its own id; nothing if it runs no Python code. `indent`: that of "stack", here and below.
 * */
void python_put_stack(FILE *out, const struct stacks *s, pid_t own, int indent);
/* In a dump, for each line of a thread: the Python frames before it; and behind the thread's lines those that are left.
 * */
void python_put_before(FILE *out, struct mixed *m, const char *line, int indent);
void python_put_left(FILE *out, const struct mixed *m, int indent);
/* For a line of the tree: the innermost frame that is not the package's, and whether the thread holds the GIL. */
void python_put_line(FILE *out, const struct stacks *s, pid_t own);
/* The same for a short line: without the folders of the file. */
void python_put_short_line(FILE *out, const struct stacks *s, pid_t own);
void python_line_as_json(struct json *j, const char *key, const struct stacks *s, pid_t own);
/* The reason why stacks are missing, as one paragraph; nothing if all are there. */
void python_put_problem(FILE *out, const struct stacks *s);
/* All of them, where no dump has the threads. */
void python_put_all(FILE *out, const struct stacks *s);
/* null if the process has no interpreter. */
void python_as_json(struct json *j, const char *key, const struct stacks *s, const struct view *v);

#endif
