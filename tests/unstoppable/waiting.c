/* SPDX-License-Identifier: MIT */
/* Waits inside the kernel for another process that hangs or is dead. */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include "keeper.h"

/* ---- vfork ------------------------------------------------------------------------------------------------------- */

static int waits_for_vfork(void *unused)
{
    (void)unused;
    about_to_sleep();
    pid_t pid = vfork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    skip("vfork: %s", strerror(errno));
}

WAY(vfork_without_exec)
{
    bough_signals(0);
    with_child_that_sleeps(waits_for_vfork, "DS");
}

/* ---- locks in shared memory -------------------------------------------------------------------------------------- */

static pthread_mutex_t *shared;

static void make_shared(int protocol)
{
    pthread_mutexattr_t attributes;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    errno = pthread_mutexattr_setprotocol(&attributes, protocol);
    must(!errno, "the lock's protocol");
    pthread_mutex_init(shared, &attributes);
}

/* Another process holds the lock, and is dead or hangs. */
static void lock_elsewhere(bool dies)
{
    int gate[2];
    char byte;
    MUST(pipe(gate) == 0);
    pid_t pid = fork_bound();
    if (pid == 0) {
        pthread_mutex_lock(shared);
        if (dies || write(gate[1], "", 1) != 1)
            _exit(0);
        hang();
    }
    if (dies)
        waitpid(pid, NULL, 0);
    else
        MUST(read(gate[0], &byte, 1) == 1);
}

static int locks(void *unused)
{
    (void)unused;
    about_to_sleep();
    pthread_mutex_lock(shared);
    skip("the lock was to be had");
}

WAY(mutex_of_a_dead_process)
{
    make_shared(PTHREAD_PRIO_NONE);
    lock_elsewhere(true);
    bough_signals(0);
    with_child_that_sleeps(locks, "S");
}

WAY(mutex_that_inherits_priority)
{
    make_shared(PTHREAD_PRIO_INHERIT);
    lock_elsewhere(false);
    bough_signals(0);
    with_child_that_sleeps(locks, "S");
}

/* ---- a lease ----------------------------------------------------------------------------------------------------- */

static char leased[] = "/tmp/bough-way-XXXXXX";

static void lease_it(void)
{
    signal(SIGIO, SIG_IGN);
    int fd = open(leased, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) != 0)
        keeper_skips("a lease");
    keeper_is_ready();
    keeper_wait(); /* until the way has ended */
    unlink(leased);
    _exit(0);
}

static int opens_it(void *unused)
{
    (void)unused;
    about_to_sleep();
    while (open(leased, O_WRONLY | O_CLOEXEC) < 0 && errno == EINTR)
        continue;
    skip("open: %s", strerror(errno));
}

WAY(lease_that_is_not_given_up)
{
    int fd = mkstemp(leased);
    MUST(fd >= 0 && close(fd) == 0);
    if (keep() == 0)
        lease_it();
    bough_signals(0);
    with_child_that_sleeps(opens_it, "S");
}

/* ---- a ring ------------------------------------------------------------------------------------------------------ */

/* A kernel thread of this process reads from a pipe: it waits, and so does the ring's owner. */
static int waits_for_a_ring(void *unused)
{
    struct io_uring_params p = {0};
    static char byte;
    int fds[2], ring = (int)syscall(SYS_io_uring_setup, 4, &p);
    (void)unused;
    if (ring < 0)
        skip("io_uring_setup: %s", strerror(errno));
    MUST(pipe(fds) == 0);
    char *queue =
        mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry =
        mmap(NULL, p.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    MUST(queue != MAP_FAILED && (void *)entry != MAP_FAILED);
    *entry = (struct io_uring_sqe){
        .opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = fds[0], .addr = (uintptr_t)&byte, .len = 1};
    *(uint32_t *)(queue + p.sq_off.array) = 0;
    __atomic_store_n((uint32_t *)(queue + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    about_to_sleep();
    while (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno == EINTR)
        continue;
    skip("io_uring_enter: %s", strerror(errno));
}

WAY(ring_that_completes_nothing)
{
    bough_signals(0);
    with_child_that_sleeps(waits_for_a_ring, "S");
}
