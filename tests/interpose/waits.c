/* SPDX-License-Identifier: MIT */
/* Functions that wait inside libc: system(), pclose(), stdio's input. This program's calls play the part of foreign
 * code. Rule 22. */
#define _GNU_SOURCE
#include <bough.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness.h"

static const char *const program[] = {"", NULL};

static void interrupt_self(void)
{
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
}

static void check_no_child(void)
{
    CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
}

TEST(system_is_interrupted_and_its_child_reaped)
{
    struct sigaction now;
    CHECK(bough_interpose(program, 0) > 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(system("exit 3"), 3 << 8);
        interrupt_self();
        CHECK_ERR(system("exec sleep 100"), ECANCELED);
    }
    check_no_child();
    CHECK_EQ(sigaction(SIGINT, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
    CHECK_EQ(bough_clear(NULL), 1);
}

#ifdef __GLIBC__
TEST(pclose_is_interrupted_and_its_child_reaped)
{
    CHECK(bough_interpose(program, 0) > 0);
    BOUGH_FOREIGN
    {
        FILE *done = popen("exit 3", "r");
        CHECK(done != NULL);
        CHECK_EQ(pclose(done), 3 << 8);
        FILE *fed = popen("cat > /dev/null", "w"); /* ends when its input ends */
        CHECK(fed != NULL);
        CHECK_EQ(fputs("x", fed), 1);
        CHECK_EQ(pclose(fed), 0);
        FILE *hangs = popen("exec sleep 100", "r");
        CHECK(hangs != NULL);
        interrupt_self();
        CHECK_ERR(pclose(hangs), ECANCELED);
    }
    check_no_child();
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(input_is_interrupted_and_data_that_had_come_is_not_lost)
{
    int fds[2];
    char line[20] = "", *long_line = NULL;
    size_t room = 0;
    CHECK_EQ(pipe(fds), 0);
    FILE *in = fdopen(fds[0], "r");
    CHECK(bough_interpose(program, 0) > 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(write(fds[1], "one\ntw", 6), 6);
        interrupt_self();
        CHECK(fgets(line, sizeof line, in) == line); /* the line has come already */
        CHECK_EQ(strcmp(line, "one\n"), 0);
        CHECK(fgets(line, sizeof line, in) == line); /* interrupted, and returns the part that has come */
        CHECK_EQ(strcmp(line, "tw"), 0);
        CHECK(ferror(in) != 0);
        clearerr(in);
        CHECK_EQ(bough_clear(NULL), 1);
        CHECK_EQ(write(fds[1], "o\nthree\nfour", 12), 12);
        CHECK_EQ(getc(in), 'o');
        CHECK_EQ(fgetc(in), '\n');
        CHECK_EQ(getline(&long_line, &room, in), 6);
        CHECK_EQ(strcmp(long_line, "three\n"), 0);
        CHECK_EQ(fread(line, 1, 4, in), 4);
        interrupt_self();
        CHECK_ERR(getline(&long_line, &room, in), EINTR);
        CHECK(ferror(in) != 0);
    }
    clearerr(in);
    CHECK_EQ(bough_clear(NULL), 1);
    BOUGH_FOREIGN
    { /* getc_unlocked() fills the stream's buffer: its first call reads both bytes */
        CHECK_EQ(write(fds[1], "ab", 2), 2);
        CHECK_EQ(getc_unlocked(in), 'a');
        CHECK_EQ(getc_unlocked(in), 'b');
        interrupt_self();
        CHECK_ERR(getc_unlocked(in), EINTR);
    }
    clearerr(in);
    CHECK_EQ(bough_clear(NULL), 1);
    free(long_line);
    fclose(in);
    close(fds[1]);
}

/* Debian's programs call this function, because they are built with _FORTIFY_SOURCE. */
char *__fgets_chk(char *line, size_t room, int size, FILE *stream);
size_t __fread_chk(void *to, size_t room, size_t size, size_t count, FILE *stream);

TEST(input_into_buffers_of_known_size_is_interrupted)
{
    int fds[2];
    char line[20] = "";
    CHECK_EQ(pipe(fds), 0);
    FILE *in = fdopen(fds[0], "r");
    CHECK(bough_interpose(program, 0) > 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(write(fds[1], "one\ntwo", 7), 7);
        CHECK(__fgets_chk(line, sizeof line, sizeof line, in) == line);
        CHECK_STR(line, "one\n");
        CHECK_EQ(__fread_chk(line, sizeof line, 1, 3, in), 3);
        interrupt_self();
        CHECK_ERR(__fgets_chk(line, sizeof line, sizeof line, in), EINTR);
        clearerr(in);
        CHECK_EQ(bough_clear(NULL), 1);
        interrupt_self();
        CHECK_EQ(__fread_chk(line, sizeof line, 1, 3, in), 0);
        CHECK_EQ(errno, EINTR);
    }
    fclose(in);
    close(fds[1]);
}
#endif
