/* SPDX-License-Identifier: MIT */
#include "base/write.h"
#include <errno.h>
#include <unistd.h>

bool bo_write_all(int fd, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t r = write(fd, text + done, size - done);
        if (r < 0 && errno != EINTR)
            return false;
        done += r > 0 ? (size_t)r : 0;
    }
    return true;
}
