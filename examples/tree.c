/* SPDX-License-Identifier: MIT */
/* Branches in branches, and the results when something fails: the first failure interrupts the others, and none is lost
 * on the way. */
#include <bough.h>
#include <stdio.h>

static bough_event_flag both_run;

static int compile(void *unused)
{
    (void)unused;
    bough_sleep(60); /* interrupted when the tests fail */
    return ECANCELED;
}

/* Fails although it was asked to stop: a failure in cleanup is attached to the first, and never replaces it. */
static int unit_test(void *unused)
{
    (void)unused;
    bough_event_set(&both_run);
    bough_sleep(60);
    return bough_fail(BOUGH_SELF, ENOTEMPTY, "its folder could not be removed");
}

static int system_test(void *unused)
{
    (void)unused;
    bough_event_wait(&both_run, 0);
    return bough_fail(BOUGH_SELF, EPROTO, "page %d is empty", 7);
}

/* A child that opens a branch. It does not read the result, so the collected failure becomes its failure. */
static int test(void *unused)
{
    int result;
    (void)unused;
    bough_branch *tests = bough_branch_open(&(struct bough_branch_options){.label = "tests"});
    bough_add_with(tests, unit_test, bough_arg(NULL), &(struct bough_child_options){.name = "unit"});
    bough_add_with(tests, system_test, bough_arg(NULL), &(struct bough_child_options){.name = "system"});
    result = bough_branch_end(tests);
    return result;
}

int main(void)
{
    BOUGH_BRANCH(build) {
        bough_add_with(build, compile, bough_arg(NULL), &(struct bough_child_options){.name = "compile"});
        bough_add_with(build, test, bough_arg(NULL), &(struct bough_child_options){.name = "test"});
    }
    const struct bough_ending *end = bough_last();
    printf("%s: %zu failed, %zu interrupted\n", end->label, end->tally.count[BOUGH_ERROR],
           end->tally.count[BOUGH_INTERRUPTED]);
    fflush(stdout);
    if (end->error)
        bough_error_print(end->error, 1);
    return end->result == EPROTO ? 0 : 1;
}
