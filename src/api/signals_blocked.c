/* SPDX-License-Identifier: MIT */
/* A signal that each thread blocks reaches no handler: bough_signals() reports such signals. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/signals.h"
#include "state/log.h"

/* Reads one thread's signal mask from the kernel. False: the thread has ended, or there is no /proc. */
static bool read_mask_of(const char *tid, uint64_t *mask)
{
    char path[64], line[256];
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", tid);
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        if ((found = strncmp(line, "SigBlk:", 7) == 0))
            *mask = strtoull(line + 7, NULL, 16);
    if (f)
        fclose(f);
    return found;
}

/* The library's threads block all signals, and so do not change the result. */
static uint64_t blocked_by_all(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    uint64_t all = folder ? ~(uint64_t)0 : 0, one;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && read_mask_of(entry->d_name, &one))
            all &= one;
    if (folder)
        closedir(folder);
    return all;
}

void bo_signals_warn(const int *signals, int count, const sigset_t *taken, const char *(*name_of)(int signo))
{
    uint64_t blocked = blocked_by_all();
    for (int i = 0; i < count; i++)
        if (sigismember(taken, signals[i]) == 1 && (blocked >> (signals[i] - 1) & 1))
            bo_report("%s is blocked in every thread, so bough_signals() can't receive it: unblock it in one thread "
                      "(pthread_sigmask()), or call bough_signals(BOUGH_SIGNALS_WAIT)",
                      name_of(signals[i]));
}
