/* SPDX-License-Identifier: MIT */
/* Preloaded before libc: another library that replaces read(). */
#include <sys/syscall.h>
#include <unistd.h>

extern _Atomic int first_reads;
_Atomic int first_reads;

ssize_t read(int fd, void *buffer, size_t size)
{
    first_reads++;
    return syscall(SYS_read, fd, buffer, size);
}
