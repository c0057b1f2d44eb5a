/* SPDX-License-Identifier: MIT */
/* Compares losses: the loops of the other loss tests with libc's calls, ended by pthread_cancel(), and with bough's
 * calls, ended by bough_interrupt(), each time in a new thread. Losses of libc are only counted and printed; a loss of
 * bough makes the test fail. */
#include "one_thread.h"
#include <dirent.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

/* One side of the comparison: a loop that ends when it is cancelled or interrupted, and the state after it. */
struct side {
    void *(*loop)(void *);
    int cancels; /* by pthread_cancel() */
};

static _Atomic long moved; /* the amount that the loop has taken */
static struct t_gate begun;
static int channel[2], listener;
static sem_t semaphore;

/* Cancellation is possible only inside this macro, so nothing is lost between a call and its count. */
#define CANCELLABLE(call)                                     \
    do {                                                      \
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);  \
        call;                                                 \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); \
    } while (0)

static void begin_loop(void)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    t_gate_open(&begun);
}

/* ---- the loops, twice each --------------------------------------------------------------------------------------- */

static void *open_loop(void *unused)
{
    begin_loop();
    for (;;) {
        int fd;
        CANCELLABLE(fd = open("/dev/null", O_RDONLY));
        close(fd);
    }
    return unused;
}

static void *bough_open_loop(void *unused)
{
    int fd;
    bough_self();
    begin_loop();
    while ((fd = bough_open("/dev/null", O_RDONLY)) >= 0)
        close(fd);
    return unused;
}

static void *accept_loop(void *unused)
{
    begin_loop();
    for (;;) {
        int fd;
        CANCELLABLE(fd = accept(listener, NULL, NULL));
        close(fd);
        moved++;
    }
    return unused;
}

static void *bough_accept_loop(void *unused)
{
    int fd;
    bough_self();
    begin_loop();
    while ((fd = bough_accept(listener, NULL, NULL)) >= 0) {
        close(fd);
        moved++;
    }
    return unused;
}

static void *read_loop(void *unused)
{
    char buffer[64];
    begin_loop();
    for (;;) {
        ssize_t n;
        CANCELLABLE(n = read(channel[0], buffer, sizeof buffer));
        moved += n;
    }
    return unused;
}

static void *bough_read_loop(void *unused)
{
    char buffer[64];
    ssize_t n;
    bough_self();
    begin_loop();
    while ((n = bough_read(channel[0], buffer, sizeof buffer)) > 0)
        moved += n;
    return unused;
}

static char zeros[100000];

static void *write_loop(void *unused)
{
    begin_loop();
    for (;;) {
        ssize_t n;
        CANCELLABLE(n = write(channel[1], zeros, sizeof zeros));
        moved += n;
    }
    return unused;
}

static void *bough_write_loop(void *unused)
{
    ssize_t n;
    bough_self();
    begin_loop();
    while ((n = bough_write(channel[1], zeros, sizeof zeros)) > 0)
        moved += n;
    return unused;
}

static void *wait_loop(void *unused)
{
    begin_loop();
    for (;;) {
        CANCELLABLE(sem_wait(&semaphore));
        moved++;
    }
    return unused;
}

static void *bough_wait_loop(void *unused)
{
    bough_self();
    begin_loop();
    while (bough_sem_wait(&semaphore) == 0)
        moved++;
    return unused;
}

/* ---- many cancels ------------------------------------------------------------------------------------------------ */

static void *feed_until_over(void *argument)
{
    uint64_t random = t_seed() ^ 0xaaaa;
    while (!rain.over)
        rain.feed(&random);
    return argument;
}

static void cancel_once(const struct side *side, uint64_t *random)
{
    struct t_thread thread;
    begun.open = 0;
    t_spawn(&thread, side->loop, NULL);
    t_gate_wait(&begun);
    rain_pause(random);
    if (side->cancels)
        CHECK_EQ(pthread_cancel(thread.handle), 0);
    else
        CHECK_EQ(bough_interrupt(bough_thread_of(thread.tid), NULL), 0);
    t_join(&thread);
}

static long how_many(void)
{
    return t_loss() / 10 + 1;
}

static void cancel_often(const struct side *side, void (*feed)(uint64_t *))
{
    uint64_t random = t_seed();
    moved = 0;
    rain.over = false;
    rain.feed = feed;
    if (feed)
        t_spawn(&rain.peer, feed_until_over, NULL);
    for (long i = how_many(); i > 0; i--)
        cancel_once(side, &random);
    rain.over = true;
    if (feed)
        t_join(&rain.peer);
}

static const char *platform(void)
{
    static char text[64] = "musl or another libc";
#ifdef __GLIBC__
    snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
#endif
    return text;
}

