/* SPDX-License-Identifier: MIT */
/* Exits, logs and dumps that hang. */
#include "program.h"

static int full;

/* ---- rung 5 ------------------------------------------------------------------------------------------------------ */

WAY(exit_handler_hangs)
{
    bough_signals(0);
    atexit(hang);
    with_child(deaf);
}

static void hang_in_tier(void *unused)
{
    (void)unused;
    note("the tier runs");
    hang();
}

WAY(exit_tier_hangs)
{
    bough_signals(0);
    bough_exit_tier(0, hang_in_tier, NULL);
    with_child(deaf);
}

WAY(exit_that_waits)
{
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        begin(work);
        bough_exit(3, BOUGH_SEC(600));
    }
}

WAY(with_a_core)
{
    MUST(bough_last_words(getenv("BOUGH_DUMP"), -1, BOUGH_CORE) == 0);
    bough_signals(0);
    atexit(hang);
    with_child(deaf);
}

/* ---- reports that no process reads ------------------------------------------------------------------------------- */

static void write_it_out(const char *line)
{
    while (write(full, line, strlen(line)) < 0 && errno == EINTR)
        continue;
}

WAY(log_that_blocks)
{
    full = full_pipe();
    bough_set_report(write_it_out);
    bough_signals(0);
    atexit(hang);
    with_child(deaf);
}

WAY(standard_error_is_a_full_pipe)
{
    dup2(full_pipe(), STDERR_FILENO);
    bough_signals(0);
    with_child(deaf);
}

WAY(dump_to_a_full_pipe)
{
    MUST(bough_last_words(NULL, full_pipe(), 0) == 0);
    bough_signals(0);
    atexit(hang);
    with_child(deaf);
}

static void never_returns(const struct bough_transition *transition, void *unused)
{
    (void)transition, (void)unused;
    hang();
}

WAY(callback_that_blocks)
{
    bough_signals(0);
    bough_on_transition(never_returns, NULL);
    atexit(hang);
    with_child(deaf);
}
