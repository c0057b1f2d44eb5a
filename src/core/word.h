/* SPDX-License-Identifier: MIT */
/*
 * The interrupt word: all that posters and a thread have to agree on in one step, in one atomic word.
 *
 *      63            32 31            19 18 ...................................................... 0
 *     [ generation     ] [ section      ] [ the bits below                                         ]
 *
 *  bit           means                                            set by            cleared by
 *  DUE           an interrupt is due at the thread's level        poster, ticker,   owner
 *                (a call fails, bough_check() fails)              owner
 *  PENDING       there is one, admitted or not                    poster            owner
 *  SLOW          the thread itself does not know of its slot yet  who makes the     the thread at its first
 *                (core/stranger.h)                                slot              use, or who lets it go
 *  MASKED        the level is `disabled`: a post is not due       owner             owner
 *  IN            inside an interruptible call                     owner             owner
 *  SENT          a wake signal is under way to this thread        poster, ticker,   the signal's handler,
 *                                                                 only with IN/ASYNC on this thread
 *  ASYNC         an asynchronous region is open and not masked    owner             owner
 *  REPEAT        with IN: the call is cut by repeated signals     owner             owner
 *  FOREIGN_DUE   due for code that was not written for bough      poster, ticker,   owner: delivered there
 *                (rule 22): what the window tests in its calls    owner             once a rung, then left alone
 *  SILENT_DUE    the same for its silent waits (core/foreign.h),  poster, ticker,   owner: one was ended,
 *                which cannot report an interrupt                 owner             or a call has reported it
 *  EVENT_SENT    a poster is writing to it                        poster            the same poster
 *  EVENT         the thread has an event descriptor               owner             owner
 *  TIMED         the ticker has to look: a budget or grace runs   owner             owner
 *  OVERRUN       the budget is used up: sections do not mask      ticker, owner     owner
 *  LIVE          the generation is alive                          owner (adder)     owner
 *  RESEND        the ticker is sending an unanswered wake once    ticker, only      ticker, in the step
 *                more: the thread does not leave meanwhile        with SENT         that sets RESENT
 *  RESENT        it was sent, and one of two may come after       ticker            owner
 *                the answer: the owner waits for all who are
 *                sending and makes one more system call before
 *                it leaves, so that all have arrived
 *  CLOSABLE      a region is open in which a signal may come     owner             owner
 *                from rung 3 on: closable, or with a final
 *                handler that runs asynchronously
 *  SUMMONED      a higher rung wants this thread by a signal       the ladder        the ladder, and
 *                                                                                    owner when frozen
 *  section       counts critical sections, so that the ticker     owner             -
 *                never opens a later one than it has weighed
 *
 *  Life of the call bits (rules 8 and 13); every arrow is one atomic step:
 *
 *      out  --owner: bo_call-->  IN  --poster: DUE and SENT at once, then tgkill-->  IN|SENT
 *       ^                         |                                                    |
 *       |<---- owner leaves ------+       handler: counter in the window: cancel ------+--> IN
 *       |                                 handler: a handler on top: block, send again +--> IN|SENT
 *       +<---- owner leaves IN|SENT, unblocks the signal, waits for SENT to be cleared +
 *              (and for what the ticker has sent again: RESEND, RESENT)
 *
 *  Invariants, checked by bo_word_check() in debug builds:
 *      SENT is set only in a step that saw IN or ASYNC, or CLOSABLE with SUMMONED: a signal never reaches
 *      foreign code.
 *      DUE implies PENDING, FOREIGN_DUE and SILENT_DUE imply DUE. TIMED implies MASKED.
 *      SLOW implies that neither IN nor ASYNC nor CLOSABLE nor MASKED is set.
 *      REPEAT implies IN. EVENT_SENT implies EVENT. Nothing else is set when LIVE is not.
 *
 *  One word with two locked operations for each call was chosen over plain stores with membarrier(2) in
 *  the poster: bench/entry.c measures both; docs/decisions.md keeps the record.
 */
#ifndef BO_CORE_WORD_H
#define BO_CORE_WORD_H

#include "arch/window.h"
#include "base/atomic.h"

enum bo_word_bits {
    BO_DUE = 1 << 0,
    BO_PENDING = 1 << 1,
    BO_SLOW = 1 << 2,
    BO_MASKED = 1 << 3,
    BO_IN = 1 << 4,
    BO_SENT = 1 << 5,
    BO_ASYNC = 1 << 6,
    BO_REPEAT = 1 << 7,
    BO_FOREIGN_DUE = 1 << 8,
    BO_EVENT_SENT = 1 << 9,
    BO_EVENT = 1 << 10,
    BO_TIMED = 1 << 11,
    BO_OVERRUN = 1 << 12,
    BO_LIVE = 1 << 13,
    BO_RESEND = 1 << 14,
    BO_RESENT = 1 << 15,
    BO_SILENT_DUE = 1 << 16,
    BO_SUMMONED = 1 << 17,
    BO_CLOSABLE = 1 << 18,
    BO_UNDER_WAY = BO_SENT | BO_RESEND | BO_RESENT, /* a wake that must not reach what the thread does after its call */
};

/* All that a post makes due. */
#define BO_ALL_DUE ((uint64_t)(BO_DUE | BO_FOREIGN_DUE | BO_SILENT_DUE))

#define BO_SECTION_ONE ((uint64_t)1 << 19)
#define BO_SECTION_MASK ((uint64_t)0x1fff << 19)

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

/* What a word becomes when an interrupt is posted to it. */
static inline uint64_t bo_word_posted(uint64_t w)
{
    w |= BO_PENDING;
    return w & BO_MASKED ? w : w | BO_ALL_DUE;
}

/* What a due word becomes when its thread is to be woken by a signal: unchanged if that is not allowed
 * (rule 13), not needed, or under way already. RESENT stays until the thread leaves, also if it is of a wake before. */
static inline uint64_t bo_word_woken(uint64_t w)
{
    return (w & BO_DUE) && ((w & BO_IN) || ((w & BO_CLOSABLE) && (w & BO_SUMMONED))) ? w | BO_SENT : w;
}

#ifdef NDEBUG
static inline void bo_word_check(uint64_t w)
{
    (void)w;
}
#else
void bo_word_check(uint64_t w);
#endif

#endif
