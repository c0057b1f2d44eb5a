/* SPDX-License-Identifier: MIT */
/* An extension module of the interpreter that tests/interpose/binding.c plays: waits, and asks the interpreter whether to go
 * on, as such modules do after an EINTR. */
#include <errno.h>
#include <poll.h>

int host_check(void);
int extension_wait(int fd);

/* 1: there is something to read; -1: the interpreter says no; -2: another error. */
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
