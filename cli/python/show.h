/* SPDX-License-Identifier: MIT */
/* Python stacks as text and as JSON. */
#ifndef CLI_PYTHON_SHOW_H
#define CLI_PYTHON_SHOW_H

#include "json.h"
#include "mixed.h"
#include "view.h"

/* The lines of one thread, by its id in its PID namespace; nothing if it runs no Python code. `indent`: that of
 * "stack", here and below. */
void python_put_stack(FILE *out, const struct stacks *s, pid_t own, int indent);
/* The Python frames before a line of a thread in a dump, and the remaining frames after the thread's lines. */
void python_put_before(FILE *out, struct mixed *m, const char *line, int indent);
void python_put_left(FILE *out, const struct mixed *m, int indent);
/* For a line of the tree: the innermost frame that is not the package's, and whether the thread holds the GIL. */
void python_put_line(FILE *out, const struct stacks *s, pid_t own);
/* The frame and the GIL, as above, for a short line: the file's name has no folders. */
void python_put_short_line(FILE *out, const struct stacks *s, pid_t own);
void python_line_as_json(struct json *j, const char *key, const struct stacks *s, pid_t own);
/* The reason why stacks are missing, as one paragraph; nothing if all are there. */
void python_put_problem(FILE *out, const struct stacks *s);
/* The stacks of all threads, if there is no dump that lists the threads. */
void python_put_all(FILE *out, const struct stacks *s);
/* The stacks as JSON; null if the process has no interpreter. */
void python_as_json(struct json *j, const char *key, const struct stacks *s, const struct view *v);

#endif
