/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "mailbox.h"
#include <dirent.h>
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

/* ---- the reader's thread ------------------------------------------------------------------------------------- */

static bool is_reader(pid_t pid, const char *tid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(name, 1, sizeof name - 1, f);
    bool found = n && strcmp(name, "bough-ticker\n") == 0;
    fclose(f);
    return found;
}

/* The ticker's id here, which differs from its id in the process's PID namespace. 0: it has none. */
static pid_t find_reader(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    while (folder && !found && (entry = readdir(folder)))
        if (is_reader(pid, entry->d_name))
            found = (pid_t)atoi(entry->d_name);
    if (folder)
        closedir(folder);
    return found;
}

/* Sends only the library's signal, whatever the arena contains: the process may have ended, and another process may
 * have its id. */
static void ring(const struct arena *a)
{
    pid_t reader = find_reader(a->pid);
    if (reader && a->head.ticker_signal == BO_MAIL_SIGNAL)
        syscall(SYS_tgkill, a->pid, reader, BO_MAIL_SIGNAL);
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
static int put(struct bo_mailbox *m, const struct bo_request *request)
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

static bool answered(const struct bo_request *box)
{
    const struct timespec moment = {0, 2000000};
    for (int ms = 0; ms < LETTER_PATIENCE_MS; ms += 2) {
        if (bo_load_seq(&box->state) == BO_REQUEST_ANSWERED)
            return true;
        nanosleep(&moment, NULL);
    }
    return bo_load_seq(&box->state) == BO_REQUEST_ANSWERED;
}

static int refuse(struct arena *a, const char *why)
{
    snprintf(a->why, sizeof a->why, "process %d %s", (int)a->pid, why);
    return -1;
}

static int send_by(struct arena *a, struct bo_mailbox *m, struct bo_request *request)
{
    int box = put(m, request);
    if (box < 0)
        return refuse(a, "has a full mailbox: it does not read its requests");
    ring(a);
    if (!answered(&m->request[box])) {
        bo_store_seq(&m->request[box].state, BO_REQUEST_FREE);
        return refuse(a, "does not answer: it is stopped, or its bough-ticker thread hangs. `bough tree` shows it "
                         "even so");
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
    if (!find_reader(a->pid))
        return refuse(a, "has no bough-ticker thread that could answer: no thread in it has been interruptible yet");
    struct bo_mailbox *m = open_box(a->pid);
    if (!m)
        return refuse(a, "can't be asked: it has no mailbox, or not one for this user: be its user, or root");
    int box = send_by(a, m, request);
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
    ring(a);
}
