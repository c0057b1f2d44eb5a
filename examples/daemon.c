/* SPDX-License-Identifier: MIT */
/* A daemon that blocks all signals: a thread of bough's waits for SIGHUP, SIGINT and SIGTERM instead. Try `daemon &
 * kill $!`: its workers clean up, and the process that has started it gets the signal's status, 143. */
#include <bough.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int work(void *number)
{
    while (bough_usleep(20000) == 0) {
        /* one piece of work */
    }
    BOUGH_CLEANUP(BOUGH_SEC(2)) {
        bough_usleep(20000); /* not interrupted: cleanup has two seconds from the delivery */
        printf("worker %d has tidied up\n", (int)(intptr_t)number);
    }
    return ECANCELED;
}

int main(void)
{
    struct bough_record why;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL); /* before there are threads: each inherits it */
    if (bough_signals(BOUGH_SIGNALS_WAIT) < 0)
        return perror("daemon"), 1;
    BOUGH_BRANCH(workers, .supervisor = 1) { /* if one fails the others go on */
        for (intptr_t i = 1; i <= 3; i++)
            bough_add(workers, work, bough_arg((void *)i));
        printf("process %d works\n", (int)getpid());
        fflush(stdout);
    }
    if (bough_reason(&why) == 0)
        printf("all have ended, by %s\n", why.reason);
    /* bough_clear(BOUGH_ROOT) would mark the signal as handled: then the status would be that of this return. */
    return 0;
}
