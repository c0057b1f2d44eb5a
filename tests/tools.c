/* SPDX-License-Identifier: MIT */
/* The tools of a test: checks, ordering of threads, processes, random numbers. */
#include "harness_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>

#ifndef T_SCALE_DEFAULT
#define T_SCALE_DEFAULT 1
#endif
#ifndef T_LOSS_DEFAULT
#define T_LOSS_DEFAULT 10000
#endif

/* ---- checks ------------------------------------------------------------------------------------------------------ */

void t_check_eq(const char *file, int line, const char *a_text, long long a, const char *b_text, long long b)
{
    if (a != b)
        t_fail(file, line, "%s == %s: %lld is not %lld (%#llx, %#llx)", a_text, b_text, a, b, a, b);
}

void t_check_str(const char *file, int line, const char *a_text, const char *a, const char *b_text, const char *b)
{
    if (!a || !b || strcmp(a, b) != 0)
        t_fail(file, line, "%s is %s: \"%s\" is not \"%s\"", a_text, b_text, a ? a : "(null)", b ? b : "(null)");
}

void t_check_err(const char *file, int line, const char *text, long long result, int pointer, int error)
{
    int found = errno;
    if (result != -1 && !(pointer && result == 0))
        t_fail(file, line, "%s should fail with %d (%s), and returned %lld", text, error, strerror(error), result);
    if (found != error)
        t_fail(file, line, "%s should fail with %d (%s), not with %d (%s)", text, error, strerror(error), found,
               strerror(found));
}

void t_check_status(const char *file, int line, int status, int killed, int number)
{
    if (killed ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status) && WEXITSTATUS(status) == number)
        return;
    const char *wanted = killed ? "killed by signal" : "exited with";
    if (WIFSIGNALED(status))
        t_fail(file, line, "process not %s %d, but killed by signal %d", wanted, number, WTERMSIG(status));
    t_fail(file, line, "process not %s %d, but exited with %d", wanted, number, WEXITSTATUS(status));
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

pid_t t_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

long t_bytes_in(int fd)
{
    int count;
    CHECK_EQ(ioctl(fd, FIONREAD, &count), 0);
    return count;
}

