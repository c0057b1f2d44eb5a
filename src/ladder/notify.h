/* SPDX-License-Identifier: MIT */
#ifndef BO_LADDER_NOTIFY_H
#define BO_LADDER_NOTIFY_H

#include <stdint.h>

/* Notify the supervisor, if there is one (NOTIFY_SOCKET), that the process is stopping, and for how long it should
 * wait. Only the first call has an effect. Never blocks. */
void bo_notify_stopping(int64_t left);

#endif
