/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ladder/closer.h"
#include <bough/ladder.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/futex.h"
#include "branch/lost.h"
#include "ladder/freeze.h"
#include "ladder/robust.h"
#include "ladder/terminal.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "thread/adopt.h"
#include "upcalls.h"

/*
 *   run     runs the closer; `owner` is the thread that has registered it
 *   forget  releases what the closer holds besides memory; NULL: nothing
 *   at, size, number    its object, with a different meaning for each kind
 */
struct bough_closer {
    struct bough_closer *next;
    void (*run)(const struct bough_closer *c, const struct bo_thread *owner);
    void (*forget)(const struct bough_closer *c);
    void (*fn)(void *);
    void *at;
    size_t size;
    int number;
    char name[];
};

/* ---- the list ---------------------------------------------------------------------------------------------- */

static void push_closer(struct bo_thread *t, struct bough_closer *c)
{
    c->next = t->closers;
    t->closers = c;
}

/* A copy of `c` with a name, first in the calling thread's list. NULL with ENOMEM, EAGAIN. */
static bough_closer *add_closer(const struct bough_closer *c, const char *name)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return NULL;
    bo_busy_begin();
    size_t length = strlen(name) + 1;
    struct bough_closer *copy = malloc(sizeof *copy + length);
    if (copy) {
        *copy = *c;
        memcpy(copy->name, name, length);
        push_closer(t, copy);
    }
    bo_busy_end();
    return copy ? copy : (errno = ENOMEM, NULL);
}

static bool take_closer_out(struct bo_thread *t, const struct bough_closer *c)
{
    struct bough_closer **link = &t->closers;
    while (*link && *link != c)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = c->next;
    return true;
}

static void discard(struct bough_closer *c)
{
    bo_busy_begin();
    if (c->forget)
        c->forget(c);
    free(c);
    bo_busy_end();
}

void bo_ladder_forget_closers(struct bo_thread *t)
{
    while (t->closers) {
        struct bough_closer *c = t->closers;
        t->closers = c->next;
        discard(c);
    }
}

/* If the thread is frozen while it runs a closer, that closer does not run a second time. */
int bough_closer_drop(bough_closer *closer, int run)
{
    struct bo_thread *t = bo_self;
    if (!closer)
        return errno = EINVAL, -1;
    bo_busy_begin();
    bool mine = t && take_closer_out(t, closer);
    bo_busy_end();
    if (!mine)
        return errno = EPERM, -1;
    if (run)
        closer->run(closer, t);
    discard(closer);
    return 0;
}

/* ---- the kinds --------------------------------------------------------------------------------------------- */

static void run_fn(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    c->fn(c->at);
}

bough_closer *bough_closer_fn(void (*fn)(void *), void *argument)
{
    return fn ? add_closer(&(struct bough_closer){.run = run_fn, .fn = fn, .at = argument}, "")
              : (errno = EINVAL, NULL);
}

static void run_fd(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    close(c->number);
}

bough_closer *bough_closer_fd(int fd)
{
    return fd >= 0 ? add_closer(&(struct bough_closer){.run = run_fd, .number = fd}, "") : (errno = EINVAL, NULL);
}

/* If a frozen thread holds the stream's lock, the buffered data is lost, but the descriptor is still closed. Its number
 * was stored before, because in some libcs fileno() waits for that lock. */
static void run_file(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    if (ftrylockfile(c->at) == 0)
        fclose(c->at);
    else
        close(c->number);
}

bough_closer *bough_closer_file(FILE *file)
{
    int fd = file ? fileno(file) : -1;
    return fd >= 0 ? add_closer(&(struct bough_closer){.run = run_file, .at = file, .number = fd}, "")
                   : (errno = EINVAL, NULL);
}

static void run_heap(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    free(c->at);
}

bough_closer *bough_closer_heap(void *memory)
{
    return memory ? add_closer(&(struct bough_closer){.run = run_heap, .at = memory}, "") : (errno = EINVAL, NULL);
}

static void run_mapping(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    munmap(c->at, c->size);
}

bough_closer *bough_closer_mapping(void *at, size_t size)
{
    return at && size ? add_closer(&(struct bough_closer){.run = run_mapping, .at = at, .size = size}, "")
                      : (errno = EINVAL, NULL);
}

static void run_shm(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    shm_unlink(c->name);
}

