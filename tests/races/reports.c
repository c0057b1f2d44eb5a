/* SPDX-License-Identifier: MIT */
/* Rules 13, 40 and 41: a report or a dump names the thread that it is about, although that thread ends, and another one
 * gets its slot, before the text is written. */
#include "hooks.h"
#include <bough/ladder.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "state/arena.h"
#include "upcalls.h"

enum { OTHERS = 16 };

static struct t_thread leaver, others[OTHERS];
static _Atomic(bough_thread *) leaver_is, other_is;
static _Atomic int leaves, others_leave, other_count;
static int channel[2];

/* Waits without an interruption point. */
static void *leaves_late(void *unused)
{
    bough_thread *self = bough_adopt("leaver");
    const struct bough_ladder soon_overdue = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(10)}};
    CHECK_EQ(bough_ladder_set(self, &soon_overdue), 0);
    leaver_is = self;
    while (!leaves)
        sched_yield();
    return unused;
}

static void *is_next(void *unused)
{
    other_is = bough_adopt("other");
    while (!others_leave)
        sched_yield();
    return unused;
}

static void start_leaver(void *(*function)(void *))
{
    bough_set_report(keep_report);
    t_spawn(&leaver, function, NULL);
    t_until(leaver_is);
}

static uint32_t slot_of(bough_thread *thread)
{
    return bo_handle_index((uint64_t)(uintptr_t)thread);
}

/* The leaver ends, and a thread with another name gets its slot. */
static void change_users(void)
{
    leaves = 1;
    t_join(&leaver);
    do {
        CHECK(other_count < OTHERS);
        other_is = NULL;
        t_spawn(&others[other_count++], is_next, NULL);
        t_until(other_is);
    } while (slot_of(other_is) != slot_of(leaver_is));
}

static void others_end(void)
{
    others_leave = 1;
    for (int i = 0; i < other_count; i++)
        t_join(&others[i]);
}

/* Lets the ticker continue, and returns when it has finished its work, and its reports have arrived. */
static void ticker_goes_on(void)
{
    t_gate_open(&hook_go);
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(20)) /* the ticker ends the branch */
        while (bough_check() == 0)
            sched_yield();
    bo_ladder_drain(BO_FOREVER);
}

static bough_post post_to(bough_target target)
{
    bough_post post = bough_post_event(target, &(struct bough_event){.reason = "for the leaver"});
    CHECK(post.record);
    return post;
}

/* ---- the ladder's reports ---------------------------------------------------------------------------------------- */

static struct bough_progress progress;

static void *asks(void *post)
{
    CHECK_EQ(bough_post_progress(*(bough_post *)post, &progress), 0);
    return NULL;
}

/* Fixed bug: the report named the slot's next user, and ended after the word "is". */
TEST(a_thread_that_ends_while_the_holders_are_described_is_left_out)
{
    struct t_thread stayer, asker;
    NEED_HOOKS();
    start_leaver(leaves_late);
    t_spawn(&stayer, is_next, NULL);
    t_until(other_is);
    bough_post post = post_to(BOUGH_ROOT);
    bo_hook_holders_found = stop_here;
    t_spawn(&asker, asks, &post);
    t_gate_wait(&hook_reached);
    change_users();
    t_gate_open(&hook_go);
    t_join(&asker);
    char stays[40];
    snprintf(stays, sizeof stays, "thread %d (other) is running", (int)stayer.tid);
    CHECK(strncmp(progress.place, stays, strlen(stays)) == 0);
    CHECK(!strstr(progress.place, "and "));
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    others_end();
    t_join(&stayer);
}

static void post_until_overdue(void)
{
    post_to(leaver_is);
    t_gate_wait(&hook_reached);
}

/* Fixed bug: the report had the name of the slot's next user. */
TEST(an_incident_that_ends_before_its_step_is_not_reported)
{
    NEED_HOOKS();
    start_leaver(leaves_late);
    bo_hook_step_decided = stop_here;
    post_until_overdue();
    change_users();
    ticker_goes_on();
    CHECK_EQ(reports_kept(), 0);
    others_end();
}

