/* SPDX-License-Identifier: MIT */
/* Rule 41: the tree can be read at every moment, from inside the process and in a signal handler too; tests/cli reads
 * it from outside. */
#define _GNU_SOURCE
#include "climber.h"
#include <fcntl.h>
#include <sys/mman.h>

static int file;
static _Atomic int dumped;
static char text[1 << 20];

static void dump_here(int signo)
{
    (void)signo;
    dumped = bough_dump(file) == 0 ? 1 : -1;
}

static const char *what_was_dumped(void)
{
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = '\0';
    close(file);
    return text;
}

static int section_line;

static int busy(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        section_line = __LINE__ - 1;
        for (c_works = 1; !c_go;)
            usleep(1000);
    }
    return 0;
}

TEST(bough_dump_works_in_a_signal_handler_during_a_call)
{
    char place[64];
    file = memfd_create("dump", MFD_CLOEXEC);
    signal(SIGUSR1, dump_here);
    BOUGH_BRANCH(nest) {
        bough_thread *t =
            bough_add_with(nest, busy, bough_arg(NULL), &(struct bough_child_options){.name = "the writer"});
        t_until(c_works);
        bough_interrupt(t, "say goodbye");
        raise(SIGUSR1);
        c_go = 1;
    }
    CHECK_EQ(dumped, 1);
    snprintf(place, sizeof place, "rule_41_tree.c:%d", section_line);
    CHECK(strstr(what_was_dumped(), "the writer"));
    CHECK(strstr(text, "nest"));
    CHECK(strstr(text, place));
    CHECK(strstr(text, "say goodbye"));
}
