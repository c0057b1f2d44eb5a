/* SPDX-License-Identifier: MIT */
/* Where an interpreter's state lies in a process: from the ELF file of the interpreter, or of its library, as the process maps it. */
#ifndef CLI_PYTHON_FIND_H
#define CLI_PYTHON_FIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runtime_place {
    uint64_t runtime;   /* the address of _PyRuntime */
    uint64_t version;   /* that of Py_Version; 0: there is none */
    char package[1024]; /* the folder of the package `bough`, with its last slash; "": not loaded */
};

/* False: it has no interpreter of 3.11 or newer, or its file can't be read. */
bool find_runtime(struct runtime_place *place, pid_t pid);
/* The same in one file, whose first byte is mapped at `base`. */
bool find_runtime_in(struct runtime_place *place, int fd, uint64_t base);

#endif