static _Atomic pid_t steps;

static void note_thread(void)
{
    steps = t_tid();
}

static void stop_in_the_step(void)
{
    if (steps == t_tid())
        stop_here();
}

/* Fixed bug: the report had the place of the slot's next user. */
TEST(the_place_of_a_step_is_not_another_threads)
{
    NEED_HOOKS();
    start_leaver(leaves_late);
    bo_hook_step_decided = note_thread;
    bo_hook_slot_looked_at = stop_in_the_step;
    post_until_overdue();
    change_users();
    ticker_goes_on();
    CHECK(reported("leaver: stop (for the leaver)"));
    CHECK(!reported("other"));
    others_end();
}

/* ---- a wake that is not answered --------------------------------------------------------------------------------- */

static void *reads_deafly(void *unused)
{
    char byte;
    bough_thread *self = bough_adopt("leaver");
    block_all_signals();
    leaver_is = self;
    CHECK_EQ(bough_read(channel[0], &byte, 1), 1);
    while (!leaves)
        sched_yield();
    return unused;
}

/* Fixed bug: the report named the slot's next user. */
TEST(a_thread_that_answers_while_its_silence_is_looked_into_is_not_reported)
{
    NEED_HOOKS();
    CHECK_EQ(pipe(channel), 0);
    bo_hook_silence_found = stop_here;
    start_leaver(reads_deafly);
    t_until_blocked(leaver.tid);
    post_to(leaver_is);
    t_gate_wait(&hook_reached);
    CHECK_EQ(write(channel[1], "", 1), 1);
    change_users();
    ticker_goes_on();
    CHECK_EQ(reports_kept(), 0);
    others_end();
    close(channel[0]);
    close(channel[1]);
}

/* ---- a dump ------------------------------------------------------------------------------------------------------ */

static void *dumps(void *fd)
{
    CHECK_EQ(bough_dump(*(int *)fd), 0);
    return NULL;
}

/* Fixed bug: the line mixed the two threads. */
TEST(a_dump_leaves_out_a_thread_that_ends_meanwhile)
{
    static char text[1 << 16];
    struct t_thread dumper;
    NEED_HOOKS();
    int file = memfd_create("dump", MFD_CLOEXEC);
    CHECK(file >= 0);
    start_leaver(leaves_late);
    CHECK_EQ(slot_of(leaver_is), 1); /* so that the leaver is the first in the dump */
    bo_hook_thread_shown = stop_here;
    t_spawn(&dumper, dumps, &file);
    t_gate_wait(&hook_reached);
    change_users();
    t_gate_open(&hook_go);
    t_join(&dumper);
    CHECK(pread(file, text, sizeof text - 1, 0) > 0);
    CHECK(strstr(text, "==== end ===="));
    CHECK(!strstr(text, "thread leaver") && !strstr(text, "thread other"));
    close(file);
    others_end();
}

static bough_thread *dumper_is;

__attribute__((unused)) static void post_twice_more(void)
{
    bo_hook_record_shown = NULL;
    CHECK_EQ(bough_clear(NULL), 1);
    for (int i = 0; i < 2; i++)
        CHECK(bough_post_event(dumper_is, &(struct bough_event){.reason = "the second"}).record);
}

/* Fixed race: the line had the reason of one post, and the number of the posts that came after it. */
TEST(a_dump_leaves_out_a_record_that_is_posted_again_meanwhile)
{
    static char text[1 << 16];
    NEED_HOOKS();
    int file = memfd_create("dump", MFD_CLOEXEC);
    CHECK(file >= 0);
    dumper_is = bough_self();
    CHECK(bough_post_event(dumper_is, &(struct bough_event){.reason = "the first"}).record);
    bo_hook_record_shown = post_twice_more;
    CHECK_EQ(bough_dump(file), 0);
    CHECK(pread(file, text, sizeof text - 1, 0) > 0);
    CHECK(strstr(text, "==== end ===="));
    CHECK(!strstr(text, "the first"));
    CHECK_EQ(bough_clear(NULL), 1);
    close(file);
}
