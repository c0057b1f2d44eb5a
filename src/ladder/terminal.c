/* SPDX-License-Identifier: MIT */
#include "ladder/terminal.h"
#include <errno.h>
#include <termios.h>
#include "base/futex.h"

enum { TERMINALS = 16 };

static struct {
    _Atomic uint32_t taken;
    int fd;
    struct termios settings;
} kept[TERMINALS];

int bo_terminal_keep(int fd)
{
    struct termios now;
    if (tcgetattr(fd, &now) != 0)
        return -1;
    for (int id = 0; id < TERMINALS; id++) {
        if (bo_swap_seq(&kept[id].taken, 1))
            continue;
        kept[id].fd = fd;
        kept[id].settings = now;
        return id;
    }
    return errno = ENOMEM, -1;
}

void bo_terminal_drop(int id)
{
    bo_store_seq(&kept[id].taken, 0);
}

void bo_terminal_put_back(int id)
{
    tcsetattr(kept[id].fd, TCSANOW, &kept[id].settings);
}

void bo_terminals_put_back(void)
{
    for (int id = 0; id < TERMINALS; id++)
        if (bo_load_seq(&kept[id].taken))
            bo_terminal_put_back(id);
}
