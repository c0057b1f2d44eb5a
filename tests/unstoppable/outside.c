/* SPDX-License-Identifier: MIT */
/* Other programs stop the whole process: control groups, tracers, supervisors of its system calls. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include "keeper.h"

/* ---- control groups ---------------------------------------------------------------------------------------------- */

static char group[100];

static bool put(const char *file, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", group, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
    if (fd >= 0)
        close(fd);
    return done;
}

/* In the keeper: makes a new group with the way in it. Returns false if there are no such groups. */
static bool make_group(const char *const roots[], const char *needed, pid_t way)
{
    struct stat is;
    char path[200], number[20];
    snprintf(number, sizeof number, "%d", (int)way);
    for (; *roots; roots++) {
        snprintf(group, sizeof group, "%s/bough-way-%d", *roots, (int)way);
        if (mkdir(group, 0755) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", group, needed);
        if (stat(path, &is) == 0 && put("cgroup.procs", number))
            return true;
        rmdir(group);
    }
    return false;
}

static const char *const unified[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup", NULL};
static const char *const old_freezers[] = {"/sys/fs/cgroup/freezer", NULL};
static const char *const old_quotas[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", NULL};

/* The group is removed when the way has ended. */
__attribute__((noreturn)) static void remove_group(void)
{
    for (int64_t end = keeper_end(); keeper_holds(end) && rmdir(group) != 0;)
        rest(10);
    _exit(0);
}

/* The whole process is stopped, including the warden. The timer that was set before ends it: at once, or when it is
 * thawed. */
static void freeze(const char *const roots[], const char *file, const char *frozen, const char *thawed)
{
    pid_t way = getpid();
    if (keep() == 0) {
        if (!make_group(roots, file, way))
            keeper_skips("a control group");
        keeper_is_ready();
        keeper_wait();
        note(put(file, frozen) ? "the group is frozen" : "the group can't be frozen");
        keeper_hold();
        note("the group is thawed");
        put(file, thawed);
        remove_group();
    }
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, deaf, bough_arg(NULL)));
        wait_until_in_place(1);
        begin(work);
        while (!has_climbed())
            rest(1);
        keeper_begin();
    }
}

WAY(frozen_control_group)
{
    freeze(unified, "cgroup.freeze", "1", "0");
}

WAY(frozen_by_the_old_freezer)
{
    freeze(old_freezers, "freezer.state", "FROZEN", "THAWED");
}

static int computes(void *unused)
{
    static volatile unsigned long work;
    (void)unused;
    in_place();
    while (!may_stop())
        work++;
    return 0;
}

/* All threads together have a hundredth of a processor, which one of them uses. */
WAY(starved_by_a_quota)
{
    pid_t way = getpid();
    if (keep() == 0) {
        if (!make_group(old_quotas, "cpu.cfs_quota_us", way))
            keeper_skips("a control group");
        keeper_is_ready();
        keeper_wait();
        note(put("cpu.cfs_period_us", "100000") && put("cpu.cfs_quota_us", "1000") ? "there is a quota"
                                                                                   : "there is none");
        remove_group();
    }
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, computes, bough_arg(NULL)));
        wait_until_in_place(1);
        begin(work);
        while (!has_climbed())
            rest(1);
        keeper_begin();
    }
}

/* ---- tracers ----------------------------------------------------------------------------------------------------- */

static _Atomic pid_t traced;

static int is_traced(void *unused)
{
    traced = (pid_t)syscall(SYS_gettid);
    about_to_sleep();
    return deaf(unused);
}

static void stop_it(pid_t tid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0 ||
        waitpid(tid, &status, __WALL) != tid)
        skip("ptrace: %s", strerror(errno));
}

static void run_traced(pid_t (*start)(pid_t tid))
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, is_traced, bough_arg(work)));
        wait_until_asleep("S");
        MUST(start(traced) > 0);
        wait_until_asleep("t");
        begin(work);
    }
}

/* A tracer that ends with the process. */
static pid_t start_bound(pid_t tid)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stop_it(tid);
        hang();
    }
    return pid;
}

WAY(thread_stopped_by_a_tracer)
{
    run_traced(start_bound);
}

/* The tracer never waits for the thread, which stays a zombie until the tracer ends; so does the process. */
static pid_t start_apart(pid_t tid)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        stop_it(tid);
        keeper_hold();
        note("the tracer ends");
        _exit(0);
    }
    return pid;
}

WAY(tracer_that_never_waits)
{
    run_traced(start_apart);
}

/* ---- a supervisor of system calls -------------------------------------------------------------------------------- */

static int asks_the_supervisor(void *unused)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    (void)unused;
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0);
    about_to_sleep();
    getppid();
    skip("the call has returned");
}

WAY(call_whose_supervisor_does_not_answer)
{
    bough_signals(0);
    with_child_that_sleeps(asks_the_supervisor, "S");
}
