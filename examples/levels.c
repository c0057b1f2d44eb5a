/* SPDX-License-Identifier: MIT */
/* Where a thread may be interrupted, in both polarities. `serve` is started disabled and opens regions that allow it;
 * `count` may be interrupted at each point, but for its critical sections. */
#include <bough.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int serve(void *conn)
{
    int fd = bough_fd_of(conn);
    ssize_t size;
    char request[16];
    puts("serve: reads its settings, undisturbed");
    do {
        BOUGH_ALLOW /* an interrupt ends this read, and nothing else in here */
            size = bough_read(fd, request, sizeof request);
        if (size > 0 && bough_write_all(fd, "half an ", 8, NULL, 0) == 0 && bough_usleep(50000) == 0)
            bough_write_all(fd, "answer", 6, NULL, 0);
    } while (size > 0);
    puts("serve: writes its log, undisturbed");
    return ECANCELED;
}

static int count(void *unused)
{
    long left = 0, right = 0;
    (void)unused;
    while (bough_check() == 0)
        BOUGH_CRITICAL(BOUGH_MS(200)) { /* delays a stop by no more than 200 ms */
            left++;
            bough_usleep(1000);
            right++;
        }
    printf("count: its two halves are %s\n", left == right ? "equal" : "torn apart");
    return ECANCELED;
}

int main(void)
{
    int ends[2];
    char answer[15] = "";
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return 1;
    BOUGH_BRANCH(threads) {
        struct bough_child_options disabled = {.disabled = 1};
        bough_thread *server = bough_add_with(threads, serve, bough_fd(ends[1]), &disabled);
        bough_add(threads, count, bough_arg(NULL));
        bough_write_all(ends[0], "request", 7, NULL, 0);
        bough_read_full(ends[0], answer, 8, NULL, 0);
        bough_interrupt(server, "in the middle of its answer");
        bough_read_full(ends[0], answer + 8, 6, NULL, 0);
        printf("main: has %s\n", answer);
        bough_interrupt(threads, "enough");
    }
    return bough_last_result();
}
