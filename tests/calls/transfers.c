/* SPDX-License-Identifier: MIT */
/* Reading and writing in full. */
#include "harness.h"

#include <bough.h>
#include <fcntl.h>
#include <pty.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>

enum { BIG = 1 << 22 };

static void close_both(int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static void make_pipe(int fds[2])
{
    CHECK_EQ(pipe(fds), 0);
}

static void make_nonblocking_pipe(int fds[2])
{
    CHECK_EQ(pipe2(fds, O_NONBLOCK), 0);
}

static void make_socket_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void make_nonblocking_pair(int fds[2])
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

/* A terminal's two ends, which pass every byte on as it is. */
static void make_terminal(int fds[2])
{
    struct termios raw;
    if (openpty(&fds[1], &fds[0], NULL, NULL, NULL) != 0)
        SKIP("no pseudo-terminal here: %s", strerror(errno));
    CHECK_EQ(tcgetattr(fds[0], &raw), 0);
    cfmakeraw(&raw);
    CHECK_EQ(tcsetattr(fds[0], TCSANOW, &raw), 0);
}

static void (*const kinds[])(int fds[2]) = {make_pipe, make_nonblocking_pipe, make_socket_pair, make_nonblocking_pair,
                                            make_terminal};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- a thread that reads or writes in full ----------------------------------------------------------------------- */

struct transfer {
    bough_thread *thread;
    int fd, result, error;
    char *buffer;
    size_t size, done;
    bough_time deadline;
    struct t_gate leave;
};

static void *read_all(void *argument)
{
    struct transfer *t = argument;
    __atomic_store_n(&t->thread, bough_self(), __ATOMIC_RELEASE);
    t->result = bough_read_full(t->fd, t->buffer, t->size, &t->done, t->deadline);
    t->error = errno;
    bough_clear(NULL);
    return NULL;
}

static void *write_all(void *argument)
{
    struct transfer *t = argument;
    __atomic_store_n(&t->thread, bough_self(), __ATOMIC_RELEASE);
    t->result = bough_write_all(t->fd, t->buffer, t->size, &t->done, t->deadline);
    t->error = errno;
    bough_clear(NULL);
    return NULL;
}

static void until_blocked(struct t_thread *thread, struct transfer *t)
{
    t_until(__atomic_load_n(&t->thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread->tid);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void read_in_parts(int fds[2], bough_time deadline)
{
    char buffer[8] = "";
    struct t_thread thread;
    struct transfer t = {.fd = fds[0], .buffer = buffer, .size = 6, .deadline = deadline};
    t_spawn(&thread, read_all, &t);
    until_blocked(&thread, &t);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    t_until(t_bytes_in(fds[0]) == 0);
    until_blocked(&thread, &t);
    CHECK_EQ(write(fds[1], "defgh", 5), 5);
    t_join(&thread);
    CHECK_EQ(t.result, 0);
    CHECK_EQ(t.done, 6);
    CHECK_STR(buffer, "abcdef");
}

TEST(read_full_takes_what_comes_in_parts)
{
    for (int i = 0; i < KINDS; i++) {
        int fds[2];
        for (int timed = 0; timed < 2; timed++) {
            kinds[i](fds);
            read_in_parts(fds, timed ? bough_after(BOUGH_SEC(100)) : 0);
            close_both(fds);
        }
    }
}

static void read_cut(int fds[2], bough_time deadline)
{
    char buffer[8] = "";
    struct t_thread thread;
    struct transfer t = {.fd = fds[0], .buffer = buffer, .size = 6, .deadline = deadline};
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    t_until(t_bytes_in(fds[0]) == 3); /* a terminal passes the bytes on later */
    t_spawn(&thread, read_all, &t);
    t_until(t_bytes_in(fds[0]) == 0);
    until_blocked(&thread, &t);
    CHECK_EQ(bough_interrupt(t.thread, NULL), 0);
    t_join(&thread);
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
    CHECK_EQ(t.done, 3);
    CHECK_STR(buffer, "abc");
}

TEST(an_interrupted_read_full_reports_what_it_has_read)
{
    for (int i = 0; i < KINDS; i++) {
        int fds[2];
        for (int timed = 0; timed < 2; timed++) {
            kinds[i](fds);
            read_cut(fds, timed ? bough_after(BOUGH_SEC(100)) : 0);
            close_both(fds);
        }
    }
}

TEST(read_full_keeps_its_deadline)
{
    for (int i = 0; i < KINDS; i++) {
        int fds[2];
        size_t done = 0;
        char buffer[8];
        kinds[i](fds);
        CHECK_EQ(write(fds[1], "abc", 3), 3);
        t_until(t_bytes_in(fds[0]) == 3);
        /* tried again with more time, if the deadline had passed before the call began */
        for (int64_t time = BOUGH_MS(20); done == 0; time *= 2) {
            bough_time deadline = bough_after(time);
            CHECK_ERR(bough_read_full(fds[0], buffer, 6, &done, deadline), ETIMEDOUT);
            CHECK(bough_now() >= deadline);
        }
        CHECK_EQ(done, 3);
        close_both(fds);
    }
}

TEST(read_full_ends_at_the_end_of_the_file)
{
    int fds[2];
    size_t done;
    char buffer[8];
    make_pipe(fds);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    close(fds[1]);
    CHECK_EQ(bough_read_full(fds[0], buffer, 6, &done, bough_after(BOUGH_SEC(100))), 0);
    CHECK_EQ(done, 3);
    CHECK_EQ(bough_read_full(fds[0], buffer, 6, &done, 0), 0);
    CHECK_EQ(done, 0);
    close(fds[0]);
}

TEST(read_full_fails_as_read)
{
    size_t done = 99;
    char buffer[8];
    CHECK_ERR(bough_read_full(-1, buffer, 6, &done, 0), EBADF);
    CHECK_EQ(done, 0);
    CHECK_ERR(bough_read_full(-1, buffer, 6, &done, bough_after(BOUGH_SEC(100))), EBADF);
}

/* A file is read without waiting for anything that a deadline could end. */
TEST(read_full_reads_a_file)
{
    char path[] = "/tmp/bough-full-XXXXXX", buffer[8] = "";
    size_t done;
    int fd = mkstemp(path);
    unlink(path);
    CHECK_EQ(bough_write_all(fd, "abcdef", 6, &done, bough_after(BOUGH_SEC(100))), 0);
    CHECK_EQ(done, 6);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(bough_read_full(fd, buffer, 6, &done, bough_after(BOUGH_SEC(100))), 0);
    CHECK_STR(buffer, "abcdef");
    close(fd);
}

static void *read_all_and_stay(void *argument)
{
    read_all(argument);
    t_gate_wait(&((struct transfer *)argument)->leave);
    return NULL;
}

/* Returns whether both were blocked when the byte came. */
static bool two_readers_take_one_byte(int fds[2], int64_t time)
{
    struct t_thread threads[2];
    struct transfer t[2];
    char buffers[2][1];
    bough_time deadline = bough_after(time);
    for (int j = 0; j < 2; j++) {
        t[j] = (struct transfer){.fd = fds[0], .buffer = buffers[j], .size = 1, .deadline = deadline};
        t_spawn(&threads[j], read_all_and_stay, &t[j]);
        until_blocked(&threads[j], &t[j]);
    }
    CHECK_EQ(write(fds[1], "x", 1), 1);
    bool in_time = bough_now() < deadline;
    for (int j = 0; j < 2; j++) {
        t_gate_open(&t[j].leave);
        t_join(&threads[j]);
    }
    if (!in_time)
        return false;
    CHECK_EQ(t[0].done + t[1].done, 1);
    CHECK_EQ(t[t[0].done].error, ETIMEDOUT);
    return true;
}

/* One of two readers gets the bytes; the other, which was woken too, still keeps its deadline. */
TEST(another_reader_does_not_break_the_deadline)
{
    for (int i = 0; i < 4; i++) {
        bool in_time = false;
        for (int64_t time = BOUGH_MS(300); !in_time; time *= 2) {
            int fds[2];
            kinds[i](fds);
            in_time = two_readers_take_one_byte(fds, time);
            close_both(fds);
        }
    }
}

/* Calls with nothing to transfer are interruption points nevertheless. */
TEST(nothing_to_transfer_is_a_point)
{
    size_t done = 99;
    CHECK_EQ(bough_read_full(0, NULL, 0, &done, 0), 0);
    CHECK_EQ(done, 0);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_read_full(0, NULL, 0, NULL, 0), ECANCELED);
    CHECK_ERR(bough_write_all(0, NULL, 0, NULL, 0), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static char *big(void)
{
    static char memory[BIG];
    for (size_t i = 0; i < BIG; i++)
        memory[i] = (char)(i * 7 >> 3);
    return memory;
}

static void write_and_read(int fds[2], bough_time deadline)
{
    static char arrived[BIG];
    struct t_thread thread;
    struct transfer t = {.fd = fds[1], .buffer = big(), .size = BIG, .deadline = deadline};
    t_spawn(&thread, write_all, &t);
    until_blocked(&thread, &t);
    CHECK_EQ(bough_read_full(fds[0], arrived, BIG, NULL, 0), 0);
    t_join(&thread);
    CHECK_EQ(t.result, 0);
    CHECK_EQ(t.done, BIG);
    CHECK_EQ(memcmp(arrived, t.buffer, BIG), 0);
}

TEST(write_all_writes_all)
{
    for (int i = 0; i < 4; i++) {
        int fds[2];
        for (int timed = 0; timed < 2; timed++) {
            kinds[i](fds);
            write_and_read(fds, timed ? bough_after(BOUGH_SEC(100)) : 0);
            close_both(fds);
        }
    }
}

static void write_cut(int fds[2], bough_time deadline)
{
    struct t_thread thread;
    struct transfer t = {.fd = fds[1], .buffer = big(), .size = BIG, .deadline = deadline};
    t_spawn(&thread, write_all, &t);
    until_blocked(&thread, &t);
    CHECK_EQ(bough_interrupt(t.thread, NULL), 0);
    t_join(&thread);
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
    CHECK(t.done > 0 && t.done < BIG);
    CHECK_EQ(t_bytes_in(fds[0]), t.done);
}

TEST(an_interrupted_write_all_reports_what_it_has_written)
{
    for (int i = 0; i < 4; i++) {
        int fds[2];
        for (int timed = 0; timed < 2; timed++) {
            kinds[i](fds);
            write_cut(fds, timed ? bough_after(BOUGH_SEC(100)) : 0);
            close_both(fds);
        }
    }
}

/* poll() reports that some bytes can be written, and these are more: no write blocks beyond the deadline. */
TEST(write_all_keeps_its_deadline)
{
    for (int i = 0; i < 4; i++) {
        int fds[2];
        size_t done = 0;
        kinds[i](fds);
        for (int64_t time = BOUGH_MS(20); done == 0; time *= 2) /* tried again with more time, as above */
            CHECK_ERR(bough_write_all(fds[1], big(), BIG, &done, bough_after(time)), ETIMEDOUT);
        CHECK(done < BIG);
        CHECK_EQ(t_bytes_in(fds[0]), done);
        close_both(fds);
    }
}

/* Neither a file, nor a pipe, nor a socket: an eventfd, which takes eight bytes at a time. */
TEST(an_event_counter_keeps_the_deadline)
{
    uint64_t value = 5;
    int fd = eventfd(0, 0);
    CHECK_EQ(bough_write_all(fd, &value, 8, NULL, bough_after(BOUGH_SEC(100))), 0);
    CHECK_EQ(bough_read_full(fd, &value, 8, NULL, bough_after(BOUGH_SEC(100))), 0);
    CHECK_EQ(value, 5);
    CHECK_ERR(bough_read_full(fd, &value, 8, NULL, bough_after(BOUGH_MS(5))), ETIMEDOUT);
    close(fd);
}