static void compare(const char *what, long platforms, long of_bough)
{
    t_note("%ld cancels: platform (%s, pthread_cancel) lost %ld %s; bough lost %ld", how_many(), platform(), platforms,
           what, of_bough);
    CHECK_EQ(of_bough, 0);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

enum { KNOWN = 1024 };
static bool known[KNOWN]; /* descriptors that were open before */

static void each_descriptor(void (*function)(int fd))
{
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            function(atoi(entry->d_name));
    closedir(directory);
}

static void note_known(int fd)
{
    if (fd < KNOWN)
        known[fd] = true;
}

static long closed;
static void close_unknown(int fd)
{
    if (fd >= KNOWN || !known[fd]) {
        close(fd);
        closed++;
    }
}

/* The limit must allow for all descriptors that get lost. */
static void note_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    each_descriptor(note_known);
}

static long close_the_lost(void)
{
    closed = 0;
    each_descriptor(close_unknown);
    return closed;
}

static long lost_by_open(const struct side *side)
{
    note_descriptors();
    cancel_often(side, NULL);
    return close_the_lost();
}

TEST_LIMIT(descriptors_that_open_loses, 1000)
{
    long platforms = lost_by_open(&(struct side){open_loop, 1});
    compare("descriptors", platforms, lost_by_open(&(struct side){bough_open_loop, 0}));
}

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_length = sizeof address.sun_family;
static _Atomic long connected;

static void feed_connection(uint64_t *random)
{
    rain_pause(random);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&address, address_length) == 0)
        connected++;
    close(fd);
}

/* Lost: neither accepted nor in the backlog. */
static long lost_by_accept(const struct side *side)
{
    note_descriptors();
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    address_length = sizeof address.sun_family;
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, address_length), 0);
    address_length = sizeof address;
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &address_length), 0);
    CHECK_EQ(listen(listener, 50), 0);
    connected = 0;
    cancel_often(side, feed_connection);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; moved++)
        close(fd);
    close_the_lost();
    return connected - moved;
}

TEST_LIMIT(connections_that_accept_loses, 1000)
{
    long platforms = lost_by_accept(&(struct side){accept_loop, 1});
    compare("connections", platforms, lost_by_accept(&(struct side){bough_accept_loop, 0}));
}

/* ---- bytes and tokens -------------------------------------------------------------------------------------------- */

static _Atomic long by_peer;

static void feed_bytes(uint64_t *random)
{
    rain_pause(random);
    ssize_t n = write(channel[1], zeros, 1 + t_random(random) % 100);
    if (n > 0)
        by_peer += n;
}

static void eat_bytes(uint64_t *random)
{
    static char buffer[100000];
    rain_pause(random);
    ssize_t n = read(channel[0], buffer, 1 + t_random(random) % sizeof buffer);
    if (n > 0)
        by_peer += n;
}

static long left_in_pipe(void)
{
    char buffer[4096];
    long left = 0;
    fcntl(channel[0], F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = read(channel[0], buffer, sizeof buffer)) > 0;)
        left += n;
    close(channel[0]);
    close(channel[1]);
    return left;
}

static long lost_by_read(const struct side *side)
{
    CHECK_EQ(pipe(channel), 0);
    fcntl(channel[1], F_SETFL, O_NONBLOCK);
    by_peer = 0;
    cancel_often(side, feed_bytes);
    return by_peer - moved - left_in_pipe();
}

TEST_LIMIT(bytes_that_read_loses, 1000)
{
    long platforms = lost_by_read(&(struct side){read_loop, 1});
    compare("bytes", platforms, lost_by_read(&(struct side){bough_read_loop, 0}));
}

/* Lost: written, but not reported to the writer, which would write them again. */
static long unreported_by_write(const struct side *side)
{
    CHECK_EQ(pipe(channel), 0);
    fcntl(channel[0], F_SETFL, O_NONBLOCK);
    by_peer = 0;
    cancel_often(side, eat_bytes);
    return by_peer + left_in_pipe() - moved;
}

TEST_LIMIT(bytes_that_write_does_not_report, 1000)
{
    long platforms = unreported_by_write(&(struct side){write_loop, 1});
    compare("bytes", platforms, unreported_by_write(&(struct side){bough_write_loop, 0}));
}

static void feed_token(uint64_t *random)
{
    rain_pause(random);
    if (by_peer - moved > 10)
        return;
    sem_post(&semaphore);
    by_peer++;
}

static long lost_by_wait(const struct side *side)
{
    int left;
    sem_init(&semaphore, 0, 0);
    by_peer = 0;
    cancel_often(side, feed_token);
    sem_getvalue(&semaphore, &left);
    return by_peer - moved - left;
}

TEST_LIMIT(tokens_that_sem_wait_loses, 1000)
{
    long platforms = lost_by_wait(&(struct side){wait_loop, 1});
    compare("tokens", platforms, lost_by_wait(&(struct side){bough_wait_loop, 0}));
}
