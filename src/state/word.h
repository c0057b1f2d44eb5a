/* SPDX-License-Identifier: MIT */
/*
 * The interrupt word: all that posters and a thread have to agree on in one step, in one atomic word.
 *
 *      63            32 31        21 20      17 16 .................................................. 0
 *     [ generation     ] [ changes  ] [ senders ] [ the bits below                                   ]
 *
 *  bit           means                                            set by            cleared by
 *  DUE           an interrupt is due at the thread's level        poster, ticker,   owner
 *                (a call fails, bough_check() fails)              owner
 *  PENDING       there is one, admitted or not                    poster            owner
 *  SLOW          the thread itself does not know of its slot yet  who makes the     the thread at its first
 *                (thread/stranger.h)                                slot              use, or who lets it go
 *  MASKED        the level is `disabled`: a post is not due       owner             owner, ticker
 *  IN            inside an interruptible call                     owner             owner
 *  NOTE          a signal was sent since the owner last let all   a sender          owner
 *                in that was sent
 *  ASYNC         an asynchronous region is open and not masked    owner             owner
 *  REPEAT        with IN: the call is cut by repeated signals     owner             owner
 *  FOREIGN_DUE   due for code that was not written for bough      poster, ticker,   owner: delivered there
 *                (rule 22): what the window tests in its calls    owner             once a rung, then left alone
 *  SILENT_DUE    the same for its silent waits (thread/foreign.h),  poster, ticker,   owner: one was ended,
 *                which cannot report an interrupt                 owner             or a call has reported it
 *  EVENT         the thread has an event descriptor               owner             owner
 *  TIMED         the ticker has to look: a budget or grace runs   owner             owner, ticker
 *  OVERRUN       the budget is used up: sections do not mask      ticker, owner     owner
 *  LIVE          the generation is alive                          owner (adder)     owner
 *  CLOSABLE      a region is open in which a signal may come      owner             owner
 *                from rung 3 on: closable, or with a final
 *                handler that runs asynchronously
 *  SUMMONED      a higher rung wants this thread by a signal      the ladder        the ladder, and
 *                                                                                   owner when frozen
 *  WAITS         the owner sleeps until the senders are through   owner             owner
 *  senders       how many are between their step on this word     a sender          the same sender
 *                and the end of what the step has promised: a
 *                signal, a write to the event descriptor
 *  changes       counts posts, also those that change no bit,     poster, owner     -
 *                and critical sections: who concludes something
 *                from the records changes the word only if
 *                nothing was posted since it was loaded
 *
 *  A wake (rules 8 and 13). A sender is a poster, the ticker or the ladder, with all signals blocked. Every arrow is one atomic step:
 *
 *      out --owner, window: set IN--> IN --sender: a bit rises that the thread waits for: NOTE, senders + 1--> IN|NOTE, 1
 *       ^                              |                                                                        |
 *       |                              |                                        sender, signal sent: senders - 1 |
 *       |                              v                                                                        v
 *       +<-- owner: senders 0: clear NOTE, one system call <-- NOTE <-- owner, window: clear IN --------------- IN|NOTE, 0
 *
 *  The signal's handler only reads the word, but for the NOTE of a signal that it sends to its own thread. Leaving the call is the
 *  answer. Who posts to a word that is due already sends
 *  nothing: who has made it due has sent, or sends. A signal that cannot be sent, and one that changes nothing within
 *  50 ms, is the ticker's: it sends again, by the same step. A sender that finds the count full waits for another to end.
 *
 *  Who makes which step:
 *      bo_window(), bo_libc_begin(), bo_libc_end(), bo_call_abandon()      IN, REPEAT
 *      step(), in post.c: posts, summons, what the ticker makes due        PENDING, the due bits, SUMMONED, NOTE, senders
 *      bo_word_sent()                                                      senders
 *      bo_deliver_settle(), bo_word_await_senders()                        NOTE, WAITS
 *      bo_level_set()                                                      MASKED, TIMED, ASYNC, CLOSABLE, OVERRUN; due on unmasking
 *      bo_level_settle()                                                   PENDING and the due bits, as the records are
 *      count_section() and bo_section_enter()                              changes, OVERRUN
 *      look_at_section()                                                   a budget is used up: MASKED and TIMED go, OVERRUN
 *      bo_publish(), end_generation()                                      LIVE, generation
 *
 *  Invariants, checked by bo_word_check() in debug builds, after each step made by bo_word_step():
 *      NOTE is set only in a step that saw IN or ASYNC, or CLOSABLE with SUMMONED: a signal never reaches
 *      foreign code.
 *      DUE implies PENDING, FOREIGN_DUE and SILENT_DUE imply DUE. TIMED implies MASKED.
 *      SLOW implies that neither IN nor ASYNC nor CLOSABLE nor MASKED is set.
 *      REPEAT implies IN. Nothing else is set when LIVE is not, but senders, and WAITS for them.
 *
 *  One word with two locked operations for each call was chosen over plain stores with membarrier(2) in
 *  the poster: bench/entry.c measures both; docs/decisions.md keeps the record.
 */
