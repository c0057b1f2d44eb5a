/* SPDX-License-Identifier: MIT */
/* Makes recordings for tests, and reads them by the command's reader. */
#ifndef TEST_RECORDED_H
#define TEST_RECORDED_H

#include <bough.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "harness.h"
#include "trace/read.h"

static inline const char *file_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "/tmp/bough-recorded-%d", (int)getpid());
    return name;
}

static inline void begin_recording(unsigned flags)
{
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .flags = flags}), 0);
}

static inline void read_back(struct trace *t)
{
    CHECK_EQ(trace_read(file_name(), t), 0);
    CHECK_EQ(unlink(file_name()), 0);
}

static inline const struct trace_event *event_after(const struct trace *t, int from, enum trace_what what,
                                                    const char *text)
{
    for (int i = from; i < t->n_events; i++)
        if (t->events[i].what == what && strcmp(t->events[i].text, text) == 0)
            return &t->events[i];
    return NULL;
}

static inline const struct trace_event *event_of(const struct trace *t, enum trace_what what, const char *text)
{
    return event_after(t, 0, what, text);
}

static inline int thread_named(const struct trace *t, const char *name)
{
    for (int i = 0; i < t->n_threads; i++)
        if (strcmp(t->threads[i].name, name) == 0)
            return i;
    return TRACE_NONE;
}

static inline int branch_named(const struct trace *t, const char *name)
{
    for (int i = 0; i < t->n_branches; i++)
        if (strcmp(t->branches[i].name, name) == 0)
            return i;
    return TRACE_NONE;
}

static _Atomic pid_t reader_tid;

static inline int read_pipe(void *fd)
{
    char byte;
    reader_tid = t_tid();
    return bough_read(bough_fd_of(fd), &byte, 1) < 0 ? errno : 0;
}

static inline bough_thread *add_named(bough_branch *b, bough_fn *fn, bough_resource r, const char *name)
{
    return bough_add_with(b, fn, r, &(struct bough_child_options){.name = name});
}

static inline socklen_t unix_address(struct sockaddr_un *a, const char *name)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(a->sun_path + 1, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static inline unsigned char *load(size_t *size)
{
    unsigned char *bytes = calloc(1, 64 << 10);
    FILE *f = fopen(file_name(), "re");
    CHECK(bytes && f);
    *size = fread(bytes, 1, 64 << 10, f);
    fclose(f);
    return bytes;
}

static struct shared {
    _Atomic int ready;
} * shared;

static inline void share(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
}

#endif
