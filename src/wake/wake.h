/* SPDX-License-Identifier: MIT */
/* Waking one thread: the step on its word, and the signal that this step promises (rule 13). */
#ifndef BO_WAKE_WAKE_H
#define BO_WAKE_WAKE_H

#include "state/arena.h"

enum bo_waking { BO_NOT_WOKEN, BO_WOKEN, BO_WAKE_PUT_OFF };

/*
 * The step that rule 13 asks for: due, and if the thread waits for that also counted as a sender, at once. `summons`:
 * 0, or SUMMONED. BO_WOKEN: it waits, and is sent a signal. BO_WAKE_PUT_OFF: it waits, and may not be woken now
 * (`may_wake` is false): the caller sees to that. With all signals blocked.
 */
enum bo_waking bo_wake_step(struct bo_thread *t, uint32_t generation, uint64_t summons, bool may_wake);
/* Wake a thread that is marked and whose wake was put off, if there is still need. Whether it was woken. [signal] */
bool bo_wake_put_off(struct bo_thread *t);
/* Mark it, and wake it by a signal where one may come: a higher rung wants it. */
void bo_summon(struct bo_thread *t, uint32_t generation);
/* By the ticker: send the wake again to a thread whose word is still `w`, which waits for it and may be signalled.
 * Returns whether it was tried; if not, the word has changed. */
bool bo_signal_again(struct bo_thread *t, uint64_t w);
/* On the thread, in a handler on top of its blocked call, which has to end when the handler returns. `newly_due`: the
 * word was not due until now. A handler that runs again and again must not make an old wake look recent. */
void bo_wake_again(struct bo_thread *t, bool newly_due);
/*
 * Write to the thread's event descriptor, which makes it readable for event loops: a poster at each post, for
 * edge-triggered loops too; the owner when an interrupt becomes due by the end of a region. The owner waits for senders
 * before it closes the descriptor. [signal]
 */
void bo_wake_ring(const struct bo_thread *t);

#endif
