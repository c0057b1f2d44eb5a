/* SPDX-License-Identifier: MIT */
/* The checks of the steps on a thread's word (state/word.h), in debug builds. */
#include <signal.h>
#include <sys/resource.h>
#include "harness.h"
#include "state/word.h"

#ifdef NDEBUG
#define NEED_CHECKS() SKIP("built with -DNDEBUG")
#else
#define NEED_CHECKS() ((void)0)
#endif

static bo_word word;

static void no_core(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static void step(uint64_t from, uint64_t to, enum bo_word_step by)
{
    no_core();
    word = bo_word_make(1, BO_LIVE) | from;
    uint64_t w = word;
    CHECK(bo_word_step(&word, &w, bo_word_make(1, BO_LIVE) | to, by));
}

static void as_listed(void *unused)
{
    (void)unused;
    step(0, BO_PENDING | BO_ALL_DUE, BO_BY_POST);
    step(BO_IN, BO_IN | BO_PENDING | BO_ALL_DUE | BO_NOTE | BO_SENDER, BO_BY_POST);
    step(BO_IN | BO_NOTE | BO_SENDER, BO_IN | BO_NOTE, BO_BY_SENT);
    word = bo_word_make(1, BO_LIVE);
    bo_word_set(&word, BO_IN, BO_BY_CALL);
    bo_word_clear(&word, BO_IN, BO_BY_CALL);
    bo_word_look(word, false);
}

static void sets_a_bit_of_anothers(void *unused)
{
    (void)unused;
    no_core();
    word = bo_word_make(1, BO_LIVE);
    bo_word_set(&word, BO_IN, BO_BY_TO_SELF);
}

static void clears_a_bit_of_anothers(void *unused)
{
    (void)unused;
    no_core();
    word = bo_word_make(1, BO_LIVE | BO_IN);
    bo_word_clear(&word, BO_IN, BO_BY_LET_IN);
}

static void counts_two_senders(void *unused)
{
    (void)unused;
    step(BO_IN, BO_IN | BO_NOTE | 2 * BO_SENDER, BO_BY_AGAIN);
}

static void signals_foreign_code(void *unused)
{
    (void)unused;
    step(BO_PENDING, BO_PENDING | BO_NOTE | BO_SENDER, BO_BY_AGAIN);
}

static void is_due_for_nothing(void *unused)
{
    (void)unused;
    step(0, BO_DUE, BO_BY_LEVEL);
}

static void ends_without_a_right_to(void *unused)
{
    (void)unused;
    no_core();
    word = bo_word_make(1, BO_LIVE);
    uint64_t w = word;
    bo_word_step(&word, &w, bo_word_make(2, 0), BO_BY_LEVEL);
}

static void stays_in_its_call(void *unused)
{
    (void)unused;
    no_core();
    bo_word_look(bo_word_make(1, BO_LIVE | BO_IN), false);
}

TEST(listed_steps_pass_the_check)
{
    CHECK_EXITED(t_run_status(as_listed, NULL), 0);
}

TEST(other_steps_abort_a_debug_build)
{
    static void (*const wrong[])(void *) = {
        sets_a_bit_of_anothers, clears_a_bit_of_anothers, counts_two_senders, signals_foreign_code,
        is_due_for_nothing,     ends_without_a_right_to,  stays_in_its_call,
    };
    char text[400];
    NEED_CHECKS();
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_KILLED(t_run_output(wrong[i], NULL, text, sizeof text), SIGABRT);
}
