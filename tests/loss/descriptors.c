/* SPDX-License-Identifier: MIT */
/* No descriptor is lost. ECANCELED means that none was opened, and none accepted (rules 9, 12). */
#include "one_thread.h"
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static long open_descriptors(void)
{
    long count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static int close_at_once(int fd)
{
    if (fd < 0)
        return -1;
    CHECK_EQ(close(fd), 0);
    return 0;
}

static void count_opened(void)
{
    long before = open_descriptors();
    rain_fall();
    rain_count("descriptors", before, open_descriptors());
}

/* ---- open -------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/bough-loss-XXXXXX", path[64];

static void make_folder(const char *name)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/%s", folder, name);
}

static void remove_folder(void)
{
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(folder), 0);
}

static int turn_open(uint64_t *random)
{
    (void)random;
    return close_at_once(CALL(open, "/dev/null", O_RDWR));
}

TEST_LIMIT(open_loses_no_descriptor, 1000)
{
    rain.turn = turn_open;
    count_opened();
}

static int turn_openat(uint64_t *random)
{
    return close_at_once(t_random(random) & 1 ? CALL(openat, AT_FDCWD, "/proc/self/stat", O_RDONLY)
                                              : CALL(openat, AT_FDCWD, "/dev", O_DIRECTORY | O_RDONLY));
}

TEST_LIMIT(openat_loses_no_descriptor, 1000)
{
    rain.turn = turn_openat;
    count_opened();
}

static int turn_creat(uint64_t *random)
{
    (void)random;
    return close_at_once(CALL(creat, path, 0600));
}

TEST_LIMIT(creat_loses_no_descriptor, 1000)
{
    make_folder("file");
    rain.turn = turn_creat;
    count_opened();
    remove_folder();
}

/* A FIFO's open for writing blocks until a reader comes. */
static int turn_fifo(uint64_t *random)
{
    (void)random;
    return close_at_once(CALL(open, path, O_WRONLY));
}

static void feed_fifo(uint64_t *random)
{
    rain_pause(random);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    CHECK(fd >= 0);
    rain_pause(random);
    close(fd);
}

TEST_LIMIT(a_blocked_open_loses_no_descriptor, 1000)
{
#ifdef INTERPOSED
    if (T_TSAN) /* the address sanitizer's function is not open() */
        needs_calls_of_libc();
#endif
    make_folder("fifo");
    CHECK_EQ(mkfifo(path, 0600), 0);
    rain.turn = turn_fifo;
    rain.feed = feed_fifo;
    count_opened();
    remove_folder();
}

/* ---- accept ------------------------------------------------------------------------------------------------------ */

/* A peer connects and sends the connection's number; at most BACKLOG wait to be accepted. */
enum { BACKLOG = 16, KEPT = 4 * BACKLOG };
static int listener, kept[KEPT];
static struct sockaddr_storage address;
static socklen_t address_length;
static _Atomic uint32_t connected, accepted;
static unsigned char *seen; /* by number */
static uint32_t most;
static bool with_flags;

static void see(int fd)
{
    uint32_t number = 0;
    CHECK_EQ(read(fd, &number, sizeof number), sizeof number);
    CHECK(number < most);
    seen[number]++;
    accepted++;
    /* Close by a reset, so that no port stays in use for a minute. */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

static int turn_accept(uint64_t *random)
{
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    bool asks = t_random(random) & 1;
    struct sockaddr *who = asks ? (struct sockaddr *)&from : NULL;
    int fd = with_flags ? CALL(accept4, listener, who, asks ? &length : NULL, SOCK_CLOEXEC)
                        : CALL(accept, listener, who, asks ? &length : NULL);
    if (fd < 0)
        return -1;
    see(fd);
    return 0;
}

static void feed_connection(uint64_t *random)
{
    uint32_t number = connected;
    rain_pause(random);
    if (number - accepted >= BACKLOG || number >= most)
        return;
    int *place = &kept[number % KEPT];
    if (*place > 0)
        close(*place);
    *place = socket(address.ss_family, SOCK_STREAM, 0);
    CHECK_EQ(connect(*place, (struct sockaddr *)&address, address_length), 0);
    CHECK_EQ(write(*place, &number, sizeof number), sizeof number);
    connected++;
}

static void listen_at(void)
{
    listener = socket(address.ss_family, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&address, address_length), 0);
    address_length = sizeof address;
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&address, &address_length), 0);
    CHECK_EQ(listen(listener, 4 * BACKLOG), 0);
}

static void drain_backlog(void)
{
    fcntl(listener, F_SETFL, O_NONBLOCK);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
        see(fd);
    for (int i = 0; i < KEPT; i++)
        if (kept[i] > 0)
            close(kept[i]);
    close(listener);
}

static void count_accepted(bool flags)
{
    long before = open_descriptors();
    listen_at();
    with_flags = flags;
    most = (uint32_t)t_loss() * 50 + 1000;
    seen = calloc(most, 1);
    rain.turn = turn_accept;
    rain.feed = feed_connection;
    rain_fall();
    uint32_t by_target = accepted;
    drain_backlog();
    for (uint32_t i = 0; i < most; i++)
        CHECK_EQ(seen[i], i < connected); /* each exactly once */
    t_note("accepted %u, left in the backlog %u", by_target, accepted - by_target);
    rain_count("connections", connected, accepted);
    rain_count("descriptors", before, open_descriptors());
    free(seen);
}

static void use_tcp(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(&address, &in, sizeof in);
    address_length = sizeof in;
}

static void use_unix(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(&address, &un, sizeof un);
    address_length = sizeof un.sun_family; /* the kernel chooses a name */
}

TEST_LIMIT(accept_loses_no_tcp_connection, 1000)
{
    use_tcp();
    count_accepted(false);
}

TEST_LIMIT(accept4_loses_no_tcp_connection, 1000)
{
    use_tcp();
    count_accepted(true);
}

TEST_LIMIT(accept_loses_no_local_connection, 1000)
{
    use_unix();
    count_accepted(false);
}

TEST_LIMIT(accept4_loses_no_local_connection, 1000)
{
    use_unix();
    count_accepted(true);
}
