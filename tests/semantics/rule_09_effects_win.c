/* SPDX-License-Identifier: MIT */
/*
 * Rule 9: a completed or partial effect wins: its result is returned, the record stays pending. ECANCELED means that
 * nothing happened. That nothing did is seen for each call in the plays of tests/calls; here are the effects that
 * win, and the listed exceptions.
 */
#include "target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* A thread that makes one call, and is interrupted when that blocks. */
struct caller {
    long (*call)(struct caller *c);
    bough_thread *thread;
    int fd[2];
    int from;
    long result;
    int error;
    char *buffer;
};

enum { BIG = 1 << 23 };

static void *make_call(void *argument)
{
    struct caller *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    errno = 0;
    c->result = c->call(c);
    c->error = errno;
    /* What won has cleared nothing: the next point is cut. */
    CHECK_EQ(bough_interrupted(), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

static void cut(struct caller *c)
{
    struct t_thread thread;
    t_spawn(&thread, make_call, c);
    t_until(__atomic_load_n(&c->thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(c->thread, NULL), 0);
    t_join(&thread);
}

static long bytes_in(int fd)
{
    int count;
    CHECK_EQ(ioctl(fd, FIONREAD, &count), 0);
    return count;
}

static void close_both(struct caller *c)
{
    close(c->fd[0]);
    close(c->fd[1]);
}

/* ---- partial effects ------------------------------------------------------------------------------------- */

static void in_part(struct caller *c)
{
    c->buffer = calloc(1, BIG);
    cut(c);
    CHECK(c->result > 0 && c->result < BIG);
    CHECK_EQ(bytes_in(c->fd[0]), c->result);
    free(c->buffer);
    close_both(c);
}

static long write_big(struct caller *c)
{
    return bough_write(c->fd[1], c->buffer, BIG);
}

TEST(write_returns_what_was_written)
{
    struct caller c = {.call = write_big};
    CHECK_EQ(pipe(c.fd), 0);
    in_part(&c);
}

static long writev_big(struct caller *c)
{
    struct iovec iov[2] = {{c->buffer, BIG / 2}, {c->buffer + BIG / 2, BIG / 2}};
    return bough_writev(c->fd[1], iov, 2);
}

TEST(writev_returns_what_was_written)
{
    struct caller c = {.call = writev_big};
    CHECK_EQ(pipe(c.fd), 0);
    in_part(&c);
}

static long send_big(struct caller *c)
{
    return bough_send(c->fd[1], c->buffer, BIG, 0);
}

TEST(send_returns_what_was_sent)
{
    struct caller c = {.call = send_big};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0);
    in_part(&c);
}

static long sendfile_big(struct caller *c)
{
    return bough_sendfile(c->fd[1], c->from, NULL, BIG);
}

TEST(sendfile_returns_what_was_copied)
{
    struct caller c = {.call = sendfile_big, .from = (int)syscall(SYS_memfd_create, "big", 0)};
    CHECK_EQ(ftruncate(c.from, BIG), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0); /* into a pipe it returns after each part anyway */
    in_part(&c);
    CHECK_EQ(lseek(c.from, 0, SEEK_CUR), c.result);
    close(c.from);
}

static long receive_all(struct caller *c)
{
    char buffer[10];
    return bough_recv(c->fd[0], buffer, sizeof buffer, MSG_WAITALL);
}

TEST(recv_returns_what_has_come)
{
    struct caller c = {.call = receive_all};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0);
    CHECK_EQ(write(c.fd[1], "abc", 3), 3);
    cut(&c);
    CHECK_EQ(c.result, 3);
    close_both(&c);
}

static long receive_two(struct caller *c)
{
    char buffers[2][4];
    struct iovec iov[2] = {{buffers[0], 4}, {buffers[1], 4}};
    struct mmsghdr messages[2];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_iov = &iov[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return bough_recvmmsg(c->fd[0], messages, 2, 0, NULL);
}

TEST(recvmmsg_returns_how_many_have_come)
{
    struct caller c = {.call = receive_two};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, c.fd), 0);
    CHECK_EQ(write(c.fd[1], "abc", 3), 3);
    cut(&c);
    CHECK_EQ(c.result, 1);
    close_both(&c);
}

/* ---- an effect that could be had, but the interrupt was first: it is there for the next ------------------- */

TEST(what_is_ready_stays_ready)
{
    char c;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_read(fds[0], &c, 1), ECANCELED);
    CHECK_EQ(bytes_in(fds[0]), 1);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
}

