/* SPDX-License-Identifier: MIT */
/* The machine, the kernel and other processes prevent a process from stopping. */
#include "program.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/user.h>

static void deny(long number, unsigned error, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

static int blocks_all_signals(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return deaf(unused);
}

/* main never returns: another thread of the program calls begin(). */
static void *begin_later(void *unused)
{
    (void)unused;
    wait_until_in_place(1);
    begin(BOUGH_ROOT);
    return NULL;
}

static void begin_from_a_thread(void)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, begin_later, NULL) == 0);
    pthread_detach(thread);
}

WAY(all_signals_blocked)
{
    bough_signals(BOUGH_SIGNALS_WAIT);
    atexit(hang);
    begin_from_a_thread();
    blocks_all_signals(NULL);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static int waits_for_a_stopped_one(void *unused)
{
    (void)unused;
    pid_t pid = fork_bound();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(pid, NULL, WUNTRACED);
    in_place();
    waitpid(pid, NULL, 0);
    return 0;
}

WAY(stopped_child_process)
{
    bough_signals(0);
    with_child(waits_for_a_stopped_one);
}

static void stop_and_continue(pid_t pid, int ms)
{
    rest_scaled(100);
    kill(pid, SIGSTOP);
    rest_scaled(ms);
    kill(pid, SIGCONT);
    _exit(0);
}

static void stopped_for(int ms)
{
    pid_t pid = getpid();
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        if (fork_bound() == 0)
            stop_and_continue(pid, ms);
        begin(work);
    }
}

WAY(stopped_and_continued)
{
    stopped_for(1500);
}

WAY(stopped_for_longer_than_its_grace)
{
    stopped_for(60000);
}

/* A fork during the incident; the child process lives on, and the parent's ladder does not end it. */
static int forks(void *unused)
{
    (void)unused;
    in_place();
    while (!bough_interrupted())
        rest(1);
    rest_scaled(100);
    if (fork() == 0) {
        rest_scaled(4500);
        note("the forked process was left alone");
        _exit(0);
    }
    be_deaf();
    return 0;
}

WAY(fork_in_the_middle)
{
    bough_signals(0);
    atexit(hang);
    with_child(forks);
}

/* ---- process 1 --------------------------------------------------------------------------------------------------- */

static void report_pid(pid_t pid)
{
    char line[32];
    snprintf(line, sizeof line, "pid %d\n", (int)pid);
    report(line);
}

/* execve(): the library checks whether it is process 1 when it is loaded. */
WAY(process_1)
{
    int gate[2], status = 0;
    char byte;
    if (getpid() == 1) {
        bough_signals(0);
        atexit(hang);
        with_child(deaf);
        return;
    }
    /* it has none of the library's threads: with several threads the kernel makes no new user namespace */
    pid_t single = fork();
    if (single > 0) {
        waitpid(single, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    MUST(pipe(gate) == 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MUST(read(gate[0], &byte, 1) == 1);
        execl("/proc/self/exe", "ways", "process_1", "signal", (char *)NULL);
        _exit(98);
    }
    report_pid(pid);
    MUST(write(gate[1], "x", 1) == 1 && waitpid(pid, &status, 0) == pid);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- a debugger -------------------------------------------------------------------------------------------------- */

/* A debugger that is attached to the process for 4 s (times T_SCALE), and passes its signals on. */
static void debug(pid_t pid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0)
        skip("ptrace: %s", strerror(errno));
    note("a debugger is attached");
    in_place();
    for (int i = 0; i < 400; i++) {
        rest_scaled(10);
        while (waitpid(pid, &status, WNOHANG | __WALL) == pid && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status));
    }
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    waitpid(pid, &status, __WALL);
    note("the debugger is detached");
    ptrace(PTRACE_DETACH, pid, 0, 0);
    _exit(0);
}

static bool traced(void)
{
    char text[2048] = "";
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (read(fd, text, sizeof text - 1) < 0)
        return false;
    close(fd);
    const char *tracer = strstr(text, "TracerPid:\t");
    return tracer && tracer[11] != '0';
}

WAY(debugger)
{
    pid_t pid = getpid();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        if (fork_bound() == 0)
            debug(pid);
        while (!traced())
            rest(1);
        begin(work);
    }
}

