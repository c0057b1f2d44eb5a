/* SPDX-License-Identifier: MIT */
/* Waking one thread: the step on its word, and the signal that this step promises (rule 13). */
#ifndef BO_WAKE_WAKE_H
#define BO_WAKE_WAKE_H

#include "state/arena.h"

enum bo_waking { BO_NOT_WOKEN, BO_WOKEN, BO_WAKE_PUT_OFF };

/*
 * Make the word due and, if the thread waits for an interrupt, count the caller as a sender, in the one step that rule
 * 13 requires. `summons`: 0, or SUMMONED. BO_WOKEN: the thread waits, and was sent a signal. BO_WAKE_PUT_OFF: it waits,
 * but `may_wake` is false: the caller has to put the wake off. Called with all signals blocked.
 */
enum bo_waking bo_wake_step(struct bo_thread *t, uint32_t generation, uint64_t summons, bool may_wake);
/* Wake a thread whose wake was put off, if it still waits. Returns whether it was woken. [signal] */
bool bo_wake_put_off(struct bo_thread *t);
/* Mark a thread for a higher rung, and wake it by a signal if it is where a signal may be delivered. */
void bo_summon(struct bo_thread *t, uint32_t generation);
/* Called by the ticker: send the wake again to a thread that waits and may be signalled, as its word `w` shows. False:
 * the word is not `w` any more. */
bool bo_signal_again(struct bo_thread *t, uint64_t w);
/* Called on the thread, in a signal handler that has interrupted its blocked call: make that call end when the handler
 * returns. `newly_due`: the word was not due until now. If the handler runs repeatedly, the wake keeps its age. */
void bo_wake_again(struct bo_thread *t, bool newly_due);
/*
 * Write to the thread's event descriptor, which makes it readable for event loops. A poster writes at each post, for
 * edge-triggered loops too; the owner writes when an interrupt becomes due by the end of a region. The owner waits for
 * senders before it closes the descriptor. [signal]
 */
void bo_wake_ring(const struct bo_thread *t);

#endif