static int tcp_server(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK_EQ(bind(fd, (struct sockaddr *)address, length), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &length), 0);
    CHECK_EQ(listen(fd, 0), 0);
    return fd;
}

static int tcp_client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

TEST(a_connection_stays_in_the_queue)
{
    struct sockaddr_in address;
    int server = tcp_server(&address), client = tcp_client(&address);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_accept(server, NULL, NULL), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    int conn = bough_accept(server, NULL, NULL);
    CHECK(conn >= 0);
    close(conn);
    close(client);
    close(server);
}

/* ---- tokens: each is taken or there, whatever comes at the same time -------------------------------------- */

struct race {
    sem_t semaphore;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bough_thread *thread;
    long taken, cuts, rounds;
    uint32_t posted, over;
};

static void *take_tokens(void *argument)
{
    struct race *r = argument;
    __atomic_store_n(&r->thread, bough_self(), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&r->over, __ATOMIC_ACQUIRE)) {
        if (bough_sem_wait(&r->semaphore) == 0) {
            r->taken++;
            continue;
        }
        CHECK_EQ(errno, ECANCELED);
        r->cuts++;
        bough_clear(NULL);
    }
    bough_clear(NULL);
    return NULL;
}

static void linger(int turns)
{
    for (volatile int spin = 0; spin < turns; spin++) {
    }
}

static void *post_tokens(void *argument)
{
    struct race *r = argument;
    for (long i = 0; i < r->rounds; i++) {
        CHECK_EQ(sem_post(&r->semaphore), 0);
        linger(3000);
    }
    __atomic_store_n(&r->posted, 1, __ATOMIC_RELEASE);
    return NULL;
}

TEST_LIMIT(no_token_is_lost, 60)
{
    struct race r = {.rounds = t_loss()};
    struct t_thread taker, poster;
    int left;
    CHECK_EQ(sem_init(&r.semaphore, 0, 0), 0);
    t_spawn(&taker, take_tokens, &r);
    t_until(__atomic_load_n(&r.thread, __ATOMIC_ACQUIRE));
    t_spawn(&poster, post_tokens, &r);
    do {
        CHECK_EQ(bough_interrupt(r.thread, NULL), 0);
        linger(2000);
    } while (!__atomic_load_n(&r.posted, __ATOMIC_ACQUIRE));
    t_join(&poster);
    __atomic_store_n(&r.over, 1, __ATOMIC_RELEASE);
    bough_interrupt(r.thread, NULL); /* unless it has ended already */
    t_join(&taker);
    CHECK_EQ(sem_getvalue(&r.semaphore, &left), 0);
    CHECK_EQ(r.taken + left, r.rounds);
    t_note("%ld tokens, %ld cuts", r.rounds, r.cuts);
    sem_destroy(&r.semaphore);
}

/* ---- conditions: a wake-up is had by one who waits ---------------------------------------------------------- */

struct waiter {
    struct race *race;
    bough_thread *thread;
    int waits, back, result;
};

static void *wait_on_cond(void *argument)
{
    struct waiter *w = argument;
    __atomic_store_n(&w->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0);
    __atomic_store_n(&w->waits, 1, __ATOMIC_RELEASE);
    w->result = bough_pthread_cond_wait(&w->race->cond, &w->race->mutex);
    __atomic_store_n(&w->back, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
    bough_clear(NULL);
    return NULL;
}

static void until_waiting(struct waiter *w, struct t_thread *thread)
{
    t_spawn(thread, wait_on_cond, w);
    t_until(__atomic_load_n(&w->waits, __ATOMIC_ACQUIRE));
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0); /* it has let go of it: it waits */
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
}

/* One is interrupted and one signal is sent, in either order: if the one is cut, the other has the signal. */
static void signal_and_interrupt(struct race *r, int signal_first)
{
    struct waiter one = {.race = r}, other = {.race = r};
    struct t_thread threads[2];
    until_waiting(&one, &threads[0]);
    until_waiting(&other, &threads[1]);
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    if (signal_first)
        CHECK_EQ(pthread_cond_signal(&r->cond), 0);
    CHECK_EQ(bough_interrupt(one.thread, NULL), 0);
    if (!signal_first)
        CHECK_EQ(pthread_cond_signal(&r->cond), 0);
    CHECK_EQ(pthread_mutex_unlock(&r->mutex), 0);
    t_until(__atomic_load_n(&one.back, __ATOMIC_ACQUIRE));
    CHECK(one.result == 0 || one.result == ECANCELED);
    if (one.result == ECANCELED)
        t_until(__atomic_load_n(&other.back, __ATOMIC_ACQUIRE));
    CHECK_EQ(pthread_cond_broadcast(&r->cond), 0);
    t_join(&threads[0]);
    t_join(&threads[1]);
    CHECK_EQ(other.result, 0);
}

