/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "memfd.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef AT_STATX_DONT_SYNC /* not defined by older libcs, nor by musl */
#define AT_STATX_DONT_SYNC 0x4000
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* All files without a name are on one file system of the kernel: a file that the command creates shows its device. */
static dev_t device_of_such_files(void)
{
    static dev_t device;
    struct stat is;
    int fd = device ? -1 : memfd_create("bough-look", MFD_CLOEXEC);
    if (fd >= 0 && fstat(fd, &is) == 0)
        device = is.st_dev;
    if (fd >= 0)
        close(fd);
    return device;
}

bool look_at_path(int path, struct stat *is)
{
    struct statx found;
    memset(is, 0, sizeof *is);
    if (syscall(SYS_statx, path, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &found) != 0)
        return errno == ENOSYS && fstat(path, is) == 0; /* before Linux 4.11 */
    is->st_mode = found.stx_mode;
    is->st_ino = (ino_t)found.stx_ino;
    is->st_dev = makedev(found.stx_dev_major, found.stx_dev_minor);
    return true;
}

/* Opens by the descriptor that was checked, because the name may refer to another file by now. */
static int reopen(int path, int mode)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", path);
    return open(self, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int open_regular(const char *path, ino_t number)
{
    struct stat is;
    int file = open(path, O_PATH | O_CLOEXEC), fd = -1;
    if (file >= 0 && look_at_path(file, &is) && S_ISREG(is.st_mode) && (!number || is.st_ino == number))
        fd = reopen(file, O_RDONLY);
    if (file >= 0)
        close(file);
    return fd;
}

static bool is_such_a_file(int path)
{
    struct stat is;
    return look_at_path(path, &is) && S_ISREG(is.st_mode) && is.st_dev == device_of_such_files();
}

static bool is_sealed(int fd, unsigned wanted)
{
    int seals = fcntl(fd, F_GET_SEALS);
    const int length = F_SEAL_SHRINK | F_SEAL_GROW;
    return seals >= 0 && (!(wanted & MEMFD_LENGTH) || (seals & length) == length) &&
           (!(wanted & MEMFD_WRITTEN) || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)));
}

static int open_sealed(int path, unsigned seals, int mode)
{
    int fd = is_such_a_file(path) ? reopen(path, mode) : -1;
    if (fd < 0 || is_sealed(fd, seals))
        return fd;
    close(fd);
    return -1;
}

int memfd_open(pid_t pid, const char *number, const char *name, unsigned seals, int mode)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%.20s", (int)pid, number);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    int file = strcmp(target, name) == 0 ? open(path, O_PATH | O_CLOEXEC) : -1;
    int fd = file < 0 ? -1 : open_sealed(file, seals, mode);
    if (file >= 0)
        close(file);
    return fd;
}

int memfd_find(pid_t pid, const char *name, unsigned seals, int mode)
{
    char path[64];
    struct dirent *entry;
    int fd = -1;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    while (folder && fd < 0 && (entry = readdir(folder)))
        fd = memfd_open(pid, entry->d_name, name, seals, mode);
    if (folder)
        closedir(folder);
    return fd;
}
