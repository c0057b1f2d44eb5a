/* SPDX-License-Identifier: MIT */
/* The thread or branch that a request is for. */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "attach.h"

struct found {
    uint64_t handle;
    unsigned count; /* how many threads or branches match */
    bool branch;
    char name[BO_NAME];
    pid_t tid; /* its id in the process's PID namespace */
};

/* Note a thread or branch that matches: the first is the target, all are counted. */
void target_note(struct found *f, const struct bo_target *t, bool branch, pid_t tid);
/* Look for a thread by id or name, or a branch by name; "all" is the root. True: exactly one was found. */
bool target_find(const struct arena *a, const char *wanted, struct found *f);
bool target_is_all(const char *wanted);
/* The id here of the thread with this id in the process's PID namespace; 0: there is none. */
pid_t target_id_here(const struct arena *a, pid_t own);

#endif
