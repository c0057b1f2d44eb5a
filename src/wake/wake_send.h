/* SPDX-License-Identifier: MIT */
/* Sending the wake signal, and recognising it. */
#ifndef BO_WAKE_WAKE_SEND_H
#define BO_WAKE_WAKE_SEND_H

#include <signal.h>
#include "state/arena.h"

/* The wake signal's number; chosen at load. */
extern int bo_wake_signo;

/* The mask that has only the wake signal. */
BO_BARE static inline uint64_t bo_wake_bit(void)
{
    return (uint64_t)1 << (bo_wake_signo - 1);
}

/* Send the wake signal, marked as bough's, to a thread of this process. 0, or -errno. [signal] */
long bo_wake_send_signal(pid_t tid);
/* Send the wake signal to the calling thread, which blocks it until a handler returns. If the signal is still blocked
 * at the end of the call, NOTE makes the thread unblock it there. [signal] */
void bo_wake_send_to_self(struct bo_thread *t);

/* The sender is unknown if the kernel had no room for the siginfo (RLIMIT_SIGPENDING). */
enum bo_sender { BO_SENT_BY_BOUGH, BO_SENT_BY_OTHERS, BO_SENT_BY_UNKNOWN };
enum bo_sender bo_wake_sent_by(const siginfo_t *info);

/* Unblock the wake signal on the calling thread. Returns 1 if it was blocked. */
int bo_wake_send_unblock(void);

/* Called on the thread, when it has left a call and a signal was sent, or is being sent: wait for the senders, and let
 * the signal be delivered. */
void bo_wake_send_drain(struct bo_thread *t);

#endif
