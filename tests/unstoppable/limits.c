/* SPDX-License-Identifier: MIT */
/* Limits of zero, and system calls that the kernel refuses. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "program.h"

static void limit_to(int what, rlim_t most)
{
    struct rlimit limit;
    MUST(getrlimit(what, &limit) == 0);
    limit.rlim_cur = most;
    MUST(setrlimit(what, &limit) == 0);
}

static void deafly_to_the_end(void)
{
    atexit(hang);
    with_child(deaf);
}

WAY(no_descriptors)
{
    bough_signals(0);
    BOUGH_BRANCH(work) {
        atexit(hang);
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        limit_to(RLIMIT_NOFILE, 0);
        begin(work);
    }
}

/* The limit holds from the start, so there is no timer. */
WAY(no_queued_signals)
{
    limit_to(RLIMIT_SIGPENDING, 0);
    bough_signals(0);
    deafly_to_the_end();
}

/* Each write to a file fails, and sends SIGXFSZ. */
WAY(no_file_size)
{
    bough_signals(0);
    limit_to(RLIMIT_FSIZE, 0);
    deafly_to_the_end();
}

/* Changes the user, because the limit does not apply to root. */
static int becomes_nobody(void *unused)
{
    MUST(setresuid(65534, 65534, 65534) == 0);
    limit_to(RLIMIT_NPROC, 1);
    return deaf(unused);
}

WAY(no_processes)
{
    bough_signals(0);
    atexit(hang);
    with_child(becomes_nobody);
}

/* The process has an empty root folder, which is removed at once. */
WAY(no_proc)
{
    char folder[] = "/tmp/bough-way-XXXXXX";
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bough_signals(0);
    MUST(mkdtemp(folder));
    bool changed = chroot(folder) == 0 && chdir("/") == 0;
    int error = errno;
    unlinkat(root, folder + 1, AT_REMOVEDIR);
    close(root);
    errno = error;
    must(changed, "chroot");
    deafly_to_the_end();
}

/* ---- system calls that are refused ------------------------------------------------------------------------------- */

static void refuse(const int *numbers, unsigned count)
{
    struct sock_filter code[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned n = 1;
    for (unsigned i = 0; i < count; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i],
                                                 (unsigned char)(count - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {(unsigned short)n, code};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

static int reads(void *fds)
{
    char byte;
    in_place();
    while (bough_read(*(int *)fds, &byte, 1) != 1)
        rest(20);
    return 0;
}

/* No thread can be sent a signal. */
static void without(const int *numbers, unsigned count)
{
    int fds[2];
    MUST(pipe(fds) == 0);
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)) && bough_add(work, reads, bough_arg(fds)));
        wait_until_in_place(2);
        refuse(numbers, count);
        begin(work);
    }
}

WAY(no_tgkill)
{
    without((int[]){SYS_tgkill, SYS_tkill}, 2);
}

WAY(no_kill)
{
    atexit(hang);
    without((int[]){SYS_tgkill, SYS_tkill, SYS_kill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo}, 5);
}

/* The system call that ends a process with several threads is refused, and those that send signals. */
WAY(no_exit_group)
{
    without((int[]){SYS_exit_group, SYS_tgkill, SYS_tkill, SYS_kill}, 4);
}
