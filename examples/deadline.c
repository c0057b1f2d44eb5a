/* SPDX-License-Identifier: MIT */
/* Deadlines: for a block, for a branch with all its children, and which one counts where they nest. */
#include <bough.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int job(void *seconds)
{
    return bough_usleep(1000 + 1000000 * (useconds_t)(intptr_t)seconds) == 0 ? 0 : errno;
}

static void of_a_block(int silent)
{
    char byte;
    BOUGH_DEADLINE(BOUGH_MS(100)) {
        if (bough_read(silent, &byte, 1) < 0)
            printf("read: %s\n", strerror(errno)); /* an interrupt like any other: ECANCELED */
    }
    printf("block: %s\n", strerror(bough_last_result())); /* here it is ETIMEDOUT */
}

static void of_a_branch(void)
{
    BOUGH_BRANCH(jobs, .timeout = BOUGH_MS(500)) {
        for (int i = 0; i < 6; i++)
            bough_add(jobs, job, bough_arg((void *)(intptr_t)(i % 2 * 60)));
    }
    const struct bough_ending *end = bough_last();
    printf("branch: %s; %zu jobs done, %zu interrupted\n", strerror(end->result), end->tally.count[BOUGH_OK],
           end->tally.count[BOUGH_INTERRUPTED]);
}

/* The earliest deadline of all enclosing branches applies: a function with a minute may have less, if its caller has
 * less. */
static void patient(int silent)
{
    char byte;
    BOUGH_DEADLINE(BOUGH_SEC(60)) {
        printf("left: %s\n", bough_deadline() - bough_now() < BOUGH_SEC(1) ? "less than a second" : "a minute");
        bough_read(silent, &byte, 1);
    }
    printf("inner block: %s\n", strerror(bough_last_result())); /* interrupted from further out: ECANCELED */
}

int main(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        return 1;
    of_a_block(ends[0]);
    of_a_branch();
    BOUGH_DEADLINE(BOUGH_MS(100))
        patient(ends[0]);
    printf("outer block: %s\n", strerror(bough_last_result()));
    return 0;
}