TEST_LIMIT(no_wake_up_is_lost, 60)
{
    struct race r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    for (int i = 0; i < 100; i++)
        signal_and_interrupt(&r, i & 1);
}

static void make_robust(struct race *r)
{
    void *list;
    size_t size;
    if (syscall(SYS_get_robust_list, 0, &list, &size) != 0)
        SKIP("no robust mutexes here: %s", strerror(errno));
    pthread_mutexattr_t attributes;
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_EQ(pthread_mutex_init(&r->mutex, &attributes), 0);
    CHECK_EQ(pthread_cond_init(&r->cond, NULL), 0);
}

static void *wait_robustly(void *argument)
{
    struct waiter *w = argument;
    __atomic_store_n(&w->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_EQ(pthread_mutex_lock(&w->race->mutex), 0);
    w->result = bough_pthread_cond_wait(&w->race->cond, &w->race->mutex);
    CHECK_EQ(pthread_mutex_consistent(&w->race->mutex), 0); /* EINVAL if it were not held, owner-dead */
    CHECK_EQ(bough_pthread_cond_wait(&w->race->cond, &w->race->mutex), ECANCELED);
    CHECK_EQ(pthread_mutex_unlock(&w->race->mutex), 0);
    bough_clear(NULL);
    return NULL;
}

static void *die_with_mutex(void *argument)
{
    struct race *r = argument;
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    CHECK_EQ(bough_interrupt(r->thread, NULL), 0);
    return NULL;
}

/* The mutex comes first, and says that it is broken; the interrupt is met next. */
TEST(owner_dead_wins)
{
    struct race r = {.rounds = 0};
    struct waiter w = {.race = &r};
    struct t_thread waiter, owner;
    make_robust(&r);
    t_spawn(&waiter, wait_robustly, &w);
    t_until(__atomic_load_n(&w.thread, __ATOMIC_ACQUIRE));
    t_until_blocked(waiter.tid);
    r.thread = w.thread;
    t_spawn(&owner, die_with_mutex, &r);
    t_join(&owner);
    t_join(&waiter);
    CHECK_EQ(w.result, EOWNERDEAD);
    CHECK_EQ(pthread_mutex_destroy(&r.mutex), 0);
}

static void *interrupt_holding(void *argument)
{
    struct race *r = argument;
    CHECK_EQ(pthread_mutex_lock(&r->mutex), 0);
    CHECK_EQ(bough_interrupt(r->thread, NULL), 0);
    t_until_blocked((pid_t)r->rounds); /* the waiter, now for the mutex */
    r->taken = 1;
    CHECK_EQ(pthread_mutex_unlock(&r->mutex), 0);
    return NULL;
}

/* A cut wait comes back with the mutex, not before. */
TEST(a_condition_takes_its_mutex_first)
{
    struct race r = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct waiter w = {.race = &r};
    struct t_thread waiter, holder;
    until_waiting(&w, &waiter);
    r.thread = w.thread;
    r.rounds = waiter.tid;
    t_spawn(&holder, interrupt_holding, &r);
    t_join(&waiter);
    CHECK_EQ(r.taken, 1);
    CHECK_EQ(w.result, ECANCELED);
    t_join(&holder);
}

/* ---- what won leaves the record pending: it was not delivered by a call that succeeded ------------------------- */

/* A handler on top of the call does what the call waits for, and posts: both are there when the call looks. */
static struct wins {
    sem_t posix_sem;
    bough_sem bough_sem;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct t_thread joined;
    struct t_gate end;
    bough_thread *self;
    bough_post post;
    int (*call)(void);
    int result;
} wins;

static int by_posix_sem(void)
{
    return bough_sem_wait(&wins.posix_sem);
}

static int by_bough_sem(void)
{
    return bough_sem_acquire(&wins.bough_sem, 0);
}

static int by_join(void)
{
    return bough_pthread_join(wins.joined.handle, NULL);
}

static int by_cond(void)
{
    CHECK_EQ(pthread_mutex_lock(&wins.mutex), 0);
    int error = bough_pthread_cond_wait(&wins.cond, &wins.mutex);
    CHECK_EQ(pthread_mutex_unlock(&wins.mutex), 0);
    return error;
}

static void post_here(void)
{
    wins.post = bough_post_event(wins.self, NULL);
    CHECK(wins.post.record);
}

static void give_tokens(int signo)
{
    (void)signo;
    CHECK_EQ(sem_post(&wins.posix_sem), 0);
    CHECK_EQ(bough_sem_release(&wins.bough_sem), 0);
    post_here();
}

/* The kernel clears the ended thread's id, which is what the join waits for. */
static void let_it_end(int signo)
{
    char path[64];
    (void)signo;
    snprintf(path, sizeof path, "/proc/self/task/%d", (int)wins.joined.tid);
    t_gate_open(&wins.end);
    t_until(access(path, F_OK) != 0);
    post_here();
}

static void *wait_for_end(void *unused)
{
    t_gate_wait(&wins.end);
    return unused;
}

static void *win(void *unused)
{
    __atomic_store_n(&wins.self, bough_self(), __ATOMIC_RELEASE);
    wins.result = wins.call();
    CHECK_EQ(bough_post_status(wins.post), BOUGH_POST_PENDING);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_post_status(wins.post), BOUGH_POST_DELIVERED);
    CHECK_EQ(bough_clear(NULL), 1);
    return unused;
}

