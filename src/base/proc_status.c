/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/proc_status.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/atomic.h"
#include "base/raw.h"

/* ---- one line of a status file ----------------------------------------------------------------------------------- */

struct search {
    const char *field;
    size_t matched; /* how many of the field's characters the line has so far */
    bool elsewhere; /* this line is that of another field */
    char *value;
    size_t used, size;
};

/* Takes one character of the file. True: the wanted line is complete. */
static bool take_char(struct search *s, char c)
{
    bool found = !s->elsewhere && !s->field[s->matched];
    if (c == '\n') {
        s->matched = 0;
        s->elsewhere = false;
        return found;
    }
    if (!found) {
        s->elsewhere = s->elsewhere || c != s->field[s->matched];
        s->matched += !s->elsewhere;
    } else if (s->used + 1 < s->size && (c != '\t' || s->used)) {
        s->value[s->used++] = c;
    }
    return false;
}

/* Reads the file in pieces, because the line of groups may be very long. A thread's name can't look like a line,
 * because the kernel escapes line breaks in it. */
static size_t status_value(const char *path, const char *field, char *value, size_t size)
{
    char piece[512];
    struct search s = {.field = field, .value = value, .size = size};
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0), n = 0;
    bool over = fd < 0;
    while (!over && ((n = bo_raw3(SYS_read, fd, (long)piece, sizeof piece)) > 0 || n == -EINTR))
        for (long i = 0; i < n && !over; i++)
            over = take_char(&s, piece[i]);
    if (fd >= 0)
        bo_raw1(SYS_close, fd);
    value[s.used] = '\0';
    return s.used;
}

static pid_t number_in(const char *text)
{
    pid_t n = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (*text - '0');
    return n;
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

/* Compares the target of the link "/proc/self", which is this process's id in the namespace of that /proc. */
static bool proc_is_foreign(void)
{
    char self[16] = "";
    long n = bo_raw4(SYS_readlinkat, AT_FDCWD, (long)"/proc/self", (long)self, sizeof self - 1);
    return n > 0 && number_in(self) != (pid_t)bo_raw0(SYS_getpid);
}

/* The thread's id in this process: the last of its ids, which go from the outermost PID namespace to the innermost. */
static pid_t own_id(pid_t folder)
{
    char path[64], ids[400];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)folder);
    if (!status_value(path, "NSpid:", ids, sizeof ids))
        return 0;
    const char *last = strrchr(ids, '\t');
    return number_in(last ? last + 1 : ids);
}

/* The last thread and folder found, because several files of one thread are read in succession. */
static _Atomic uint64_t last_found;

static void note(pid_t tid, pid_t folder)
{
    bo_store_relaxed(&last_found, (uint64_t)(uint32_t)tid << 32 | (uint32_t)folder);
}

static bool was_last(pid_t tid, pid_t *folder)
{
    uint64_t found = bo_load_relaxed(&last_found);
    *folder = (pid_t)(uint32_t)found;
    return tid > 0 && (pid_t)(found >> 32) == tid && own_id(*folder) == tid;
}

pid_t bo_tid_of_folder(pid_t number)
{
    if (!number || !proc_is_foreign())
        return number;
    pid_t tid = own_id(number);
    note(tid, number);
    return tid;
}

/* A directory entry, in the kernel's layout. */
struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* The folder of the thread at this position of the list; 0: there is none. */
static pid_t folder_at(long list, long position)
{
    enum { DOTS = 2 }; /* "." and ".." come first */
    char entries[64] __attribute__((aligned(8)));
    if (bo_raw3(SYS_lseek, list, position + DOTS, SEEK_SET) < 0)
        return 0;
    long n = bo_raw3(SYS_getdents64, list, (long)entries, sizeof entries);
    return n > 0 ? number_in(((const struct entry *)(const void *)entries)->name) : 0;
}

/* The kernel lists threads in the order in which they were started, and gives out ids in ascending order until it
 * begins again with low ones. Until then a few reads are enough to find one of 10,000 threads. */
static pid_t folder_by_halving(long list, pid_t tid)
{
    long low = 0, high = (long)1 << 22; /* the most ids that the kernel gives out */
    while (low < high) {
        long middle = low + (high - low) / 2;
        pid_t folder = folder_at(list, middle), own = folder ? own_id(folder) : 0;
        if (own == tid)
            return folder;
        if (own && own < tid)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* The most threads that are examined one by one: that reads a file for each thread, and the warden waits for it. */
enum { MOST_LOOKS = 256 };

static pid_t folder_in(const char *entries, long size, pid_t tid, unsigned *looks)
{
    for (long at = 0; at < size && *looks < MOST_LOOKS; ++*looks) {
        const struct entry *e = (const void *)(entries + at);
        pid_t folder = number_in(e->name);
        if (folder && own_id(folder) == tid)
            return folder;
        at += e->size ? e->size : size;
    }
    return 0;
}

static pid_t folder_one_by_one(long list, pid_t tid)
{
    char entries[512] __attribute__((aligned(8)));
    unsigned looks = 0;
    pid_t found = 0;
    long n = bo_raw3(SYS_lseek, list, 0, SEEK_SET);
    while (n >= 0 && !found && looks < MOST_LOOKS &&
           (n = bo_raw3(SYS_getdents64, list, (long)entries, sizeof entries)) > 0)
        found = folder_in(entries, n, tid, &looks);
    return found;
}

/* The number of the thread's folder; -1: none was found. */
static pid_t folder_of(pid_t tid)
{
    pid_t found = 0;
    if (!proc_is_foreign())
        return tid;
    if (was_last(tid, &found))
        return found;
    long list = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (list < 0)
        return -1;
    found = folder_by_halving(list, tid);
    if (!found)
        found = folder_one_by_one(list, tid);
    bo_raw1(SYS_close, list);
    if (found)
        note(tid, found);
    return found ? found : -1;
}

/* ---- for all ----------------------------------------------------------------------------------------------------- */

size_t bo_status_of_process(const char *field, char *value, size_t size)
{
    return status_value("/proc/self/status", field, value, size);
}

size_t bo_status_of_task(pid_t tid, const char *field, char *value, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)folder_of(tid));
    return status_value(path, field, value, size);
}

size_t bo_read_task(pid_t tid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%.20s", (int)folder_of(tid), file);
    return bo_read_file(path, text, size);
}
