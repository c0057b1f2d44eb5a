/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "proc.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/plain.h"
#include "memfd.h"

/* [number] = "name"; made by tools/syscalls.py. */
static const char *const calls[] = {
#include "inspect/syscalls.inc"
};

static void read_text(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (n > 0 && text[n - 1] == '\n') /* a name may contain line breaks, too */
        text[n - 1] = '\0';
    close(fd);
}

void proc_command(pid_t pid, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    read_text(path, text, size);
    if (!*text)
        snprintf(text, size, "?");
}

/* ---- a thread's activity ---------------------------------------------------------------------------------- */

static void read_of(pid_t pid, pid_t tid, const char *what, char *text, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, what);
    read_text(path, text, size);
}

static const char *name_of(long number)
{
    bool known = number >= 0 && (size_t)number < sizeof calls / sizeof *calls;
    return known ? calls[number] : NULL;
}

/* "number arguments... stack counter", "running", or nothing if the caller may not attach to the process. */
static void describe_call(const char *line, char *text, size_t size)
{
    char *end;
    long number = strtol(line, &end, 10);
    if (end == line || number < 0)
        return;
    const char *name = name_of(number);
    if (name)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "system call %ld", number);
}

void proc_activity(pid_t pid, pid_t tid, struct activity *now)
{
    char line[512];
    *now = (struct activity){0};
    read_of(pid, tid, "stat", line, sizeof line);
    const char *state = strrchr(line, ')');
    if (!state || !state[1] || !state[2])
        return;
    now->state = state[2];
    read_of(pid, tid, "syscall", line, sizeof line);
    describe_call(line, now->call, sizeof now->call);
    if (*now->call || now->state == 'R')
        return;
    read_of(pid, tid, "wchan", line, sizeof line);
    if (*line && strcmp(line, "0") != 0)
        snprintf(now->call, sizeof now->call, "%.90s", line);
}

const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'T':
        return "stopped";
    case 't':
        return "stopped by a debugger";
    case 'D':
        return "in an uninterruptible wait";
    case 'Z':
    case 'X':
    case 0:
        return "gone";
    default:
        return "";
    }
}

/* "0 0x3 ... SP PC", or "-1 SP PC" outside of a call: the word before the last. */
uint64_t proc_stack_pointer(pid_t pid, pid_t tid)
{
    char line[512];
    read_of(pid, tid, "syscall", line, sizeof line);
    char *last = strrchr(line, ' ');
    if (!last)
        return 0;
    *last = '\0';
    const char *word = strrchr(line, ' ');
    return word ? strtoull(word, NULL, 16) : 0;
}

static bool is_alive(pid_t pid, pid_t tid)
{
    struct activity now;
    proc_activity(pid, tid, &now);
    return now.state && now.state != 'Z' && now.state != 'X';
}

pid_t proc_alive(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    pid_t alive = is_alive(pid, pid) ? pid : 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = alive ? NULL : opendir(path);
    while (folder && !alive && (entry = readdir(folder))) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && is_alive(pid, tid))
            alive = tid;
    }
    if (folder)
        closedir(folder);
    return alive;
}

size_t proc_threads(pid_t pid, pid_t **tids)
{
    char path[64];
    struct dirent *entry;
    size_t count = 0, room = 0;
    *tids = NULL;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid <= 0)
            continue;
        pid_t *more = count == room ? realloc(*tids, (room = 2 * room + 64) * sizeof *more) : *tids;
        if (!more)
            break;
        *tids = more;
        more[count++] = tid;
    }
    if (folder)
        closedir(folder);
    return count;
}

void proc_thread_name(pid_t pid, pid_t tid, char *name, size_t size)
{
    read_of(pid, tid, "comm", name, size);
}

/* ---- strings ------------------------------------------------------------------------------------------- */

/* A part of a file in the process's memory that the process can't change. */
struct part {
    uint64_t begin, end, offset;
    dev_t device;
    ino_t inode;
    char *path;
};

