/* SPDX-License-Identifier: MIT */
/* Sending the wake signal, and recognising it. */
#ifndef BO_WAKE_WAKE_SEND_H
#define BO_WAKE_WAKE_SEND_H

#include <signal.h>
#include "state/arena.h"

/* The wake signal's number; chosen at load. */
extern int bo_wake_signo;

/* The same as a mask. */
BO_BARE static inline uint64_t bo_wake_bit(void)
{
    return (uint64_t)1 << (bo_wake_signo - 1);
}

/* Send the wake signal to a thread of this process, marked as bough's. 0, or -errno. [signal] */
long bo_wake_send_signal(pid_t tid);
/* Send it to the calling thread, which blocks it until a handler returns. If it is still blocked where the call ends,
 * NOTE makes the thread unblock it there. [signal] */
void bo_wake_send_to_self(struct bo_thread *t);

/* Sent by bough; sent by others; or unknown, because the kernel had no room for the siginfo (RLIMIT_SIGPENDING). */
enum bo_sender { BO_SENT_BY_US, BO_SENT_BY_OTHERS, BO_SENT_BY_SOMEBODY };
enum bo_sender bo_wake_sent_by(const siginfo_t *info);

/* Unblock the wake signal on the calling thread. Returns 1 if it was blocked. */
int bo_wake_send_unblock(void);

/* On the thread, when it has left a call and a signal was sent, or is being sent: wait for that, and let the signal be
 * delivered. */
void bo_wake_send_drain(struct bo_thread *t);

#endif
