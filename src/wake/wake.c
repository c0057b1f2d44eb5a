/* SPDX-License-Identifier: MIT */
#include "wake/wake.h"
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "wake/frames.h"
#include "wake/ticker.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

void bo_wake_ring(const struct bo_thread *t)
{
    static const uint64_t one = 1;
    bo_raw3(SYS_write, t->event_fd, (long)&one, sizeof one);
}

/* Makes the ticker send the signal later. */
static void leave_to_ticker(struct bo_thread *t, int64_t when)
{
    bo_store_seq(&t->t.unsent, 1);
    bo_ticker_look_by(&t->t, when);
}

static void signal_it(struct bo_thread *t)
{
    BO_HOOK(post_sent);
    /* The thread does not end before its senders have finished (rule 6), so its id is still valid. */
    bo_store_relaxed(&t->t.diagnoses, 0);
    bo_store_relaxed(&t->t.last_wake_at, bo_clock()); /* first, or the ticker could take this for an old wake */
    if (bo_wake_signal_send(t))
        bo_ticker_watch(t);
    else
        leave_to_ticker(t, bo_clock() + BO_FIRST_REPEAT);
}

/* What the sender has to do after its step on the word: send a signal, if the thread waits for a bit that the step
 * sets, or is summoned where a signal may be delivered; write to the event descriptor. */
enum { SIGNAL = 1, RING = 2 };

static unsigned promises(uint64_t w, uint64_t next, uint64_t summons)
{
    bool signal = bo_word_rises(w, next) || (summons && (next & BO_CLOSABLE) && (next & BO_DUE));
    bool rings = (next & BO_DUE) && (next & BO_EVENT);
    return (signal ? SIGNAL : 0) | (rings ? RING : 0);
}

static void keep_promise(struct bo_thread *t, unsigned promised)
{
    BO_HOOK(post_promised);
    if (promised & RING)
        bo_wake_ring(t);
    if (promised & SIGNAL)
        signal_it(t);
    bo_word_sent(&t->t.word);
}

/* The word after a step that counts its sender; `promised`: what the sender then has to do. */
static uint64_t counted(uint64_t next, unsigned promised)
{
    return (next + BO_SENDER) | (promised & SIGNAL ? BO_NOTE : 0);
}

/* Waits while the word can't count more senders. Each of these needs only one more system call, and the calling thread
 * has not interrupted any of them, because senders block all signals. */
static uint64_t after_a_moment(const struct bo_thread *t)
{
    static const struct timespec moment = {0, 20000};
    BO_HOOK(post_no_room);
    bo_raw2(SYS_nanosleep, (long)&moment, 0);
    return bo_load_seq(&t->t.word);
}

static bool is_generation_alive(uint64_t w, uint32_t generation)
{
    return bo_word_generation(w) == generation && (w & BO_LIVE);
}

/* All signals are blocked: if a sender were frozen, or left by a jump, the thread would wait for it indefinitely. */
enum bo_waking bo_wake_step(struct bo_thread *t, uint32_t generation, uint64_t summons, bool may_wake)
{
    uint64_t w = bo_load_seq(&t->t.word), next;
    unsigned promised, now;
    do {
        while (!bo_word_has_room(w))
            w = after_a_moment(t);
        if (!is_generation_alive(w, generation))
            return BO_NOT_WOKEN;
        next = bo_word_posted(w) | summons;
        promised = promises(w, next, summons);
        now = may_wake ? promised : promised & RING;
        next = now ? counted(next, now) : next;
    } while (!bo_word_step(&t->t.word, &w, next, BO_BY_POST));
    if (now)
        keep_promise(t, now);
    if (!(promised & SIGNAL) && (next & BO_ASYNC) && (next & ~w & BO_DUE))
        bo_ticker_watch(t);
    if (next & BO_TIMED)
        bo_ticker_look(&t->t);
    if (promised & ~now)
        return BO_WAKE_PUT_OFF;
    return now & SIGNAL ? BO_WOKEN : BO_NOT_WOKEN;
}

/* If the word can't count more senders, these may all be writing to the event descriptor only: the signal is still to
 * be sent. */
bool bo_wake_put_off(struct bo_thread *t)
{
    uint64_t mask = bo_signals_off(), w = bo_load_seq(&t->t.word);
    bool waits = true;
    do {
        while (!bo_word_has_room(w))
            w = after_a_moment(t);
        waits = (w & BO_IN) && (w & bo_foreign_due_bit(t));
    } while (waits && !bo_word_step(&t->t.word, &w, counted(w, SIGNAL), BO_BY_PUT_OFF));
    if (waits)
        keep_promise(t, SIGNAL);
    bo_signals_on(mask);
    return waits;
}

bool bo_signal_again(struct bo_thread *t, uint64_t w)
{
    if (!bo_word_has_room(w))
        return true; /* other senders are sending */
    if (!bo_word_step(&t->t.word, &w, (w + BO_SENDER) | BO_NOTE, BO_BY_AGAIN))
        return false;
    BO_HOOK(post_sent);
    bo_store_seq(&t->t.unsent, 0);
    bool is_sent = bo_wake_signal_send(t);
    if (!is_sent)
        bo_store_seq(&t->t.unsent, 1);
    bo_word_sent(&t->t.word);
    return true;
}

void bo_summon(struct bo_thread *t, uint32_t generation)
{
    uint64_t mask = bo_signals_off();
    bo_wake_step(t, generation, BO_SUMMONED, true);
    bo_signals_on(mask);
}

void bo_wake_again(struct bo_thread *t, bool newly_due)
{
    uint64_t mask = bo_wake_bit();
    if (bo_call_was_left_here(t))
        return; /* the thread's next call corrects the word */
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
    bo_wake_send_to_self(t);
    /* The thread may block the signal in the interrupted code, too: then the ticker uses the fallback signal. */
    if (newly_due)
        bo_ticker_watch(t);
    else
        bo_ticker_look_by(&t->t, bo_load_relaxed(&t->t.last_wake_at) + BO_ANSWER_WITHIN);
}
