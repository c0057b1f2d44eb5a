/* SPDX-License-Identifier: MIT */
/* The parts of docs/site/index.md, run. */
#include <bough.h>
#include <sys/socket.h>
#include <unistd.h>

static int served;

static int serve(void *conn)
{
    char byte;
    __atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
    return bough_read(bough_fd_of(conn), &byte, 1) < 0 ? errno : 0;
}

static int other[2];

static int next_connection(void)
{
    static int next;
    int ends[2];
    if (next == 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    other[next++] = ends[0];
    return ends[1];
}

int main(void)
{
#include "1.inc"
    char byte;
    return bough_last_result() || served > 2 || read(other[0], &byte, 1) != 0 || read(other[1], &byte, 1) != 0;
}
