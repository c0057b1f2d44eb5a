/* SPDX-License-Identifier: MIT */
/*
 * Rule 4: threads that share a lock are all marked at once, and woken as they get it.
 *
 * The ticker helps after 50 ms. With hooks the tests keep it from that; without hooks a round shows the behaviour
 * without the ticker only if it takes less time, and is repeated on a busy machine.
 */
#include "hooks.h"
#include <bough/interpose.h>
#include <poll.h>
#include "base/mask.h"
#include "state/arena.h"
#include "wake/pace.h"
#include "wake/ticker.h"
#include "wake/wake.h"
#include "state/current.h"

enum { CROWD = 24 };

/* What a member does after its read was interrupted. */
enum ending { STAYS, TAKES_LOCK, TAKES_LOCK_LATER, ENDS, BLOCKS_AGAIN };

static struct crowd {
    bough_branch *branch;
    enum ending ending;
    int fds[2];
    uint32_t size;
    _Atomic uint32_t blocked, cut, taken;
    struct t_gate take, leave;
    pid_t tid[CROWD];
} crowd;

static void share_a_lock(void)
{
    CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.paced = 1}), 0);
}

static int member(void *unused)
{
    char byte;
    (void)unused;
    share_a_lock();
    crowd.tid[crowd.blocked] = t_tid(); /* members start one after the other */
    crowd.blocked++;
    CHECK_ERR(bough_read(crowd.fds[0], &byte, 1), ECANCELED);
    crowd.cut++;
    if (crowd.ending == BLOCKS_AGAIN)
        CHECK_ERR(bough_read(crowd.fds[0], &byte, 1), ECANCELED);
    if (crowd.ending == TAKES_LOCK_LATER)
        t_gate_wait(&crowd.take);
    if (crowd.ending == TAKES_LOCK || crowd.ending == TAKES_LOCK_LATER) {
        bough_paced();
        crowd.taken++;
    }
    if (crowd.ending != ENDS)
        t_gate_wait(&crowd.leave);
    return ECANCELED;
}

static void begin(bough_branch *b, enum ending ending, uint32_t size)
{
    crowd = (struct crowd){.branch = b, .ending = ending, .size = size};
    CHECK_EQ(pipe(crowd.fds), 0);
    for (uint32_t i = 0; i < size; i++) {
        CHECK(bough_add(b, member, bough_arg(NULL)));
        t_until(crowd.blocked > i);
        t_until_blocked(crowd.tid[i]);
    }
}

static void end(void)
{
    t_until(crowd.cut == crowd.size);
    t_gate_open(&crowd.leave);
}

static void close_pipe(void)
{
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], crowd.size);
    t_until(bo_load_seq(&bo_pace_waiting) == 0);
    close(crowd.fds[0]);
    close(crowd.fds[1]);
}

static uint32_t marked(void)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < bo_arena.head->thread_high; i++) {
        uint64_t w = bo_load_seq(&bo_thread_at(i)->t.word);
        count += (w & BO_LIVE) && (w & BO_DUE) && bo_load_relaxed(&bo_thread_at(i)->t.paced);
    }
    return count;
}

/* ---- without the ticker ------------------------------------------------------------------------------------------ */

#if BO_HOOKS
static _Atomic bool ticker_is_held, ticker_waits;

