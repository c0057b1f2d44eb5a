/* SPDX-License-Identifier: MIT */
/* The child that reads untrusted debug information can read its open files and write its answers, and nothing else. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness.h"
#include "symbols.h"

/* The first call that should have failed and did not; 0: all have failed. */
static char try_everything(int file, pid_t parent)
{
    char byte;
    if (pread(file, &byte, 1, 0) != 1 || !malloc(1 << 20))
        return 'r';
    if (open("/dev/null", O_RDONLY) != -1 || errno != EPERM)
        return 'o';
    if (socket(AF_UNIX, SOCK_STREAM, 0) != -1 || errno != EPERM)
        return 's';
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != -1 || errno != EPERM)
        return 'f';
    if (kill(parent, 0) != -1 || errno != EPERM)
        return 'k';
    if (execl("/bin/true", "true", (char *)NULL) != -1 || errno != EPERM)
        return 'x';
    return mmap(NULL, (size_t)6 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED
               ? 'm'
               : 0;
}

TEST(the_child_can_do_little)
{
    int ends[2];
    char wrong = '?';
    pid_t parent = getpid();
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        int out = ends[1];
        confine_begin(&out);
        int file = open("/proc/self/exe", O_RDONLY);
        confine_end();
        wrong = try_everything(file, parent);
        _exit(write(out, &wrong, 1) != 1);
    }
    close(ends[1]);
    CHECK_EQ(read(ends[0], &wrong, 1), 1);
    close(ends[0]);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(wrong, 0);
}
