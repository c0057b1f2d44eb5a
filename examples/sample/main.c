/* SPDX-License-Identifier: MIT */
/* A third party's program, which uses the installed library: two workers that would wait indefinitely, stopped by the
 * failure of a third. */
#include <bough.h>

#include <errno.h>
#include <stdio.h>

static int wait_for_ever(void *unused)
{
    (void)unused;
    while (bough_check() == 0)
        bough_sleep(60);
    return ECANCELED;
}

static int fail(void *unused)
{
    (void)unused;
    return bough_fail(BOUGH_SELF, EIO, "the third one has failed");
}

int main(void)
{
    BOUGH_BRANCH(workers) {
        bough_add(workers, wait_for_ever, bough_arg(NULL));
        bough_add(workers, wait_for_ever, bough_arg(NULL));
        bough_add(workers, fail, bough_arg(NULL));
    }
    printf("bough %s: %s\n", bough_version(), bough_last()->error ? bough_last()->error->message : "no error");
    return bough_last_result() == EIO ? 0 : 1;
}