static void futex_wait(uint32_t *word, uint32_t value, int64_t ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &time, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The thread frees it, because the caller may leave its frame as soon as t_spawn() has returned. */
struct start {
    void *(*function)(void *);
    void *argument;
    struct t_thread *thread; /* valid until `go` is set */
    uint32_t go;
};

static void *thread_main(void *argument)
{
    struct start *start = argument;
    pid_t *tid = &start->thread->tid;
    __atomic_store_n(tid, t_tid(), __ATOMIC_RELEASE);
    futex_wake((uint32_t *)tid);
    while (!__atomic_load_n(&start->go, __ATOMIC_ACQUIRE))
        futex_wait(&start->go, 0, 100000000);
    void *(*function)(void *) = start->function;
    void *value = start->argument;
    free(start);
    return function(value);
}

void t_spawn(struct t_thread *thread, void *(*function)(void *), void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        t_fail(__FILE__, __LINE__, "no memory for a thread");
    thread->tid = 0;
    *start = (struct start){.function = function, .argument = argument, .thread = thread};
    int error = pthread_create(&thread->handle, NULL, thread_main, start);
    if (error)
        t_fail(__FILE__, __LINE__, "pthread_create: %s", strerror(error));
    while (__atomic_load_n(&thread->tid, __ATOMIC_ACQUIRE) == 0)
        futex_wait((uint32_t *)&thread->tid, 0, 100000000);
    __atomic_store_n(&start->go, 1, __ATOMIC_RELEASE); /* pairs with the load in thread_main(), which frees it */
    futex_wake(&start->go);
}

void *t_join(struct t_thread *thread)
{
    void *result = NULL;
    int error = pthread_join(thread->handle, &result);
    if (error)
        t_fail(__FILE__, __LINE__, "pthread_join: %s", strerror(error));
    return result;
}

/* ---- until ------------------------------------------------------------------------------------------------------- */

/* How many times longer a thread takes on this machine than on an idle one, by the mean load of the last minute. */
static double slowdown(void)
{
    enum { MOST = 10 };
    cpu_set_t processors;
    struct sysinfo info;
    if (sysinfo(&info) != 0 || sched_getaffinity(0, sizeof processors, &processors) != 0)
        return 1;
    double slow = (double)info.loads[0] / (1 << SI_LOAD_SHIFT) / CPU_COUNT(&processors);
    return slow < 1 ? 1 : slow < MOST ? slow : MOST;
}

int t_is_over(int64_t begin, double seconds)
{
    double taken = (double)(t_now() - begin) / 1e9;
    return taken > seconds && taken > seconds * slowdown();
}

static int is_too_late(int64_t begin)
{
    return t_is_over(begin, 10 * t_scale());
}

void t_until_again(int64_t begin, const char *file, int line, const char *text)
{
    if (is_too_late(begin)) {
        t_describe_threads(getpid());
        t_fail(file, line, "never came true: %s", text);
    }
    sched_yield();
    nanosleep(&(struct timespec){0, 50000}, NULL);
}

/* A snapshot of a thread: its state, its system call with arguments, how often it has slept. */
struct look {
    char state;
    char call[200];
    long switches;
};

static void look_at(pid_t tid, struct look *look)
{
    char text[4096];
    t_read_task(getpid(), tid, "stat", text, sizeof text);
    const char *paren = strrchr(text, ')');
    look->state = paren ? paren[2] : 0;
    t_read_task(getpid(), tid, "syscall", look->call, sizeof look->call);
    t_read_task(getpid(), tid, "status", text, sizeof text);
    const char *line = strstr(text, "\nvoluntary_ctxt_switches:");
    look->switches = line ? strtol(line + 25, NULL, 10) : -1;
}

/* Other system calls have fewer arguments, and leave the mark of an earlier delay in its register. */
static int is_delayed(const struct look *look)
{
    return strtol(look->call, NULL, 10) == SYS_clock_nanosleep && strstr(look->call, T_TEXT(T_DELAY_MARK));
}

/* Some containers hide the file `syscall`: then only the state and the count are compared. */
static int looks_blocked(const struct look *look)
{
    if (is_delayed(look))
        return 0;
    return look->state == 'S' && (!look->call[0] || (look->call[0] >= '0' && look->call[0] <= '9'));
}

/* Long enough for a thread that only waits for an emulator's lock, whose owner has just lost its processor, to
 * continue: 5 ms at T_SCALE=5, and longer on a busy machine. */
static long between_looks(void)
{
    enum { MOST = 4 };
    double scale = t_scale() < 7 ? t_scale() : 7, slow = slowdown() < MOST ? slowdown() : MOST;
    return (long)(200000 * scale * scale * slow);
}

void t_until_blocked(pid_t tid)
{
    int64_t begin = t_now();
    struct look first, second;
    do {
        look_at(tid, &first);
        if (!first.state || first.state == 'Z' || first.state == 'X')
            t_fail(__FILE__, __LINE__, "thread %d has ended instead of blocking", (int)tid);
        if (is_too_late(begin)) {
            t_describe_threads(getpid());
            t_fail(__FILE__, __LINE__, "thread %d does not block", (int)tid);
        }
        nanosleep(&(struct timespec){0, between_looks()}, NULL);
        look_at(tid, &second);
    } while (!looks_blocked(&first) || second.state != 'S' || first.switches != second.switches ||
             strcmp(first.call, second.call) != 0);
}

/* ---- gate and sequencer ------------------------------------------------------------------------------------------ */

void t_gate_open(struct t_gate *gate)
{
    __atomic_store_n(&gate->open, 1, __ATOMIC_RELEASE);
    futex_wake(&gate->open);
}

int t_gate_is_open(const struct t_gate *gate)
{
    return (int)__atomic_load_n(&gate->open, __ATOMIC_ACQUIRE);
}

void t_gate_wait(struct t_gate *gate)
{
    int64_t begin = t_now();
    while (!t_gate_is_open(gate)) {
        futex_wait(&gate->open, 0, 100000000);
        if (is_too_late(begin))
            t_fail(__FILE__, __LINE__, "a gate was not opened");
    }
}

void t_over(struct t_sequence *sequence)
{
    if (__atomic_load_n(&sequence->taker, __ATOMIC_RELAXED) != t_tid())
        t_fail(__FILE__, __LINE__, "t_over() without a turn");
    __atomic_store_n(&sequence->taker, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&sequence->turn, 1, __ATOMIC_RELEASE); /* pairs with the load in t_turn() */
    futex_wake(&sequence->turn);
}

void t_turn(struct t_sequence *sequence, uint32_t number)
{
    int64_t begin = t_now();
    if (__atomic_load_n(&sequence->taker, __ATOMIC_RELAXED) == t_tid())
        t_over(sequence);
    uint32_t turn;
    while ((turn = __atomic_load_n(&sequence->turn, __ATOMIC_ACQUIRE)) != number) {
        if (turn > number)
            t_fail(__FILE__, __LINE__, "turn %u is over already", number);
        futex_wait(&sequence->turn, turn, 100000000);
        if (is_too_late(begin))
            t_fail(__FILE__, __LINE__, "turn %u has not come, it is turn %u's", number, turn);
    }
    if (__atomic_exchange_n(&sequence->taker, t_tid(), __ATOMIC_RELAXED) != 0)
        t_fail(__FILE__, __LINE__, "turn %u was taken twice", number);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static int run(void (*function)(void *), void *argument, int output)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        t_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
    if (pid == 0) {
        if (output >= 0) {
            dup2(output, 1);
            dup2(output, 2);
            close(output);
        }
        function(argument);
        exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) != pid)
        if (errno != EINTR)
            t_fail(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
    return status;
}

int t_run_status(void (*function)(void *), void *argument)
{
    return run(function, argument, -1);
}

/* Each write appends. The kernel does not lock the position of such a file: if two threads wrote at the same time, one
 * would overwrite the other's line. */
int t_run_output(void (*function)(void *), void *argument, char *text, size_t size)
{
    int output = (int)syscall(SYS_memfd_create, "output", 0);
    if (output < 0 || fcntl(output, F_SETFL, O_APPEND) != 0)
        t_fail(__FILE__, __LINE__, "memfd_create or fcntl: %s", strerror(errno));
    int status = run(function, argument, output);
    ssize_t length = pread(output, text, size - 1, 0);
    text[length > 0 ? length : 0] = 0;
    close(output);
    return status;
}

/* ---- random numbers and time ------------------------------------------------------------------------------------- */

double t_scale(void)
{
    const char *text = getenv("T_SCALE");
    double scale = text ? atof(text) : 0;
    return scale > 0 ? scale : T_SCALE_DEFAULT;
}

long t_loss(void)
{
    const char *text = getenv("BOUGH_LOSS");
    long count = text ? atol(text) : 0;
    return count > 0 ? count : T_LOSS_DEFAULT;
}

uint64_t t_seed(void)
{
    static uint64_t seed;
    if (seed)
        return seed;
    const char *text = getenv("T_SEED");
    seed = text ? strtoull(text, NULL, 0) : (uint64_t)t_now() * 0x9e3779b97f4a7c15u;
    if (!seed)
        seed = 1;
    t_note("T_SEED=%llu", (unsigned long long)seed);
    return seed;
}

uint64_t t_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* ---- nothing happens --------------------------------------------------------------------------------------------- */

static int silent = -1;

/* Opened before the first test, so that no test is reported to leak it. */
__attribute__((constructor)) static void make_silent(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) == 0)
        silent = fds[0];
}

int t_silent(void)
{
    return silent;
}