static void hold_the_ticker(void)
{
    while (ticker_is_held) {
        ticker_waits = true;
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
    ticker_waits = false;
}

/* From now on the ticker does not help. */
static int64_t begin_alone(void)
{
    ticker_is_held = true;
    __atomic_store_n(&bo_hook_pace_tick, hold_the_ticker, __ATOMIC_SEQ_CST);
    t_until((bo_ticker_attend(), ticker_waits));
    return t_now();
}

/* The ticker has not helped since then. */
static bool was_alone(int64_t begun)
{
    (void)begun;
    return true;
}

static void end_alone(void)
{
    ticker_is_held = false;
}
#else
static int64_t begin_alone(void)
{
    return t_now();
}

static bool was_alone(int64_t begun)
{
    return t_now() < begun + ms(45);
}

static void end_alone(void)
{
}
#endif

/* So many threads were woken before the ticker helped; false: it may have helped. */
static bool are_woken_alone(int64_t begun, uint32_t count)
{
    t_until(crowd.cut >= count || !was_alone(begun));
    uint32_t woken = crowd.cut;
    if (!was_alone(begun))
        return false;
    CHECK_EQ(woken, count);
    return true;
}

/* Runs rounds until one was short enough. Each returns whether it was; false: none was. */
static bool was_alone_in_a_round(bool (*round)(void))
{
    int64_t give_up = t_now() + ms(15000);
    bool alone;
    while (!(alone = round()) && t_now() < give_up)
        continue;
    return alone;
}

static void until_alone(bool (*round)(void))
{
    if (!was_alone_in_a_round(round))
        SKIP("no round ended before the ticker helped, and this build has no hooks to keep it from that");
}

static enum ending ending_of_round;

static bool wakes_alone(void)
{
    bool alone = false;
    BOUGH_BRANCH(b) {
        begin(b, ending_of_round, CROWD);
        int64_t begun = begin_alone();
        CHECK_EQ(bough_interrupt(b, "all of them"), 0);
        if (ending_of_round == STAYS)
            CHECK_EQ(marked(), CROWD);
        alone = are_woken_alone(begun, ending_of_round == STAYS ? BO_PACE_MOST : CROWD);
        end_alone();
        end();
    }
    close_pipe();
    return alone;
}

static void woken_without_the_ticker(enum ending ending)
{
    ending_of_round = ending;
    until_alone(wakes_alone);
}

TEST(all_threads_are_marked_and_a_few_woken)
{
    woken_without_the_ticker(STAYS);
}

TEST(a_thread_that_has_the_lock_wakes_the_next)
{
    woken_without_the_ticker(TAKES_LOCK);
}

TEST(a_thread_that_ends_wakes_the_next)
{
    woken_without_the_ticker(ENDS);
}

TEST(a_thread_that_blocks_again_does_not_delay_the_others_for_long)
{
    BOUGH_BRANCH(b) {
        begin(b, BLOCKS_AGAIN, CROWD);
        CHECK_EQ(bough_interrupt(b, "all of them"), 0);
        end();
    }
    close_pipe();
}

/* ---- others ------------------------------------------------------------------------------------------------------ */

/* Four threads hold the places, and others wait for one: a thread that shares no lock need not wait. */
static bool wakes_another_at_once(void)
{
    bool alone = false;
    struct target other = {0};
    target_start(&other);
    BOUGH_BRANCH(b) {
        begin(b, STAYS, CROWD);
        int64_t begun = begin_alone();
        CHECK_EQ(bough_interrupt(b, "all of them"), 0);
        CHECK_EQ(bough_interrupt(other.self, "it as well"), 0);
        target_was_cut(&other);
        alone = was_alone(begun);
        end_alone();
        end();
    }
    close_pipe();
    target_end(&other);
    return alone;
}

TEST(a_thread_that_shares_no_lock_is_woken_at_once)
{
    until_alone(wakes_another_at_once);
}

/* A post to a member whose wake is put off adds a reason, but no second wake. */
static bool posts_again(void)
{
    struct bough_event event = {.kind = BOUGH_SIGNAL, .reason = "once more"};
    bool alone = false;
    BOUGH_BRANCH(b) {
        begin(b, STAYS, CROWD);
        int64_t begun = begin_alone();
        CHECK_EQ(bough_interrupt(b, "all of them"), 0);
        CHECK_EQ(bough_interrupt(b, "again"), 0);
        CHECK(bough_post_event(b, &event).record != 0);
        uint32_t waiting = bo_load_seq(&bo_pace_waiting);
        alone = was_alone(begun);
        CHECK(!alone || waiting == CROWD - BO_PACE_MOST);
        end_alone();
        end();
    }
    close_pipe();
    return alone;
}

TEST(posts_reach_threads_whose_wake_is_put_off)
{
    until_alone(posts_again);
}

enum { NEVER_ALONE = 77 };
static int forked_status;

static int forks(void *unused)
{
    pid_t pid = fork();
    if (pid == 0) {
        ending_of_round = TAKES_LOCK;
        _exit(was_alone_in_a_round(wakes_alone) ? 0 : NEVER_ALONE);
    }
    (void)unused;
    CHECK_EQ(waitpid(pid, &forked_status, 0), pid);
    return 0;
}

/* The new process has one thread, which waits for no place of the parent's threads. */
TEST(a_forked_process_has_new_places)
{
    if (T_TSAN)
        SKIP("ThreadSanitizer allows no new threads in a process that was forked by one of several");
    BOUGH_BRANCH(around) {
        BOUGH_BRANCH(b) {
            begin(b, STAYS, CROWD);
            CHECK_EQ(bough_interrupt(b, "all of them"), 0);
            CHECK(bough_add(around, forks, bough_arg(NULL)));
            end();
        }
        close_pipe();
    }
    if (WIFEXITED(forked_status) && WEXITSTATUS(forked_status) == NEVER_ALONE)
        SKIP("no round ended before the ticker helped");
    CHECK_EXITED(forked_status, 0);
}

/* ---- delays ------------------------------------------------------------------------------------------------------ */

static void *post_to_the_crowd(void *unused)
{
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(crowd.branch, "slowly"), 0);
    return unused;
}