/* ---- scarcity ---------------------------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void *busy(void *unused)
{
    static volatile unsigned long work;
    (void)unused;
    for (;;)
        work++;
}

static void start_busy(int count, int policy)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct sched_param priority = {.sched_priority = policy == SCHED_FIFO ? 50 : 0};
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, policy);
    pthread_attr_setschedparam(&attributes, &priority);
    for (int i = 0; i < count; i++) {
        errno = pthread_create(&thread, &attributes, busy, NULL);
        must(!errno, "busy threads");
        pthread_detach(thread);
    }
}

WAY(starved_by_busy_threads)
{
    bough_signals(0);
    start_busy(200, SCHED_OTHER);
    with_child(deaf);
}

/* The signal comes while the processors are busy: the sender and the warden get the time that the kernel leaves
 * them. */
WAY(starved_in_real_time)
{
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        begin(work);
        while (!bough_interrupted())
            rest(1);
        start_busy((int)sysconf(_SC_NPROCESSORS_ONLN), SCHED_FIFO);
    }
}

static void *volatile last;

static int eats_all_memory(void *unused)
{
    struct rlimit little = {64 << 20, 64 << 20};
    (void)unused;
    setrlimit(RLIMIT_AS, &little);
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        while ((last = malloc(size)))
            continue;
    return deaf(NULL);
}

WAY(no_memory)
{
    bough_signals(0);
    with_child(eats_all_memory);
}

static void no_more_threads(void)
{
    deny(SYS_clone3, ENOSYS, SECCOMP_FILTER_FLAG_TSYNC);
    deny(SYS_clone, EAGAIN, SECCOMP_FILTER_FLAG_TSYNC);
}

static int lets_no_thread_start(void *unused)
{
    no_more_threads();
    return deaf(unused);
}

WAY(no_more_threads)
{
    bough_signals(0);
    atexit(hang);
    with_child(lets_no_thread_start);
}

/* The library reports that, and leaves the signal unchanged. */
WAY(no_threads_at_all)
{
    no_more_threads();
    note("bough_signals: %s", bough_signals(0) < 0 ? strerror(errno) : "fine");
    begin(BOUGH_ROOT);
    be_deaf();
}

static int reads(void *fds)
{
    char byte;
    in_place();
    return bough_read(*(int *)fds, &byte, 1) < 0 ? errno : 0;
}

WAY(without_membarrier)
{
    int fds[2];
    deny(SYS_membarrier, EPERM, 0);
    bough_signals(0);
    MUST(pipe(fds) == 0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, reads, bough_arg(fds)) && bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(2);
        begin(work);
    }
}

/* ---- without the warden ------------------------------------------------------------------------------------------ */

/* A thread of this process by its name; 0: none. */
static pid_t thread_called(const char *wanted)
{
    char path[64], name[32];
    for (pid_t tid = getpid(); tid < getpid() + 100; tid++) {
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
        if (fd >= 0)
            close(fd);
        if (n > 0 && strncmp(name, wanted, strlen(wanted)) == 0)
            return tid;
    }
    return 0;
}

/* Makes the thread exit instead of continuing the call in which it sleeps, as a debugger can. */
static void end_thread(pid_t tid)
{
#ifdef __x86_64__
    struct user_regs_struct r;
    int status;
    MUST(ptrace(PTRACE_SEIZE, tid, 0, 0) == 0);
    MUST(ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0 && waitpid(tid, &status, __WALL) == tid);
    MUST(ptrace(PTRACE_GETREGS, tid, 0, &r) == 0);
    r.rip -= 2; /* back to the system call instruction */
    r.rax = SYS_exit;
    r.orig_rax = (unsigned long long)-1;
    MUST(ptrace(PTRACE_SETREGS, tid, 0, &r) == 0 && ptrace(PTRACE_CONT, tid, 0, 0) == 0);
    waitpid(tid, &status, __WALL);
    _exit(0);
#else
    skip("written for x86-64, thread %d stays", (int)tid);
#endif
}

static void end_the_warden(void)
{
    pid_t tid = thread_called("bough-ticker");
    MUST(tid);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    pid_t pid = fork_bound();
    if (pid == 0)
        end_thread(tid);
    waitpid(pid, NULL, 0);
    while (thread_called("bough-ticker"))
        rest(1);
    note("the warden is gone");
}

static void without_warden(void (*also)(void))
{
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(work)));
        wait_until_in_place(1);
        end_the_warden();
        also();
        begin(work);
    }
}

static void nothing_else(void)
{
}

WAY(warden_is_dead)
{
    without_warden(nothing_else);
}

WAY(warden_is_dead_for_good)
{
    without_warden(no_more_threads);
}
