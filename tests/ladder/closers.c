/* SPDX-License-Identifier: MIT */
/* Closers of real resources, and their effects for the peers of a frozen thread. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <termios.h>
#include "frozen.h"

/* Registers the closers that the test has chosen, and never stops. */
static void (*registers)(struct subject *s);

static void *with_closers(void *argument)
{
    struct subject *s = argument;
    registers(s);
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return NULL;
}

static void freeze_and_close(struct subject *s, void (*with)(struct subject *s))
{
    registers = with;
    subject_start(s, with_closers);
    post_stop(s->self);
    must_freeze(s->self);
    subject_closed(s);
}

static char order[8], letters[] = "abcd";

static void note(void *letter)
{
    strncat(order, letter, 1);
}

static void three(struct subject *s)
{
    (void)s;
    CHECK(bough_closer_fn(note, &letters[0]));
    bough_closer *b = bough_closer_fn(note, &letters[1]);
    CHECK(bough_closer_fn(note, &letters[2]));
    CHECK_EQ(bough_closer_drop(b, 0), 0);
    CHECK_ERR(bough_closer_drop(b, 0), EPERM);
    CHECK_EQ(bough_closer_drop(bough_closer_fn(note, &letters[3]), 1), 0);
}

TEST(closers_run_newest_first_and_dropped_closers_do_not)
{
    struct subject s = {0};
    freeze_and_close(&s, three);
    CHECK_STR(order, "dca");
}

static void *ends(void *argument)
{
    three(argument);
    bough_self();
    return NULL;
}

TEST(a_thread_that_ends_runs_no_closer)
{
    struct t_thread t;
    t_spawn(&t, ends, NULL);
    t_join(&t);
    CHECK_STR(order, "d");
    CHECK_ERR(bough_closer_drop(NULL, 0), EINVAL);
    CHECK_ERR(bough_closer_fn(NULL, NULL), EINVAL);
    CHECK_ERR(bough_closer_fd(-1), EINVAL);
    CHECK_ERR(bough_closer_child(0), EINVAL);
}

static int fds[4];
static FILE *locked, *unlocked;
static void *mapping;

static void descriptors(struct subject *s)
{
    (void)s;
    unlocked = fdopen(fds[3], "w");
    fputs("x", unlocked);
    CHECK(bough_closer_fd(fds[1]));
    CHECK(bough_closer_file(unlocked));
    CHECK(bough_closer_heap(malloc(100)));
    CHECK(bough_closer_mapping(mapping, 4096));
}

TEST(descriptors_streams_and_memory_are_released)
{
    struct subject s = {0};
    char byte;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(pipe(fds + 2), 0);
    mapping = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    freeze_and_close(&s, descriptors);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EQ(read(fds[2], &byte, 1), 1);
    CHECK_EQ(read(fds[2], &byte, 1), 0);
    unsigned char there;
    CHECK_ERR(mincore(mapping, 4096, &there), ENOMEM);
    close(fds[0]);
    close(fds[2]);
}

static void locks_a_stream(struct subject *s)
{
    (void)s;
    locked = fdopen(fds[1], "w");
    flockfile(locked);
    CHECK(bough_closer_file(locked));
}

/* Runs in a process that does not call exit(), which would wait for the stream's lock. */
static void stream_is_locked(void *unused)
{
    static struct subject s;
    char byte;
    (void)unused;
    CHECK_EQ(pipe(fds), 0);
    freeze_and_close(&s, locks_a_stream);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    _exit(3);
}

TEST(of_a_locked_stream_only_the_descriptor_is_closed)
{
    CHECK_EXITED(t_run_status(stream_is_locked, NULL), 3);
}

static char shm_name[64];

static void shared_memory(struct subject *s)
{
    (void)s;
    char *copy = strdup(shm_name);
    CHECK(bough_closer_shm(copy));
    free(copy);
}

TEST(shared_memory_is_unlinked)
{
    struct subject s = {0};
    snprintf(shm_name, sizeof shm_name, "/bough-test-%d", (int)getpid());
    int fd = shm_open(shm_name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    freeze_and_close(&s, shared_memory);
    CHECK_ERR(shm_open(shm_name, O_RDWR, 0), ENOENT);
    close(fd);
}

static pid_t willing, unwilling;

static pid_t sleeper(int ignores)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    signal(SIGTERM, ignores ? SIG_IGN : SIG_DFL);
    for (;;)
        pause();
}

static void processes(struct subject *s)
{
    (void)s;
    CHECK(bough_closer_child(willing));
    CHECK(bough_closer_child(unwilling));
    CHECK(bough_closer_child(1)); /* not a child of this process */
}

