/* SPDX-License-Identifier: MIT */
/* Twenty jobs, three at a time. */
#include <bough.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static atomic_int running, most;

static int job(void *number)
{
    int now = atomic_fetch_add(&running, 1) + 1, before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
    bough_usleep(10000 + 1000 * (useconds_t)(intptr_t)number);
    atomic_fetch_sub(&running, 1);
    return 0;
}

int main(void)
{
    bough_signals(0); /* Ctrl-C ends it cleanly */
    BOUGH_BRANCH(jobs) {
        bough_bounded *three = bough_bounded_new(jobs, 3);
        for (intptr_t i = 0; i < 20; i++)
            if (!bough_bounded_add(three, job, bough_arg((void *)i)))
                break; /* interrupted, or a job has failed */
    }
    printf("at most %d at a time\n", atomic_load(&most));
    return bough_last_result() != 0;
}
