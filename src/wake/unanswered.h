/* SPDX-License-Identifier: MIT */
/* Why a wake is not answered, and the reports about that (rule 13). */
#ifndef BO_WAKE_UNANSWERED_H
#define BO_WAKE_UNANSWERED_H

#include "state/arena.h"

/* Reports about a thread, each of which is made only once. */
enum bo_silence_report {
    BO_REPORTED_SILENCE = 1,
    BO_REPORTED_FALLBACK = 2,
    BO_REPORTED_REFUSAL = 4,
    BO_REPORTED_LEFT = 8
};
bool bo_unanswered_reports(struct bo_thread *t, enum bo_silence_report of);
/* Called by the ticker, after a wake was not answered: find the cause, and report it, unless the generation has ended
 * meanwhile. Returns whether to send the wake again. */
bool bo_unanswered_diagnose(struct bo_thread *t, uint32_t generation);

#endif