/* The poster has found no place for the last thread, and is stopped there. The threads with places pass them on
 * meanwhile, and none of them sees the waiting thread. */
static bool stops_before_it_puts_off_the_last(void)
{
    struct t_thread poster;
    bool alone = false;
    hook_passed = hook_reached.open = hook_go.open = 0;
    bo_hook_pace_put_off = stop_here;
    BOUGH_BRANCH(b) {
        begin(b, TAKES_LOCK_LATER, BO_PACE_MOST + 1);
        t_spawn(&poster, post_to_the_crowd, NULL);
        t_gate_wait(&hook_reached);
        t_gate_open(&crowd.take);
        t_until(crowd.taken == BO_PACE_MOST);
        int64_t begun = begin_alone();
        t_gate_open(&hook_go);
        alone = are_woken_alone(begun, BO_PACE_MOST + 1);
        end_alone();
        t_join(&poster);
        end();
    }
    close_pipe();
    return alone;
}

TEST(a_slow_poster_does_not_lose_the_thread_whose_wake_it_puts_off)
{
    NEED_HOOKS();
    CHECK(stops_before_it_puts_off_the_last());
}

/* The mark is removed, the signal is not sent yet: the thread ends by itself, and another child, which was not
 * interrupted, gets its slot. The waking thread is a member that reports twice that it has the lock: the second report
 * has no effect. */
static struct t_gate takes_lock, other_blocked;
static pid_t other_tid;
static int ends_by_itself[2];
static struct bo_thread *slot_of_it;

static int takes_the_lock_late(void *unused)
{
    (void)unused;
    share_a_lock();
    crowd.tid[crowd.blocked] = hooked = t_tid();
    crowd.blocked++;
    CHECK_EQ(read_for_ever((void *)(intptr_t)crowd.fds[0]), ECANCELED);
    t_gate_wait(&takes_lock);
    bough_paced();
    bough_paced();
    return ECANCELED;
}

static int has_an_effect(void *unused)
{
    char byte;
    (void)unused;
    share_a_lock();
    slot_of_it = bo_self;
    crowd.tid[crowd.blocked] = t_tid();
    crowd.blocked++;
    CHECK_EQ(bough_read(ends_by_itself[0], &byte, 1), 1);
    return ECANCELED;
}

