/* SPDX-License-Identifier: MIT */
/* What a dump says, and that it can be written wherever and whenever one is wanted (rule 41). */
#include <bough.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <signal.h>
#include <sys/mman.h>
#include "harness.h"

/* ---- dumps to read ---------------------------------------------------------------------------------- */

static int memory_file(void)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* What is in the file; the caller frees it. Closes it. */
static char *text_of(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && pread(fd, text, (size_t)size, 0) == size);
    close(fd);
    return text;
}

static char *dump(void)
{
    int fd = memory_file();
    CHECK_EQ(bough_dump(fd), 0);
    return text_of(fd);
}

/* `text` has a line that contains both. */
static bool says(const char *text, const char *a, const char *b)
{
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char copy[1024];
        size_t n = strcspn(line, "\n");
        snprintf(copy, sizeof copy, "%.*s", (int)n, line);
        if (strstr(copy, a) && strstr(copy, b))
            return true;
    }
    return false;
}

#define SAYS(text, a, b) \
    (says((text), (a), (b)) ? (void)0 : FAIL("no line with '%s' and '%s' in:\n%s", (a), (b), (text)))

/* ---- a tree ----------------------------------------------------------------------------------------- */

static int pipe_fds[2];
static _Atomic pid_t reader, keeper, spinner, stranger;
static _Atomic int keeper_line, stop;

static int read_pipe(void *unused)
{
    char c;
    (void)unused;
    reader = t_tid();
    return bough_read(pipe_fds[0], &c, 1) < 0 ? errno : 0;
}

static int keep(void *gate)
{
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        keeper_line = __LINE__ - 1;
        keeper = t_tid();
        t_gate_wait(gate);
    }
    return 0;
}

static int spin(void *unused)
{
    (void)unused;
    spinner = t_tid();
    while (!stop)
        ;
    return 0;
}

static void *poll_for_ever(void *fd)
{
    struct pollfd p = {.fd = *(int *)fd, .events = POLLIN};
    stranger = t_tid();
    poll(&p, 1, -1);
    return NULL;
}

static void add(bough_branch *b, bough_fn *fn, void *argument, const char *name)
{
    struct bough_child_options o = {.name = name};
    CHECK(bough_add_with(b, fn, bough_arg(argument), &o));
}

TEST(tells_who_is_there_and_where_stuck)
{
    struct t_gate gate = {0};
    struct t_thread foreign;
    char place[64], line[64];
    int other[2];
    CHECK(pipe(pipe_fds) == 0 && pipe(other) == 0);
    t_spawn(&foreign, poll_for_ever, &other[0]);
    BOUGH_BRANCH(clients, .timeout = BOUGH_SEC(100)) {
        add(clients, read_pipe, NULL, "the reader");
        add(clients, keep, &gate, "the keeper");
        add(clients, spin, NULL, "the spinner");
        t_until(reader && keeper && spinner && stranger);
        t_until_blocked(reader);
        t_until_blocked(keeper);
        t_until_blocked(stranger);
        bough_post_event(clients, &(struct bough_event){.kind = BOUGH_SIBLING, .flags = BOUGH_ALONE});
        usleep(50000);
        char *text = dump();
        snprintf(place, sizeof place, "see/dump.c:%d for ", keeper_line);
        snprintf(line, sizeof line, "  %d ", (int)stranger);
        SAYS(text, "==== bough " BOUGH_VERSION, "process ");
        SAYS(text, "branch clients at ", "deadline in 99.");
        SAYS(text, "sibling, rung 1", "posted ");
        SAYS(text, "thread the keeper", "in the critical section at ");
        SAYS(text, "thread the keeper", place);
        SAYS(text, "critical section at", place);
        SAYS(text, "thread the spinner", "running (no interruption point met since it was asked");
        SAYS(text, line, "poll(");
        SAYS(text, "      ", "libc.so");
        t_note("\n%s", text);
        free(text);
        stop = 1;
        t_gate_open(&gate);
        CHECK_EQ(write(pipe_fds[1], "", 1), 1);
    }
    close(other[1]);
    t_join(&foreign);
    close(other[0]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
