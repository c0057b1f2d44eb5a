/* SPDX-License-Identifier: MIT */
/* No byte is lost or doubled. ECANCELED means that none was moved; a partial result is returned (rules 9, 12). */
#include "stream.h"
#include <fcntl.h>
#include <sys/uio.h>

/* ---- readers ----------------------------------------------------------------------------------------------------- */

static ssize_t by_read(int fd, char *buffer, size_t size)
{
    return CALL(read, fd, buffer, size);
}

/* Two buffers, the first one short. */
static void split(struct iovec iov[2], char *buffer, size_t size)
{
    size_t first = size / 3 + 1;
    iov[0] = (struct iovec){buffer, first};
    iov[1] = (struct iovec){buffer + first, size - first};
}

static ssize_t by_readv(int fd, char *buffer, size_t size)
{
    struct iovec iov[2];
    split(iov, buffer, size);
    return CALL(readv, fd, iov, 2);
}

static ssize_t by_recv(int fd, char *buffer, size_t size)
{
    return CALL(recv, fd, buffer, size, 0);
}

static ssize_t by_recv_all(int fd, char *buffer, size_t size)
{
    return CALL(recv, fd, buffer, size, MSG_WAITALL);
}

static ssize_t by_recvmsg(int fd, char *buffer, size_t size)
{
    struct iovec iov[2];
    split(iov, buffer, size);
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    return CALL(recvmsg, fd, &message, 0);
}

/* *done counts the bytes that were moved before the interrupt, which stays for the next point (rule 9). */
static ssize_t in_full(int result, size_t done, size_t size)
{
    if (result == 0)
        CHECK_EQ(done, size);
    return result == 0 || done ? (ssize_t)done : -1;
}

static ssize_t by_read_full(int fd, char *buffer, size_t size)
{
    size_t done = 12345;
    int result = bough_read_full(fd, buffer, size, &done, 0);
    return in_full(result, done, size);
}

static ssize_t by_read_full_in_time(int fd, char *buffer, size_t size)
{
    size_t done = 12345;
    int result = bough_read_full(fd, buffer, size, &done, bough_after(BOUGH_SEC(1000)));
    return in_full(result, done, size);
}

/* Bytes are moved through a second pipe, which is empty before and after each turn. */
static int between[2];
static ssize_t by_splice(int fd, char *buffer, size_t size)
{
    ssize_t moved = CALL(splice, fd, NULL, between[1], NULL, size, 0);
    if (moved > 0)
        CHECK_EQ(read(between[0], buffer, (size_t)moved), moved);
    return moved;
}

READER(pipe_read_loses_no_byte, PIPE, by_read)
READER(pipe_readv_loses_no_byte, PIPE, by_readv)
READER(pipe_read_full_loses_no_byte, PIPE, by_read_full)
READER(pipe_read_full_in_time_loses_no_byte, PIPE, by_read_full_in_time)
READER(socket_read_loses_no_byte, SOCKET, by_read)
READER(socket_recv_loses_no_byte, SOCKET, by_recv)
READER(socket_recv_of_all_loses_no_byte, SOCKET, by_recv_all)
READER(socket_recvmsg_loses_no_byte, SOCKET, by_recvmsg)
READER(socket_read_full_in_time_loses_no_byte, SOCKET, by_read_full_in_time)

TEST_LIMIT(splice_loses_no_byte, 1000)
{
    if (under_qemu())
        SKIP("qemu-user restarts splice() by itself and delays the signal");
    CHECK_EQ(pipe(between), 0);
    read_stream(PIPE, by_splice);
    close(between[0]);
    close(between[1]);
}

/* ---- writers ----------------------------------------------------------------------------------------------------- */

static ssize_t by_write(int fd, char *buffer, size_t size)
{
    return CALL(write, fd, buffer, size);
}

static ssize_t by_writev(int fd, char *buffer, size_t size)
{
    struct iovec iov[2];
    split(iov, buffer, size);
    return CALL(writev, fd, iov, 2);
}

static ssize_t by_send(int fd, char *buffer, size_t size)
{
    return CALL(send, fd, buffer, size, 0);
}

static ssize_t by_sendmsg(int fd, char *buffer, size_t size)
{
    struct iovec iov[2];
    split(iov, buffer, size);
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
    return CALL(sendmsg, fd, &message, 0);
}

static ssize_t by_write_all(int fd, char *buffer, size_t size)
{
    size_t done = 12345;
    int result = bough_write_all(fd, buffer, size, &done, 0);
    return in_full(result, done, size);
}

static ssize_t by_write_all_in_time(int fd, char *buffer, size_t size)
{
    size_t done = 12345;
    int result = bough_write_all(fd, buffer, size, &done, bough_after(BOUGH_SEC(1000)));
    return in_full(result, done, size);
}

WRITER(pipe_write_loses_no_byte, PIPE, by_write)
WRITER(pipe_writev_loses_no_byte, PIPE, by_writev)
WRITER(pipe_write_all_loses_no_byte, PIPE, by_write_all)
WRITER(pipe_write_all_in_time_loses_no_byte, PIPE, by_write_all_in_time)
WRITER(socket_write_loses_no_byte, SOCKET, by_write)
WRITER(socket_send_loses_no_byte, SOCKET, by_send)
WRITER(socket_sendmsg_loses_no_byte, SOCKET, by_sendmsg)
WRITER(socket_write_all_in_time_loses_no_byte, SOCKET, by_write_all_in_time)
