/* SPDX-License-Identifier: MIT */
#include "pid_ns.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "proc.h"

/* ---- one id ------------------------------------------------------------------------------------------------- */

/*
 * Reads from "NSpid:\t4711\t1" the last id, and whether there are several; *own is 0 if there is no such line (before
 * Linux 4.1). A name can't look like that line: the kernel escapes its line breaks. But the line of groups can be
 * longer than any buffer, so only the start of a line counts.
 */
static bool read_own(const char *path, const char *field, pid_t *own, bool *apart)
{
    char part[512];
    bool begins = true, found = false;
    FILE *status = fopen(path, "re");
    *own = 0;
    *apart = false;
    while (status && !found && fgets(part, sizeof part, status)) {
        found = begins && strncmp(part, field, strlen(field)) == 0;
        begins = strchr(part, '\n');
    }
    const char *last = found ? strrchr(part, '\t') : NULL;
    if (last) {
        *own = (pid_t)strtol(last, NULL, 10);
        *apart = strchr(part, '\t') != last;
    }
    return status && fclose(status) == 0;
}

bool pid_ns_own(pid_t pid, pid_t *own, bool *apart)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (!read_own(path, "NStgid:\t", own, apart))
        return false;
    if (*own <= 0)
        *own = pid;
    return true;
}

bool pid_ns_proc_is_ours(void)
{
    char pid[16];
    ssize_t n = readlink("/proc/self", pid, sizeof pid - 1);
    pid[n > 0 ? n : 0] = '\0';
    return atoi(pid) == getpid();
}

int pid_ns_pidfd(pid_t pid)
{
    return pid_ns_proc_is_ours() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/* ---- all threads ---------------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    pid_t first = ((const struct pid_pair *)a)->own, second = ((const struct pid_pair *)b)->own;
    return (first > second) - (first < second);
}

/* 0: the thread has ended. */
static pid_t own_of(pid_t pid, pid_t tid)
{
    char path[64];
    pid_t own;
    bool apart;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    return read_own(path, "NSpid:\t", &own, &apart) && own > 0 ? own : 0;
}

bool pid_map_read(struct pid_map *m, pid_t pid, bool apart)
{
    pid_t *tids;
    size_t count = proc_threads(pid, &tids);
    *m = (struct pid_map){.apart = apart, .thread = calloc(count + 1, sizeof *m->thread)};
    for (size_t i = 0; m->thread && i < count; i++) {
        pid_t own = apart ? own_of(pid, tids[i]) : tids[i];
        if (own)
            m->thread[m->count++] = (struct pid_pair){tids[i], own};
    }
    free(tids);
    if (m->thread)
        qsort(m->thread, m->count, sizeof *m->thread, compare_ids);
    return m->thread;
}

void pid_map_free(struct pid_map *m)
{
    free(m->thread);
    m->thread = NULL;
    m->count = 0;
}

pid_t pid_map_here(const struct pid_map *m, pid_t own)
{
    const struct pid_pair wanted = {0, own};
    const struct pid_pair *found = m->count ? bsearch(&wanted, m->thread, m->count, sizeof wanted, compare_ids) : NULL;
    return found ? found->here : 0;
}

pid_t pid_map_own(const struct pid_map *m, pid_t here)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->thread[i].here == here)
            return m->thread[i].own;
    return 0;
}
