/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "letter.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- the reader's thread ------------------------------------------------------------------------------------- */

static bool is_reader(pid_t pid, const char *tid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool found = fgets(name, sizeof name, f) && strcmp(name, "bough-ticker\n") == 0;
    fclose(f);
    return found;
}

/* Its id here, which in a namespace is not what the process itself calls it. 0: it has none. */
static pid_t find_reader(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    while (folder && !found && (entry = readdir(folder)))
        if (is_reader(pid, entry->d_name))
            found = (pid_t)atoi(entry->d_name);
    if (folder)
        closedir(folder);
    return found;
}

static void ring(const struct arena *a)
{
    pid_t reader = find_reader(a->pid);
    int signo = a->head.ticker_signal;
    if (reader && signo > 0 && signo < NSIG)
        syscall(SYS_tgkill, a->pid, reader, signo);
}

/* ---- the box ---------------------------------------------------------------------------------------------------- */

static off_t box_at(int box)
{
    return (off_t)(offsetof(struct bo_header, letter) + (size_t)box * sizeof(struct bo_letter));
}

static uint32_t state_of(int fd, int box)
{
    uint32_t state = UINT32_MAX;
    if (pread(fd, &state, sizeof state, box_at(box) + (off_t)offsetof(struct bo_letter, state)) != sizeof state)
        return UINT32_MAX;
    return state;
}

static bool set_state(int fd, int box, uint32_t state)
{
    return pwrite(fd, &state, sizeof state, box_at(box) + (off_t)offsetof(struct bo_letter, state)) == sizeof state;
}

/* A second descriptor, to write with: that of the arena can only read. */
static int open_to_write(const struct arena *a)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", a->fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

static bool lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLKW, &whole) == 0;
}

static void unlock(int fd)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_OFD_SETLK, &whole);
}

static int find_free(int fd)
{
    for (int box = 0; box < BO_LETTERS; box++)
        if (state_of(fd, box) == BO_LETTER_FREE)
            return box;
    return -1;
}

static bool count_one(int fd)
{
    uint32_t letters;
    off_t at = (off_t)offsetof(struct bo_header, letters);
    return pread(fd, &letters, sizeof letters, at) == sizeof letters && ++letters &&
           pwrite(fd, &letters, sizeof letters, at) == sizeof letters;
}

static int put(int fd, const struct bo_letter *letter)
{
    int box = find_free(fd);
    struct bo_letter copy = *letter;
    bo_store_relaxed(&copy.state, BO_LETTER_WRITING);
    if (box < 0 || pwrite(fd, &copy, sizeof copy, box_at(box)) != (ssize_t)sizeof copy)
        return -1;
    return set_state(fd, box, BO_LETTER_SENT) && count_one(fd) ? box : -1;
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

static bool answered(int fd, int box)
{
    const struct timespec moment = {0, 2000000};
    for (int ms = 0; ms < LETTER_PATIENCE_MS; ms += 2) {
        if (state_of(fd, box) == BO_LETTER_ANSWERED)
            return true;
        nanosleep(&moment, NULL);
    }
    return state_of(fd, box) == BO_LETTER_ANSWERED;
}

static int refuse(struct arena *a, const char *why)
{
    snprintf(a->why, sizeof a->why, "process %d %s", (int)a->pid, why);
    return -1;
}

static int send_by(struct arena *a, int fd, struct bo_letter *letter)
{
    if (!lock(fd))
        return refuse(a, "has a letter box that can't be locked");
    int box = put(fd, letter);
    unlock(fd);
    if (box < 0)
        return refuse(a, "has a full letter box: it does not read what it is asked");
    ring(a);
    if (!answered(fd, box)) {
        set_state(fd, box, BO_LETTER_FREE);
        return refuse(a, "does not answer: it is stopped, or the library's thread in it hangs. `bough tree` shows it "
                         "all the same");
    }
    return pread(fd, letter, sizeof *letter, box_at(box)) == (ssize_t)sizeof *letter ? box : refuse(a, "has ended");
}

int letter_send(struct arena *a, struct bo_letter *letter)
{
    if (!a->pid || a->base)
        return refuse(a, "has closed the file of its tree: it can't be asked");
    if (!find_reader(a->pid))
        return refuse(a, "has no thread of the library's that could answer: nothing in it has been interruptible yet");
    int fd = open_to_write(a);
    if (fd < 0)
        return refuse(a, "can't be asked: its arena is not ours to write");
    int box = send_by(a, fd, letter);
    close(fd);
    return box;
}

void letter_done(const struct arena *a, int box)
{
    int fd = open_to_write(a);
    if (fd >= 0)
        set_state(fd, box, BO_LETTER_FREE);
    if (fd >= 0)
        close(fd);
    ring(a);
}
