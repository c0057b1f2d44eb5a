/* SPDX-License-Identifier: MIT */
#include "target.h"
#include <string.h>
#include "command.h"
#include "pid_ns.h"

void target_note(struct found *f, const struct bo_target *t, bool branch, pid_t tid)
{
    if (f->count++)
        return;
    f->handle = bo_handle_make(t->index, bo_word_generation(bo_load_relaxed(&t->word)), branch);
    f->branch = branch;
    f->tid = tid;
    memcpy(f->name, t->name, BO_NAME);
}

/* Converts a thread's id in the command's PID namespace to that in the process's; -1: there is no such thread. */
static pid_t own_id(const struct arena *a, pid_t here)
{
    struct pid_map ids;
    if (here < 0 || !a->apart)
        return here;
    pid_t own = pid_map_read(&ids, a->pid, true) ? pid_map_own(&ids, here) : 0;
    pid_map_free(&ids);
    return own ? own : -1;
}

/* Converts a thread's id in the process's PID namespace to that in the command's. */
pid_t target_id_here(const struct arena *a, pid_t own)
{
    struct pid_map ids;
    if (!a->apart)
        return own;
    pid_t here = pid_map_read(&ids, a->pid, true) ? pid_map_here(&ids, own) : 0;
    pid_map_free(&ids);
    return here;
}

/* An id names one thread; several threads or branches may have the same name. */
static void look_among_threads(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_thread t;
    pid_t tid = parse_pid(wanted), own = own_id(a, tid);
    for (uint32_t i = arena_next(a, false, 1); i; i = arena_next(a, false, i + 1))
        if (arena_thread(a, i, &t) && (tid > 0 ? bo_load_relaxed(&t.tid) == own : strcmp(t.t.name, wanted) == 0))
            target_note(f, &t.t, false, bo_load_relaxed(&t.tid));
}

static void look_among_branches(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_branch b;
    for (uint32_t i = arena_next(a, true, 1); i; i = arena_next(a, true, i + 1))
        if (arena_branch(a, i, &b) && strcmp(b.t.name, wanted) == 0)
            target_note(f, &b.t, true, 0);
}

bool target_is_all(const char *wanted)
{
    return strcmp(wanted, "all") == 0;
}

bool target_find(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_branch root;
    *f = (struct found){0};
    if (target_is_all(wanted)) {
        if (arena_branch(a, BO_ROOT, &root))
            target_note(f, &root.t, true, 0);
        return f->count == 1;
    }
    look_among_threads(a, wanted, f);
    if (!f->count)
        look_among_branches(a, wanted, f);
    return f->count == 1;
}