#ifndef BO_STATE_WORD_H
#define BO_STATE_WORD_H

#include <stdbool.h>
#include "arch/window.h"
#include "base/atomic.h"

enum bo_word_bits {
    BO_DUE = 1 << 0,
    BO_PENDING = 1 << 1,
    BO_SLOW = 1 << 2,
    BO_MASKED = 1 << 3,
    BO_IN = 1 << BO_ARCH_IN,
    BO_NOTE = 1 << 5,
    BO_ASYNC = 1 << 6,
    BO_REPEAT = 1 << 7,
    BO_FOREIGN_DUE = 1 << 8,
    BO_EVENT = 1 << 9,
    BO_TIMED = 1 << 10,
    BO_OVERRUN = 1 << 11,
    BO_LIVE = 1 << 12,
    BO_CLOSABLE = 1 << 13,
    BO_SUMMONED = 1 << 14,
    BO_WAITS = 1 << 15,
    BO_SILENT_DUE = 1 << 16,
};

/* All that a post makes due. */
#define BO_ALL_DUE ((uint64_t)(BO_DUE | BO_FOREIGN_DUE | BO_SILENT_DUE))

#define BO_SENDER ((uint64_t)1 << 17)
#define BO_SENDERS ((uint64_t)0xf << 17)
#define BO_CHANGE ((uint64_t)1 << 21)
#define BO_CHANGES ((uint64_t)0x7ff << 21)

/* What a thread that has left a call must let in, or wait for, before it does anything else. */
#define BO_UNDER_WAY ((uint64_t)BO_NOTE | BO_SENDERS)

/* On the owner: sleeps until nobody is between a step on the word and the end of what it has promised. */
void bo_word_await_senders(_Atomic uint64_t *word);
/* The end of a sender. [signal] */
void bo_word_sent(_Atomic uint64_t *word);

_Static_assert(BO_DUE == BO_ARCH_DUE, "the window tests this bit");
_Static_assert(BO_FOREIGN_DUE == BO_ARCH_DUE << 8, "or the same bit of the next byte, in foreign code");
_Static_assert(BO_SILENT_DUE == BO_ARCH_DUE << 16, "or of the byte after that, in a silent wait of foreign code");

typedef _Atomic uint64_t bo_word;

static inline uint32_t bo_word_generation(uint64_t w)
{
    return (uint32_t)(w >> 32);
}

static inline uint64_t bo_word_make(uint32_t generation, uint32_t bits)
{
    return (uint64_t)generation << 32 | bits;
}

/* One more change; its overflow stays within its bits. */
static inline uint64_t bo_word_changed(uint64_t w)
{
    return (w & ~BO_CHANGES) | ((w + BO_CHANGE) & BO_CHANGES);
}

/* What a word becomes when an interrupt is posted to it. */
static inline uint64_t bo_word_posted(uint64_t w)
{
    w = bo_word_changed(w) | BO_PENDING;
    return w & BO_MASKED ? w : w | BO_ALL_DUE;
}

/* Does the step to `next` raise what the thread waits for, and may a signal come there (rule 13)? */
static inline bool bo_word_rises(uint64_t w, uint64_t next)
{
    uint64_t raised = next & ~w;
    if ((next & BO_IN) && (raised & BO_ALL_DUE))
        return true;
    return (next & BO_CLOSABLE) && (next & BO_SUMMONED) && (raised & (BO_SUMMONED | BO_DUE));
}

/* May there be one sender more? */
static inline bool bo_word_has_room(uint64_t w)
{
    return (w & BO_SENDERS) != BO_SENDERS;
}

#ifdef NDEBUG
static inline void bo_word_check(uint64_t from, uint64_t to)
{
    (void)from, (void)to;
}
#else
void bo_word_check(uint64_t from, uint64_t to);
#endif

/* One step: false, with the present word in *w, if the word has changed since it was loaded. */
static inline bool bo_word_step(bo_word *word, uint64_t *w, uint64_t next)
{
    if (!bo_cas_seq(word, w, next))
        return false;
    bo_word_check(*w, next);
    return true;
}

#endif