static void start_to_win(struct t_thread *thread, int (*call)(void))
{
    wins.call = call;
    t_spawn(thread, win, NULL);
    t_until(__atomic_load_n(&wins.self, __ATOMIC_ACQUIRE));
    t_until_blocked(thread->tid);
}

static void wins_on_top(int (*call)(void), void (*handler)(int))
{
    struct t_thread thread;
    NEED_HANDLERS_ON_TOP();
    catch_signal(SIGUSR1, handler, 0, 0);
    start_to_win(&thread, call);
    CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
    t_join(&thread);
    CHECK_EQ(wins.result, 0);
}

TEST(a_token_wins_and_delivers_nothing)
{
    sem_init(&wins.posix_sem, 0, 0);
    wins_on_top(by_posix_sem, give_tokens);
}

TEST(a_token_of_ours_wins_and_delivers_nothing)
{
    sem_init(&wins.posix_sem, 0, 0);
    wins_on_top(by_bough_sem, give_tokens);
}

TEST(an_end_wins_and_delivers_nothing)
{
    t_spawn(&wins.joined, wait_for_end, NULL);
    wins_on_top(by_join, let_it_end);
}

TEST(a_condition_wins_and_delivers_nothing)
{
    struct t_thread thread;
    wins.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    wins.cond = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    start_to_win(&thread, by_cond);
    CHECK_EQ(pthread_mutex_lock(&wins.mutex), 0);
    CHECK_EQ(pthread_cond_signal(&wins.cond), 0);
    t_until_blocked(thread.tid); /* now for the mutex */
    post_here();
    CHECK_EQ(pthread_mutex_unlock(&wins.mutex), 0);
    t_join(&thread);
    CHECK_EQ(wins.result, 0);
}

/* ---- a cut connect goes on in the kernel --------------------------------------------------------------------- */

static struct sockaddr_in busy;

static long connect_to_busy(struct caller *c)
{
    return bough_connect(c->fd[1], (struct sockaddr *)&busy, sizeof busy);
}

TEST(a_cut_connect_goes_on)
{
    struct caller c = {.call = connect_to_busy};
    c.fd[0] = tcp_server(&busy);
    int first = tcp_client(&busy); /* a backlog of 0 has room for one: the next waits */
    c.fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    cut(&c);
    CHECK_EQ(c.result, -1);
    CHECK_EQ(c.error, ECANCELED);
    CHECK_EQ(fcntl(c.fd[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_ERR(connect(c.fd[1], (struct sockaddr *)&busy, sizeof busy), EALREADY);
    /* Called again it waits for the end of the same attempt. */
    CHECK_EQ(fcntl(c.fd[1], F_SETFL, 0), 0);
    close(accept(c.fd[0], NULL, NULL));
    CHECK_EQ(bough_connect(c.fd[1], (struct sockaddr *)&busy, sizeof busy), 0);
    close(first);
    close_both(&c);
}

/* ---- close always closes --------------------------------------------------------------------------------------- */

TEST(close_closes)
{
    int fd = dup(0);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_EQ(bough_close(fd), 0);
    CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
    CHECK_ERR(bough_close(fd), EBADF);
    CHECK_EQ(bough_clear(NULL), 1);
}