bough_closer *bough_closer_shm(const char *name)
{
    return name && *name ? add_closer(&(struct bough_closer){.run = run_shm}, name) : (errno = EINVAL, NULL);
}

static void run_mutex(const struct bough_closer *c, const struct bo_thread *owner)
{
    bo_robust_abandon(c->at, bo_load_relaxed(&owner->tid));
}

bough_closer *bough_closer_mutex(pthread_mutex_t *mutex)
{
    int error = mutex ? bo_robust_check(mutex) : EINVAL;
    return error ? (errno = error, NULL) : add_closer(&(struct bough_closer){.run = run_mutex, .at = mutex}, "");
}

static void run_terminal(const struct bough_closer *c, const struct bo_thread *owner)
{
    (void)owner;
    bo_terminal_put_back(c->number);
}

static void forget_terminal(const struct bough_closer *c)
{
    bo_terminal_drop(c->number);
}

bough_closer *bough_closer_terminal(int fd)
{
    int id = bo_terminal_keep(fd);
    if (id < 0)
        return NULL;
    bough_closer *c =
        add_closer(&(struct bough_closer){.run = run_terminal, .forget = forget_terminal, .number = id}, "");
    if (!c)
        bo_terminal_drop(id);
    return c;
}

/* ---- a child process ---------------------------------------------------------------------------------------- */

#define TERMINATES_IN BO_MS(500)
#define KILLED_IN BO_SEC(2)

/* Waits until the child can be reaped, and reaps it. It polls, because SIGCHLD belongs to the application. */
static bool reaped_in(pid_t pid, int64_t time)
{
    const struct timespec nap = {0, 2000000};
    int64_t end = bo_clock() + time;
    for (;;) {
        pid_t r = waitpid(pid, NULL, WNOHANG);
        if (r == pid || (r < 0 && errno == ECHILD))
            return true;
        if (bo_clock() >= end)
            return false;
        nanosleep(&nap, NULL);
    }
}

/* Is this the id of a child that was not reaped yet? Otherwise the id may belong to another process by now. */
static bool is_unreaped_child(pid_t pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void run_child(const struct bough_closer *c, const struct bo_thread *owner)
{
    pid_t pid = c->number;
    (void)owner;
    if (!is_unreaped_child(pid))
        return;
    kill(pid, SIGTERM);
    if (reaped_in(pid, TERMINATES_IN))
        return;
    kill(pid, SIGKILL);
    if (!reaped_in(pid, KILLED_IN))
        bo_report("child process %d was killed but has not ended: it is in an uninterruptible kernel wait", (int)pid);
}

bough_closer *bough_closer_child(pid_t pid)
{
    return pid > 0 ? add_closer(&(struct bough_closer){.run = run_child, .number = pid}, "") : (errno = EINVAL, NULL);
}

/* ---- closing a frozen thread ---------------------------------------------------------------------------------- */

struct running_closer {
    const struct bough_closer *closer;
    const struct bo_thread *owner;
};

static void run_closer(void *argument)
{
    const struct running_closer *r = argument;
    r->closer->run(r->closer, r->owner);
}

/* Runs the closers guarded: their objects may be half changed, because the thread may have been frozen anywhere. */
static void run_closers(struct bo_thread *t)
{
    char name[BO_NAME], what[96];
    snprintf(what, sizeof what, "a closer of thread %d (%s)", (int)bo_load_relaxed(&t->tid), bo_name_of(&t->t, name));
    while (t->closers) {
        struct bough_closer *c = t->closers;
        t->closers = c->next;
        bo_ladder_guard(run_closer, &(struct running_closer){c, t}, what);
        discard(c);
    }
}

/* The innermost region is more informative than "at an interruption point". */
static void name_place(const struct bo_thread *t, char *text, size_t size)
{
    uint32_t depth = bo_load_relaxed(&t->depth), i = depth < BO_REGIONS ? depth : BO_REGIONS;
    if (i)
        snprintf(text, size, "in the region begun at %s:%d", t->region[i - 1].file, t->region[i - 1].line);
    else
        snprintf(text, size, "at an interruption point");
}

void bo_close_thread(struct bo_thread *t)
{
    char where[160];
    bo_freeze_await(t);
    name_place(t, where, sizeof where);
    run_closers(t);
    bo_thread_lost(t, where);
}
