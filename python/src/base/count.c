/* SPDX-License-Identifier: MIT */
/*
 * Corrects the number of threads that the interpreter reads when the process forks.
 *
 * From Python 3.12 on a fork in a process with several threads causes a DeprecationWarning, because a thread that does
 * not exist in the new process may have held a lock. The interpreter reads the number from /proc/self/stat. That number
 * includes the library's threads, although the library handles their locks at a fork. So the interpreter's fopen() of
 * that file, and of no other, returns a copy that does not count the library's threads: a program gets the warning only
 * if it has other threads.
 */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FILE *(*bp_libc_fopen)(const char *, const char *);

/* The names that the library gives to its threads. A worker that runs a child has the child's name, and is counted. */
static const char *const names[] = {"bough-async\n",   "bough-resolver\n", "bough-exit\n",
                                    "bough-guard\n",   "bough-helper\n",   "bough-log\n",
                                    "bough-signals\n", "bough-ticker\n",   "bough-worker\n"};
enum { NAMES = sizeof names / sizeof *names };

static bool is_own_thread(const char *tid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", tid);
    FILE *file = bp_libc_fopen(path, "re");
    bool own = false;
    if (file && fgets(name, sizeof name, file))
        for (int i = 0; i < NAMES; i++)
            own |= strcmp(name, names[i]) == 0;
    if (file)
        fclose(file);
    return own;
}

static int count_own(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *task; tasks && (task = readdir(tasks));)
        count += task->d_name[0] != '.' && is_own_thread(task->d_name);
    if (tasks)
        closedir(tasks);
    return count;
}

/* The number of threads is the file's 20th field, and the 18th after the name, which may contain spaces. */
static char *count_in(char *text)
{
    char *at = strrchr(text, ')');
    for (int i = 0; at && i < 18; i++)
        at = strchr(at + 1, ' ');
    return at ? at + 1 : NULL;
}

/* A stream with the same text but the smaller number. NULL: the text has an unexpected format, or no memory is left. */
static FILE *without_own(FILE *stat)
{
    char text[2048], *count;
    text[fread(text, 1, sizeof text - 1, stat)] = '\0';
    if (!(count = count_in(text)))
        return NULL;
    char *rest;
    long threads = strtol(count, &rest, 10), others = threads - count_own();
    FILE *copy = fmemopen(NULL, sizeof text, "w+");
    if (copy) {
        fprintf(copy, "%.*s%ld%s", (int)(count - text), text, others > 1 ? others : 1, rest);
        rewind(copy);
    }
    return copy;
}

FILE *bp_fopen(const char *path, const char *mode)
{
    FILE *file = bp_libc_fopen(path, mode);
    if (!file || !path || strcmp(path, "/proc/self/stat") != 0)
        return file;
    FILE *copy = without_own(file);
    if (!copy)
        return rewind(file), file;
    fclose(file);
    return copy;
}