static int is_left_alone(void *unused)
{
    char byte;
    (void)unused;
    share_a_lock();
    CHECK_EQ(bo_self, slot_of_it);
    other_tid = t_tid();
    t_gate_open(&other_blocked);
    CHECK_EQ(poll(&(struct pollfd){ends_by_itself[0], POLLIN, 0}, 1, -1), 1); /* foreign code (rule 13) */
    CHECK_EQ(read(ends_by_itself[0], &byte, 1), 1);
    return 0;
}

static void add_and_wait(bough_branch *b, bough_fn *fn)
{
    uint32_t before = crowd.blocked;
    CHECK(bough_add(b, fn, bough_arg(NULL)));
    t_until(crowd.blocked > before);
    t_until_blocked(crowd.tid[before]);
}

/* All threads have places except one, whose wake is put off. */
static void post_to_five(bough_branch *b)
{
    crowd = (struct crowd){.branch = b};
    CHECK_EQ(pipe(crowd.fds), 0);
    add_and_wait(b, takes_the_lock_late);
    for (int i = 1; i < BO_PACE_MOST; i++)
        add_and_wait(b, member);
    add_and_wait(b, has_an_effect);
    begin_alone();
    CHECK_EQ(bough_interrupt(b, "all of them"), 0);
    CHECK_EQ(bo_load_seq(&slot_of_it->t.put_off), 1);
}

TEST(a_late_wake_does_not_reach_the_next_user_of_the_slot)
{
    NEED_HOOKS();
    CHECK_EQ(pipe(ends_by_itself), 0);
    bo_hook_pace_next = stop_here;
    BOUGH_BRANCH(others) {
        BOUGH_BRANCH(b) {
            post_to_five(b);
            t_gate_open(&takes_lock);
            t_gate_wait(&hook_reached);
            end_alone();
            CHECK_EQ(write(ends_by_itself[1], "x", 1), 1);
            t_until(!(bo_load_seq(&slot_of_it->t.word) & BO_LIVE));
            t_until(bough_add(others, is_left_alone, bough_arg(NULL)));
            t_gate_wait(&other_blocked);
            t_until_blocked(other_tid);
            t_gate_open(&hook_go);
            t_gate_open(&crowd.leave);
        }
        close(crowd.fds[0]);
        close(crowd.fds[1]);
        CHECK_EQ(write(ends_by_itself[1], "x", 1), 1);
    }
    CHECK_EQ(bough_last_result(), 0);
    close(ends_by_itself[0]);
    close(ends_by_itself[1]);
}

/* ---- a word that counts its most senders ------------------------------------------------------------------------- */

static struct t_gate no_room;
static _Atomic int woken_late; /* 1: woken, 2: not */

static void note_no_room(void)
{
    t_gate_open(&no_room);
}

static void *wakes_it(void *slot)
{
    woken_late = bo_wake_put_off(slot) ? 1 : 2;
    return NULL;
}

/* Fixed bug: then a wake that was put off was not sent at all. But the senders may all be writing to the event
 * descriptor. */
TEST(a_wake_that_was_put_off_waits_for_room_in_the_word)
{
    struct target t = {0};
    struct t_thread waker;
    NEED_HOOKS();
    target_start(&t);
    struct bo_thread *slot = bo_thread_of_handle(t.self);
    uint64_t mask = bo_signals_off();
    CHECK_EQ(bo_wake_step(slot, bo_word_generation(word_of(t.self)), 0, false), BO_WAKE_PUT_OFF);
    bo_signals_on(mask);
    bo_hook_post_no_room = note_no_room;
    bo_add_seq(&slot->t.word, BO_SENDERS);
    t_spawn(&waker, wakes_it, slot);
    t_until(t_gate_is_open(&no_room) || woken_late);
    bo_sub_seq(&slot->t.word, BO_SENDERS);
    t_join(&waker);
    CHECK_EQ(woken_late, 1);
    CHECK_EQ(bough_interrupt(t.self, "the end"), 0);
    target_was_cut(&t);
    target_end(&t);
}
