/* SPDX-License-Identifier: MIT */
/* Helpers of tests that read dumps. */
#ifndef TEST_DUMPS_H
#define TEST_DUMPS_H

#include <bough.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include "../sync/not_under.h"
#include "harness.h"

#define HELPER __attribute__((unused)) static

HELPER int memory_file(void)
{
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* Closes the file and returns its contents; the caller frees them. */
HELPER char *text_of(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && pread(fd, text, (size_t)size, 0) == size);
    close(fd);
    return text;
}

/* `text` has a line that contains both. */
HELPER bool says(const char *text, const char *a, const char *b)
{
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char copy[1024];
        snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
        if (strstr(copy, a) && strstr(copy, b))
            return true;
    }
    return false;
}

#define SAYS(text, a, b) \
    (says((text), (a), (b)) ? (void)0 : FAIL("no line with '%s' and '%s' in:\n%s", (a), (b), (text)))

/* Checks that the dump is complete, from its head to its end. */
HELPER void check_whole(const char *text)
{
    CHECK(strncmp(text, "==== bough " BOUGH_VERSION ": ", 11) == 0);
    const char *end = strstr(text, "==== end ====");
    CHECK_STR(end ? end : text, "==== end ====\n");
}

/* Returns a complete dump, which the caller frees. */
HELPER char *dump(void)
{
    int fd = memory_file();
    CHECK_EQ(bough_dump(fd), 0);
    char *text = text_of(fd);
    check_whole(text);
    return text;
}

/* ---- a crowd that waits ------------------------------------------------------------------------------------------ */

struct crowd {
    int pipe[2];
    _Atomic int began;
    _Atomic pid_t last;
};

HELPER int crowd_reads(void *argument)
{
    struct crowd *c = argument;
    char byte;
    c->last = t_tid();
    c->began++;
    return bough_read(c->pipe[0], &byte, 1) < 0 ? errno : 0;
}

/* Adds threads, so that a dump is larger than a pipe of one page. */
HELPER void crowd_add(struct crowd *c, bough_branch *b, int count)
{
    CHECK_EQ(pipe(c->pipe), 0);
    for (int i = 0; i < count; i++) {
        CHECK(bough_add(b, crowd_reads, bough_arg(c)));
        t_until(c->began == i + 1);
        t_until_blocked(c->last);
    }
}

/* The children read the end of the file, and end. The branch has to end before crowd_over(). */
HELPER void crowd_end(struct crowd *c)
{
    CHECK_EQ(close(c->pipe[1]), 0);
}

HELPER void crowd_over(struct crowd *c)
{
    CHECK_EQ(close(c->pipe[0]), 0);
}

/* A pipe that takes a page. */
HELPER void small_pipe(int fds[2])
{
    CHECK_EQ(pipe(fds), 0);
    CHECK(fcntl(fds[1], F_SETPIPE_SZ, 4096) == 4096);
}

#endif