TEST(child_processes_are_terminated_killed_and_reaped)
{
    struct subject s = {0};
    willing = sleeper(0);
    unwilling = sleeper(1);
    usleep(20000); /* until the child ignores the signal; if the signal killed it, it would be reaped as well */
    freeze_and_close(&s, processes);
    CHECK_ERR(kill(willing, 0), ESRCH);
    CHECK_ERR(kill(unwilling, 0), ESRCH);
}

static int pty;

static void raw_mode(struct subject *s)
{
    struct termios t;
    (void)s;
    CHECK_ERR(bough_closer_terminal(fds[0]), ENOTTY);
    CHECK(bough_closer_terminal(pty));
    CHECK_EQ(tcgetattr(pty, &t), 0);
    t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    CHECK_EQ(tcsetattr(pty, TCSANOW, &t), 0);
}

TEST(a_terminal_is_restored)
{
    struct subject s = {0};
    struct termios t;
    CHECK_EQ(pipe(fds), 0);
    int control = posix_openpt(O_RDWR | O_NOCTTY);
    if (control < 0 || grantpt(control) || unlockpt(control))
        SKIP("no pseudo-terminals here");
    pty = open(ptsname(control), O_RDWR | O_NOCTTY);
    freeze_and_close(&s, raw_mode);
    CHECK_EQ(tcgetattr(pty, &t), 0);
    CHECK((t.c_lflag & ECHO) && (t.c_lflag & ICANON));
    close(pty);
    close(control);
    close(fds[0]);
    close(fds[1]);
}

/* ---- robust mutexes ---------------------------------------------------------------------------------------------- */

static pthread_mutex_t *mutexes;
enum { HELD_SHARED, HELD_PRIVATE, FREE, PLAIN, COUNT };

static void initialise(pthread_mutex_t *m, int robust, int shared)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
    pthread_mutexattr_setpshared(&a, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    CHECK_EQ(pthread_mutex_init(m, &a), 0);
    pthread_mutexattr_destroy(&a);
}

static void holds_mutexes(struct subject *s)
{
    (void)s;
    CHECK_EQ(pthread_mutex_lock(&mutexes[HELD_SHARED]), 0);
    CHECK_EQ(pthread_mutex_lock(&mutexes[HELD_PRIVATE]), 0);
    CHECK(bough_closer_mutex(&mutexes[HELD_SHARED]));
    CHECK(bough_closer_mutex(&mutexes[HELD_PRIVATE]));
    CHECK(bough_closer_mutex(&mutexes[FREE]));
    CHECK_ERR(bough_closer_mutex(&mutexes[PLAIN]), EINVAL);
}

/* The other process: returns 0 if it gets EOWNERDEAD for the mutex and makes it consistent. */
static int takes(pthread_mutex_t *m)
{
    int error = pthread_mutex_lock(m);
    if (error != EOWNERDEAD || pthread_mutex_consistent(m) != 0 || pthread_mutex_unlock(m) != 0)
        return 1;
    return pthread_mutex_lock(m) || pthread_mutex_unlock(m);
}

static pthread_mutex_t *wanted;

static void *takes_it(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)takes(wanted);
}

TEST(robust_mutexes_turn_owner_dead_for_other_processes_too)
{
    struct subject s = {0};
    struct t_thread waiter;
    int status;
    char byte;
    mutexes = mmap(NULL, COUNT * sizeof *mutexes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < COUNT; i++)
        initialise(&mutexes[i], i != PLAIN, i == HELD_SHARED);
    registers = holds_mutexes;
    subject_start(&s, with_closers);
    CHECK_EQ(pipe(fds), 0);
    pid_t other = fork();
    if (other == 0)
        _exit(write(fds[1], "x", 1) != 1 || takes(&mutexes[HELD_SHARED]));
    CHECK_EQ(read(fds[0], &byte, 1), 1); /* the process waits, or is about to wait */
    wanted = &mutexes[HELD_PRIVATE];
    t_spawn(&waiter, takes_it, NULL);
    t_until_blocked(waiter.tid);
    post_stop(s.self);
    must_freeze(s.self);
    subject_closed(&s);
    CHECK_EQ(waitpid(other, &status, 0), other);
    CHECK_EXITED(status, 0);
    CHECK(!t_join(&waiter));
    CHECK_EQ(pthread_mutex_lock(&mutexes[FREE]), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutexes[FREE]), 0);
    close(fds[0]);
    close(fds[1]);
}
