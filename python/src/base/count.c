/* SPDX-License-Identifier: MIT */
/*
 * How many threads the interpreter counts when the process forks.
 *
 * From Python 3.12 on a fork in a process with several threads is a DeprecationWarning: a thread that is not there in
 * the new process may have held a lock. The interpreter reads the count from /proc/self/stat. The library's threads are
 * in that count, although the locks that they hold are handled at a fork. So the interpreter's fopen() of that file,
 * and of no other, returns a copy in which they are not counted: a program without threads gets no warning, one with
 * threads does.
 */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FILE *(*bp_libc_fopen)(const char *, const char *);

/* The names that the library gives to its threads. A worker that runs a child has the child's name, and counts. */
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

/* The field that has the count is the 20th of the file, and the 18th after the name, which may have spaces. */
static char *count_in(char *text)
{
    char *at = strrchr(text, ')');
    for (int i = 0; at && i < 18; i++)
        at = strchr(at + 1, ' ');
    return at ? at + 1 : NULL;
}

/* The stream's text, with the smaller count; NULL: the text has an unexpected format. */
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
