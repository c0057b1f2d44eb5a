/* SPDX-License-Identifier: MIT */
/* An extension module for the interpreter that tests/interpose/binding.c imitates. Like a real one it waits, and after
 * an EINTR asks the interpreter whether to continue. */
#include <errno.h>
#include <poll.h>

int host_check(void);
int extension_wait(int fd);

/* Returns 1 if there is something to read, -1 if the interpreter's check fails, -2 for another error. */
int extension_wait(int fd)
{
    for (;;) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        int n = poll(&wanted, 1, -1);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -2;
        if (host_check() != 0)
            return -1;
    }
}
