/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/unanswered.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hook.h"
#include "base/proc_status.h"
#include "state/log.h"
#include "wake/fallback_signal.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

enum { RUNS_FOR_LONG = 4 };

/* The signals that the thread blocks, and its state, by the kernel's letter. */
static uint64_t blocked_by(pid_t tid, char *state)
{
    char how[32], mask[32];
    *state = '?';
    if (bo_status_of_task(tid, "State:", how, sizeof how))
        *state = how[0];
    return bo_status_of_task(tid, "SigBlk:", mask, sizeof mask) ? strtoull(mask, NULL, 16) : 0;
}

bool bo_unanswered_reports(struct bo_thread *t, enum bo_silence_report of)
{
    return !(bo_or_seq(&t->t.silence_reported, of) & of);
}

/* The thread's facts, noted before the search for the cause: the thread may end meanwhile, and its slot be reused. */
struct silent {
    struct bo_thread *t;
    pid_t tid;
    char name[BO_NAME];
};

static void note_silent(struct silent *s, struct bo_thread *t)
{
    s->t = t;
    s->tid = bo_load_relaxed(&t->tid);
    bo_name_of(&t->t, s->name);
}

static void report_silence(const struct silent *s, enum bo_silence_report of, const char *why)
{
    if (bo_unanswered_reports(s->t, of))
        bo_report("thread %d (%s) has not acknowledged a wake for 50 ms: %s", (int)s->tid, s->name, why);
}

static void report_fallback(const struct silent *s)
{
    if (bo_unanswered_reports(s->t, BO_REPORTED_FALLBACK))
        bo_report("thread %d (%s) blocks signal %d: waking it by signal %d from now on", (int)s->tid, s->name,
                  bo_wake_signo, BO_FALLBACK_SIGNAL);
}

static const char *const waits =
    "it is in an uninterruptible kernel wait, stopped, or a signal handler that has interrupted its call "
    "does not return";
static const char *const refusal_text =
    "its signal could not be sent: there is no room for queued signals (RLIMIT_SIGPENDING), "
    "or a sandbox forbids tgkill() and rt_tgsigqueueinfo(). bough tries again";

/*
 * Why is there no acknowledgement? A runnable thread only waits for a processor, perhaps in the wake signal's handler,
 * where all signals are blocked: it may be one of a thousand threads that were woken at the same time. So the ticker
 * checks it again, but only RUNS_FOR_LONG times: the thread may be handling such signals all the time. A thread that
 * blocks the signal is sent the fallback signal, unless bough blocks the signal, in a slow handler of the application.
 */
bool bo_unanswered_diagnose(struct bo_thread *t, uint32_t generation)
{
    char state;
    struct silent s;
    note_silent(&s, t);
    uint32_t times = bo_add_relaxed(&t->t.diagnoses, 1);
    uint64_t blocked = blocked_by(s.tid, &state);
    bool below = bo_load_relaxed(&t->call.below_handler);
    BO_HOOK(silence_found);
    if (!bo_target_is(&t->t, generation))
        return true;
    if (bo_load_relaxed(&t->t.unsent))
        report_silence(&s, BO_REPORTED_REFUSAL, refusal_text);
    if (!bo_wake_signal_is_installed()) {
        bo_wake_signal_take_back();
    } else if (state == 'R' && times < RUNS_FOR_LONG) {
        return false;
    } else if ((blocked & bo_wake_bit()) && !below) {
        bo_fallback_open();
        bo_store_relaxed(&t->t.blocks_wake, 1);
        report_fallback(&s);
    } else if (!bo_load_relaxed(&t->t.unsent)) {
        report_silence(&s, BO_REPORTED_SILENCE, waits);
    }
    return true;
}
