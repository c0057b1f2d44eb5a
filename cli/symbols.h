/* SPDX-License-Identifier: MIT */
/*
 * Names for the addresses of a dump: the function, and the file and line if the source is known.
 *
 *      dump --symbols.c--> its modules and frames --fork--> resolver.c, confined --pipe--> names --> the output
 *
 * The dump, the files that it names and their debug information are another process's, or another user's. So libdw
 * reads them in a child that can open, send and execute nothing (confine.c): if it crashes or does not end, only names
 * are missing. A file on disk is used only if it has the build id of the loaded one. Names are kept, so that nothing is
 * looked up again for the next dump of the same process.
 */
#ifndef CLI_SYMBOLS_H
#define CLI_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* ---- of a dump -------------------------------------------------------------------------------------------------- */

struct symbols;
/* `pid`: the live process, in whose mount namespace its files are; 0: a saved dump. `folder`: searched for debug files
 * before /usr/lib/debug; NULL: none. NULL: out of memory. */
struct symbols *symbols_new(pid_t pid, const char *folder);
void symbols_free(struct symbols *s);
/* Read one dump, from the file's position to the dump's end, and find the names, for at most `ms`. The file's position
 * does not change. */
void symbols_read(struct symbols *s, FILE *dump, int ms);
/* To be called for each line of a dump, in its order: whether the line is a frame that has a name, and which. */
struct name;
const struct name *symbols_find(struct symbols *s, const char *line);
/* Print the name of that frame: " in read at file.c:7"; print nothing for other lines. */
void symbols_put(struct symbols *s, FILE *out, const char *line);
/* Why names are missing: one sentence for each reason, to be printed with put_text(). `n` counts from 0; false: there
 * are no more reasons. */
bool symbols_note(struct symbols *s, unsigned n, char *text, size_t size);

/* ---- between the command and its child --------------------------------------------------------------------------- */

enum { ID_TEXT = 65, NAME_TEXT = 400, PATH_TEXT = 1024 };

/* The function and its source line; empty and 0: not known. */
struct name {
    int line;
    char function[NAME_TEXT], file[NAME_TEXT];
};

enum problem { NO_PROBLEM, NO_ID, ABSENT, REPLACED, UNREADABLE, FAILED, TOO_LONG, NO_READER };

struct module {
    char path[PATH_TEXT], id[ID_TEXT]; /* id: the build id in hexadecimal; "": the module has none */
    enum problem problem;
    bool present; /* in the dump that was read last */
};

/* `offset`: from the module's first page. */
struct frame {
    unsigned module;
    uint64_t offset;
    bool known;
    struct name name;
};

struct request {
    pid_t pid;
    const char *folder;
    const struct module *module;
    struct frame *const *frame; /* sorted by module */
    size_t frames;
};

/* An answer is for one frame, or it has a problem and is for all frames of its module. The last answer's module is
 * ALL_DONE. */
enum { ALL_DONE = 1 << 30 };
struct answer {
    enum problem problem;
    unsigned module;
    size_t frame; /* its index in the request */
    struct name name;
};

/* resolver.c, in the child. Write the answers to a descriptor. */
void resolve_frames(const struct request *r, int out);
/* Whether this build has libdw. */
extern const bool has_resolver;

/* confine.c, in the child. Close all descriptors except `out`, which changes its number. */
void confine_begin(int *out);
/* When all files are open: give up every right except reading them and writing answers. */
void confine_end(void);

#endif
