/* SPDX-License-Identifier: MIT */
/* Whether a program is a Python program, and which interpreter runs it. */
#ifndef CLI_PYTHON_H
#define CLI_PYTHON_H

#include <stdbool.h>
#include <stddef.h>

/* INTERPRETER OPTION... [HOW] ARGUMENT...: the first argument is the script, the module or the code. */
struct python {
    const char *interpreter;
    char **option;
    size_t options;
    const char *how; /* "-m", "-c"; NULL: a script */
    char **argument;
    size_t arguments;
};

/* Parse a program with its arguments, as they are typed: a script, a folder or an archive with a __main__.py, or an
 * interpreter with a script, -m or -c. False: it is no Python program, or an interpreter without anything to run. */
bool find_python(struct python *p, char **argv);

#endif
