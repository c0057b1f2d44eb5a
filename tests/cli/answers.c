/* SPDX-License-Identifier: MIT */
/* The time that the command waits for an answer. Fixed bug: it gave up after 3 s, even if the process was writing a
 * long dump. */
#include <bough.h>
#include <stdatomic.h>
#include <pthread.h>
#include <unistd.h>
#include "harness.h"
#include "mailbox.h"

static struct bo_request box;
static _Atomic int until_answer, ended;

static bool is_named(pid_t tid, const char *wanted)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    FILE *f = fopen(path, "re");
    bool found = f && fgets(name, sizeof name, f) && strncmp(name, wanted, strlen(wanted)) == 0;
    if (f)
        fclose(f);
    return found;
}

/* Shows progress each 50 ms, and answers after a number of these. */
static void *works(void *unused)
{
    box.state = BO_REQUEST_READ;
    for (int i = 0; i != until_answer && !ended; i++) {
        usleep(50000);
        box.work++;
    }
    box.state = BO_REQUEST_ANSWERED;
    return unused;
}

static bool wait_for_work(int signs, int64_t patience, int64_t longest)
{
    struct t_thread thread;
    box.state = BO_REQUEST_SENT;
    ended = 0;
    until_answer = signs;
    t_spawn(&thread, works, NULL);
    bool answered = mailbox_wait(&box, 0, patience, longest);
    ended = 1;
    t_join(&thread);
    return answered;
}

TEST(the_command_waits_as_long_as_there_is_work)
{
    int64_t patience = (int64_t)(2000 * t_scale());
    /* tried again, if the working thread got no processor for that time */
    CHECK(wait_for_work(60, patience, 600000) || wait_for_work(180, 3 * patience, 600000));
}

TEST(the_command_does_not_wait_for_a_process_that_works_without_end)
{
    int64_t begun = t_now();
    CHECK(!wait_for_work(-1, 600000, 1500));
    CHECK(t_now() - begun >= BOUGH_MS(1500));
}

TEST(the_command_does_not_wait_for_a_process_that_does_nothing)
{
    int64_t begun = t_now();
    box.state = BO_REQUEST_SENT;
    CHECK(!mailbox_wait(&box, getpid(), 300, 600000));
    CHECK(t_now() - begun >= BOUGH_MS(300));
}

/* Competes for processors, as on a machine with many more threads than processors. */
static void *wants_a_processor(void *unused)
{
    pthread_setname_np(pthread_self(), "bough-ticker");
    while (!ended)
        ;
    return unused;
}

TEST(the_command_waits_for_a_process_that_gets_no_processor)
{
    struct t_thread thread;
    int64_t begun = t_now();
    box.state = BO_REQUEST_SENT;
    t_spawn(&thread, wants_a_processor, NULL);
    t_until(is_named(thread.tid, "bough-ticker"));
    CHECK(!mailbox_wait(&box, getpid(), (int64_t)(500 * t_scale()), (int64_t)(2000 * t_scale())));
    CHECK(t_now() - begun >= (int64_t)(BOUGH_MS(2000) * t_scale()));
    ended = 1;
    t_join(&thread);
}
