/* SPDX-License-Identifier: MIT */
/* Where an interpreter's state is in a process's memory, as the mapped ELF file of the interpreter or of its library
 * shows. */
#ifndef CLI_PYTHON_FIND_H
#define CLI_PYTHON_FIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runtime_place {
    uint64_t runtime;   /* the address of _PyRuntime */
    uint64_t version;   /* the address of Py_Version; 0: the file has no such symbol */
    char package[1024]; /* the folder of the package `bough`, with a slash at the end; "": not loaded */
};

/* False: the process has no interpreter of 3.11 or newer, or the file can't be read. */
bool find_runtime(struct runtime_place *place, pid_t pid);
/* Look for the interpreter in one file, whose first byte is mapped at `base`. */
bool find_runtime_in(struct runtime_place *place, int fd, uint64_t base);

#endif
