/* SPDX-License-Identifier: MIT */
#include "ladder/terminal.h"
#include <asm/termbits.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "base/futex.h"

enum { TERMINALS = 16, SETTINGS = 128 };

/*
 * FREE --keep--> TAKEN --settings are there--> KEPT --drop--> FREE
 *
 * The settings are stored as the kernel reads and writes them for TCGETS and TCSETS. They are not interpreted, so the
 * kernel's layout, which differs from libc's, need not be known; only that it is no larger than SETTINGS. On some
 * machines its size is a part of TCGETS: so <asm/termbits.h>, and not libc's <termios.h>, which has a larger struct of
 * the same name.
 */
enum { FREE, TAKEN, KEPT };

_Static_assert(sizeof(struct termios) <= SETTINGS, "the kernel writes that much");

static struct {
    _Atomic uint32_t state;
    int fd;
    dev_t terminal;
    char settings[SETTINGS] __attribute__((aligned(8)));
} kept[TERMINALS];

/* Is the descriptor a terminal, and which one? */
static bool is_terminal(int fd, dev_t *which)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || !S_ISCHR(s.st_mode))
        return false;
    *which = s.st_rdev;
    return true;
}

static int free_terminal_place(void)
{
    for (int id = 0; id < TERMINALS; id++) {
        uint32_t state = FREE;
        if (bo_cas_seq(&kept[id].state, &state, TAKEN))
            return id;
    }
    return errno = ENOMEM, -1;
}

int bo_terminal_keep(int fd)
{
    int id = free_terminal_place();
    if (id < 0)
        return -1;
    long error = -bo_raw3(SYS_ioctl, fd, TCGETS, (long)kept[id].settings);
    if (!error && !is_terminal(fd, &kept[id].terminal))
        error = ENOTTY;
    if (error) {
        bo_store_seq(&kept[id].state, FREE);
        return errno = (int)error, -1;
    }
    kept[id].fd = fd;
    bo_store_seq(&kept[id].state, KEPT);
    return id;
}

void bo_terminal_drop(int id)
{
    bo_store_seq(&kept[id].state, FREE);
}

/* Changing the settings of its terminal stops a background process by SIGTTOU, unless that signal is blocked. TCSETS
 * does not wait for output, unlike TCSETSW. */
static void set_terminal(int fd, const char *settings)
{
    uint64_t mask = (uint64_t)1 << (SIGTTOU - 1), old = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, (long)&old, sizeof mask);
    bo_raw3(SYS_ioctl, fd, TCSETS, (long)settings);
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, sizeof old);
}

void bo_terminal_put_back(int id)
{
    int saved = errno;
    dev_t now;
    if (bo_load_seq(&kept[id].state) == KEPT && is_terminal(kept[id].fd, &now) && now == kept[id].terminal)
        set_terminal(kept[id].fd, kept[id].settings);
    errno = saved;
}

void bo_terminals_put_back(void)
{
    for (int id = 0; id < TERMINALS; id++)
        bo_terminal_put_back(id);
}
