/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/task.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/proc_status.h"
#include "base/raw.h"
#include "inspect/names.h"

static size_t read_of(pid_t tid, const char *file, char *text, size_t size)
{
    return bo_read_task(tid, file, text, size);
}

/* strtoul() takes no lock, but changes errno, which is restored. */
static unsigned long next_number(const char **at)
{
    int saved = errno;
    char *end;
    unsigned long n = strtoul(*at, &end, 0);
    errno = saved;
    *at = end;
    return n;
}

/* "7 (na) me) S 1 ...": a name may contain any characters. */
static void look_state(struct bo_task *task, pid_t tid)
{
    char text[256];
    read_of(tid, "stat", text, sizeof text);
    const char *end = strrchr(text, ')');
    task->state = (char)(end && end[1] == ' ' ? end[2] : '?');
}

static void look_names(struct bo_task *task, pid_t tid)
{
    size_t n = read_of(tid, "comm", task->name, sizeof task->name);
    if (n && task->name[n - 1] == '\n')
        task->name[n - 1] = '\0';
    read_of(tid, "wchan", task->wchan, sizeof task->wchan);
    if (strcmp(task->wchan, "0") == 0)
        task->wchan[0] = '\0';
}

/* "running", or "0 0x3 0x7f.. 0x.. 0x.. 0x.. 0x.. SP PC", or "-1 SP PC". */
static void look_call(struct bo_task *task, pid_t tid)
{
    char text[256];
    if (!read_of(tid, "syscall", text, sizeof text) || text[0] == 'r')
        return;
    const char *at = text;
    task->nr = (long)next_number(&at);
    if (task->nr >= 0) {
        task->first = next_number(&at);
        for (int i = 1; i < 6; i++)
            next_number(&at);
    }
    task->sp = next_number(&at);
    task->pc = next_number(&at);
    task->blocked = task->pc != 0;
}

void bo_task_look(struct bo_task *task, pid_t tid)
{
    *task = (struct bo_task){.state = '?', .nr = -1};
    look_state(task, tid);
    if (task->state == '?')
        return;
    look_names(task, tid);
    if (tid != (pid_t)bo_raw0(SYS_gettid)) /* for the calling thread the file would show the read() of itself */
        look_call(task, tid);
}

static bool has_no_arguments(long nr)
{
#ifdef SYS_pause
    if (nr == SYS_pause)
        return true;
#endif
    return nr == SYS_sched_yield || nr == SYS_getpid;
}

void bo_put_call(struct bo_out *o, const struct bo_task *task)
{
    const char *name = bo_syscall_name(task->nr);
    if (name)
        bo_put(o, "%s(", name);
    else
        bo_put(o, "call %ld(", task->nr);
    if (has_no_arguments(task->nr))
        bo_put(o, ")");
    else if (task->first < 1 << 20) /* a descriptor, most likely */
        bo_put(o, "%lu, ...)", task->first);
    else
        bo_put(o, "0x%lx, ...)", task->first);
}