struct strings {
    pid_t pid;
    struct part *part;
    size_t count;
    const struct part *opened; /* the part whose file is open */
    int fd;
    int memory; /* -1: the caller may not read it */
    bool memory_tried;
};

static bool parse(const char *line, struct part *p)
{
    unsigned long long begin, end, offset, inode;
    unsigned major, minor;
    char rights[8], path[4200] = "";
    if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %4199[^\n]", &begin, &end, rights, &offset, &major, &minor, &inode,
               path) != 8)
        return false;
    if (path[0] != '/' || rights[0] != 'r' || rights[1] == 'w')
        return false;
    *p = (struct part){begin, end, offset, makedev(major, minor), (ino_t)inode, strdup(path)};
    return p->path != NULL;
}

static bool append(struct strings *s, const struct part *p)
{
    struct part *more = realloc(s->part, (s->count + 1) * sizeof *more);
    if (!more)
        return false;
    s->part = more;
    s->part[s->count++] = *p;
    return true;
}

struct strings *strings_new(pid_t pid)
{
    char path[64], line[4400];
    struct part p;
    struct strings *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->pid = pid = proc_alive(pid);
    s->fd = s->memory = -1;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps))
        if (parse(line, &p) && !append(s, &p))
            free(p.path);
    if (maps)
        fclose(maps);
    return s;
}

void strings_free(struct strings *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->part[i].path);
    free(s->part);
    if (s->fd >= 0)
        close(s->fd);
    if (s->memory >= 0)
        close(s->memory);
    free(s);
}

int proc_open_mapped(pid_t pid, const char *name, ino_t inode)
{
    char path[4400];
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, name);
    return open_regular(path, inode);
}

static ssize_t read_part(struct strings *s, const struct part *p, uint64_t address, char *text, size_t size)
{
    if (s->opened != p) {
        if (s->fd >= 0)
            close(s->fd);
        s->fd = proc_open_mapped(s->pid, p->path, p->inode);
        s->opened = p;
    }
    uint64_t left = p->end - address;
    return s->fd < 0 ? -1 : pread(s->fd, text, left < size ? left : size, (off_t)(p->offset + (address - p->begin)));
}

static ssize_t read_file(struct strings *s, uint64_t address, char *text, size_t size)
{
    for (size_t i = 0; i < s->count; i++)
        if (address >= s->part[i].begin && address < s->part[i].end)
            return read_part(s, &s->part[i], address, text, size);
    return -1;
}

/* Reads up to the end of the page, because the next one may not be mapped. Opens a path, because an id in /proc need
 * not be valid for a system call. */
static ssize_t read_memory(struct strings *s, uint64_t address, char *text, size_t size)
{
    char path[64];
    uint64_t left = 4096 - address % 4096;
    if (!s->memory_tried) {
        snprintf(path, sizeof path, "/proc/%d/mem", (int)s->pid);
        s->memory = open(path, O_RDONLY | O_CLOEXEC);
        s->memory_tried = true;
    }
    return s->memory < 0 || address > INT64_MAX ? -1
                                                : pread(s->memory, text, left < size ? left : size, (off_t)address);
}

static ssize_t read_piece(struct strings *s, uint64_t address, char *text, size_t size)
{
    ssize_t n = read_file(s, address, text, size);
    return n > 0 ? n : read_memory(s, address, text, size);
}

void strings_get(struct strings *s, uint64_t address, char *text, size_t size)
{
    size_t have = 0;
    bool whole = false;
    while (s && address && !whole && have < size) {
        ssize_t n = read_piece(s, address + have, text + have, size - have);
        if (n <= 0)
            break;
        whole = memchr(text + have, '\0', (size_t)n);
        have += (size_t)n;
    }
    if (have == size)
        text[bo_cut(text, size - 1)] = '\0';
    if ((!whole && have < size) || !text[0])
        snprintf(text, size, "?");
}
