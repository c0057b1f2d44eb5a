/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "mailbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "memfd.h"
#include "pid_ns.h"
#include "proc.h"

enum { BETWEEN_LOOKS_MS = 100 };

/* ---- the threads that answer ------------------------------------------------------------------------------------- */

/* The process's threads that work on requests, by their ids in this namespace, which may differ from those in the
 * process's PID namespace. */
struct crew {
    pid_t pid, reader; /* `reader` 0: the process has none */
    pid_t helper[16];
    size_t helpers;
};

static void add_thread(struct crew *c, pid_t tid)
{
    char name[32];
    proc_thread_name(c->pid, tid, name, sizeof name);
    if (!c->reader && strcmp(name, "bough-ticker") == 0)
        c->reader = tid;
    else if (c->helpers < sizeof c->helper / sizeof *c->helper && strcmp(name, "bough-helper") == 0)
        c->helper[c->helpers++] = tid;
}

static struct crew find_crew(pid_t pid)
{
    struct crew c = {.pid = pid};
    pid_t *tids = NULL;
    size_t count = proc_threads(pid, &tids);
    for (size_t i = 0; i < count; i++)
        add_thread(&c, tids[i]);
    free(tids);
    return c;
}

static bool is_runnable(pid_t pid, pid_t tid)
{
    struct activity now;
    proc_activity(pid, tid, &now);
    return now.state == 'R';
}

/* Does one of the threads run, or wait for a processor? */
static bool is_at_work(const struct crew *c)
{
    bool found = c->reader && is_runnable(c->pid, c->reader);
    for (size_t i = 0; i < c->helpers && !found; i++)
        found = is_runnable(c->pid, c->helper[i]);
    return found;
}

/* Sends only the library's signal, whatever the arena contains: the process may have ended, and another process may
 * have its id. */
static void ring(const struct arena *a, const struct crew *c)
{
    if (c->reader && a->head.ticker_signal == BO_MAIL_SIGNAL)
        syscall(SYS_tgkill, a->pid, c->reader, BO_MAIL_SIGNAL);
}

/* ---- the box ---------------------------------------------------------------------------------------------------- */

/* The mailbox is mapped: its length is sealed, so no access fails. Its contents may change at any moment, and are not
 * trusted. */
static struct bo_mailbox *open_box(pid_t pid)
{
    struct stat is;
    int fd = memfd_find(proc_alive(pid), MEMFD("bough-mail"), MEMFD_LENGTH, O_RDWR);
    if (fd < 0)
        return NULL;
    struct bo_mailbox *m = MAP_FAILED;
    if (fstat(fd, &is) == 0 && is.st_size >= (off_t)sizeof *m)
        m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (m == MAP_FAILED)
        return NULL;
    if (m->size == sizeof *m && memcmp(m->magic, BO_MAIL_MAGIC, sizeof BO_MAIL_MAGIC) == 0)
        return m;
    munmap(m, sizeof *m);
    return NULL;
}

static void copy(struct bo_request *to, const struct bo_request *from)
{
    const volatile unsigned char *byte = (const volatile unsigned char *)from;
    for (size_t i = 0; i < sizeof *to; i++)
        ((unsigned char *)to)[i] = byte[i];
}

/* Takes a free box by one exchange, without a lock, which any process could hold. -1: no box is free. */
static int put_request(struct bo_mailbox *m, const struct bo_request *request)
{
    for (int i = 0; i < BO_REQUESTS; i++) {
        struct bo_request *box = &m->request[i];
        uint32_t state = BO_REQUEST_FREE;
        if (!bo_cas_seq(&box->state, &state, BO_REQUEST_WRITING))
            continue;
        struct bo_request with_state = *request;
        bo_store_relaxed(&with_state.state, BO_REQUEST_WRITING);
        memcpy((void *)box, &with_state, sizeof *box);
        bo_store_seq(&box->state, BO_REQUEST_SENT);
        bo_add_seq(&m->requests, 1);
        return i;
    }
    return -1;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns a value that each step of the process's work changes. */
static uint64_t signs_of(const struct bo_request *box)
{
    return (uint64_t)bo_load_seq(&box->state) << 32 | bo_load_seq(&box->work);
}

static bool wait_for_answer(const struct bo_request *box, const struct crew *c, int64_t patience, int64_t longest)
{
    const struct timespec moment = {0, 2000000};
    int64_t begun = now_ms(), seen_at = begun, look_at = begun;
    for (uint64_t seen = signs_of(box); bo_load_seq(&box->state) != BO_REQUEST_ANSWERED;) {
        int64_t now = now_ms();
        uint64_t signs = signs_of(box);
        if (signs != seen || (now >= look_at && is_at_work(c)))
            seen_at = now;
        if (now >= look_at)
            look_at = now + BETWEEN_LOOKS_MS;
        seen = signs;
        if (now - seen_at > patience || now - begun > longest) /* both are rounded down */
            return bo_load_seq(&box->state) == BO_REQUEST_ANSWERED;
        nanosleep(&moment, NULL);
    }
    return true;
}

bool mailbox_wait(const struct bo_request *box, pid_t pid, int64_t patience, int64_t longest)
{
    struct crew c = find_crew(pid);
    return wait_for_answer(box, &c, patience, longest);
}

static int refuse(struct arena *a, const char *why)
{
    snprintf(a->why, sizeof a->why, "process %d %s", (int)a->pid, why);
    return -1;
}

static int not_answered(struct arena *a, const struct crew *c)
{
    struct activity now;
    char why[96];
    proc_activity(a->pid, c->reader, &now);
    if (now.state == 'T')
        snprintf(why, sizeof why, "does not answer: it is stopped, and `kill -CONT %d` continues it", (int)a->pid);
    else
        snprintf(why, sizeof why, "does not answer: %s",
                 now.state == 't' ? "a debugger has stopped it" : "its bough-ticker thread hangs");
    return refuse(a, why);
}

static int send_by(struct arena *a, const struct crew *c, struct bo_mailbox *m, struct bo_request *request)
{
    int box = put_request(m, request);
    if (box < 0)
        return refuse(a, "has a full mailbox: it does not read its requests");
    ring(a, c);
    if (!wait_for_answer(&m->request[box], c, ANSWER_PATIENCE_MS, ANSWER_LONGEST_MS)) {
        bo_store_seq(&m->request[box].state, BO_REQUEST_FREE);
        return not_answered(a, c);
    }
    copy(request, &m->request[box]);
    return box;
}

int mailbox_send(struct arena *a, struct bo_request *request)
{
    if (!pid_ns_proc_is_ours())
        return refuse(a,
                      "can't be asked: the ids in /proc are not those of this PID namespace, and its thread can't be "
                      "signalled. Mount a /proc for it, as `unshare --mount-proc` does");
    if (!a->pid || a->base)
        return refuse(a, "has closed the file of its tree: it can't be asked");
    struct crew c = find_crew(a->pid);
    if (!c.reader)
        return refuse(a, "has no bough-ticker thread that could answer: no thread in it has been interruptible yet");
    struct bo_mailbox *m = open_box(a->pid);
    if (!m)
        return refuse(a, "can't be asked: it has no mailbox, or one for another user: run this as its user or as root");
    int box = send_by(a, &c, m, request);
    munmap(m, sizeof *m);
    return box;
}

void mailbox_done(const struct arena *a, int box)
{
    struct bo_mailbox *m = open_box(a->pid);
    if (m) {
        bo_store_seq(&m->request[box].state, BO_REQUEST_FREE);
        munmap(m, sizeof *m);
    }
    struct crew c = find_crew(a->pid);
    ring(a, &c);
}
