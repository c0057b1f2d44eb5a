/* SPDX-License-Identifier: MIT */
/*
 * The interrupt word: the state that posters and a thread change together, in one atomic word.
 *
 *      63            32 31        21 20      17 16 .................................................. 0
 *     [ generation     ] [ changes  ] [ senders ] [ the bits below                                   ]
 *
 *  bit           means                                            set by            cleared by
 *  DUE           an interrupt is due at the thread's level        poster, ticker,   owner
 *                (a call fails, bough_check() fails)              owner
 *  PENDING       an interrupt is pending, admitted or not         poster            owner
 *  UNADOPTED     another thread has made the slot, and the        the thread that   the thread at its first
 *                thread has not used it yet (thread/stranger.h)   makes the slot    use, or the release
 *  DISABLED      the level is `disabled`: a post is not due       owner             owner, ticker
 *  IN            inside an interruptible call                     owner             owner
 *  NOTE          a signal was sent since the owner last let all   a sender, owner   owner
 *                sent signals be delivered; or a handler that
 *                has interrupted the call has recomputed the word
 *  ASYNC         an asynchronous region is open, not disabled     owner             owner
 *  REPEAT        with IN: repeated signals end the call           owner             owner
 *  FOREIGN_DUE   due for foreign code                             poster, ticker,   owner: delivered there
 *                (rule 22): what the window tests in its calls    owner             once a rung, then suppressed
 *  SILENT_DUE    due for silent waits of foreign code             poster, ticker,   owner: such a wait was ended,
 *                (thread/foreign.h), which cannot report it       owner             or a call has reported it
 *  EVENT         the thread has an event descriptor               owner             owner
 *  TIMED         a budget or grace period runs: the ticker has    owner             owner, ticker
 *                to examine the slot
 *  OVERRUN       the budget is used up: sections do not defer     ticker, owner     owner
 *  LIVE          the generation is alive                          owner (adder)     owner
 *  CLOSABLE      a region is open in which a signal may come      owner             owner
 *                from rung 3 on: closable, or with a final
 *                handler that runs asynchronously
 *  SUMMONED      a higher rung sends this thread a signal         the ladder        the ladder, and
 *                                                                                   owner when frozen
 *  WAITS         the owner sleeps until the senders finish        owner             owner
 *  senders       senders that are between their step on this word     a sender          the same sender
 *                and the end of what the step has promised: a
 *                signal, a write to the event descriptor
 *  changes       counts posts, also those that change no bit,     poster, owner     -
 *                and critical sections: a step that follows from
 *                the records changes the word only if
 *                nothing was posted since it was loaded
 *
 * A wake (rules 8 and 13). A sender is a poster, the ticker or the ladder, with all signals blocked. Every arrow is one
 * atomic step:
 *
 *      out --owner, window: set IN--> IN --sender: a bit rises that the thread waits for: NOTE, senders + 1--> IN|NOTE, 1
 *       ^                              |                                                                        |
 *       |                              |                                        sender, signal sent: senders - 1 |
 *       |                              v                                                                        v
 *       +<-- owner: senders 0: clear NOTE, one system call <-- NOTE <-- owner, window: clear IN --------------- IN|NOTE, 0
 *
 * The signal's handler changes the word in three cases only: it sets NOTE for a signal that it sends to the calling
 * thread (TO_SELF), clears IN of a call that a jump has left (LEFT), and answers the ladder (ANSWER, FREEZE).
 * Leaving the call acknowledges the wake. A poster that finds the word due sends nothing: the poster that made it due
 * sends, or has sent. If a signal cannot be sent, or changes nothing within 50 ms, the ticker sends it again, by the
 * same step. A sender that finds the count full waits until another sender has finished.
 *
 * BO_WORD_STEPS, below, has the function that makes each step.
 *
 * Invariants, checked by bo_word_check() in debug builds after each step, and before and after the window's steps,
 * which are assembly:
 *      A step changes only the bits that its function may set or clear, and counts at most one sender.
 *      NOTE is set only in a step that saw IN or ASYNC, or CLOSABLE with SUMMONED: a signal never reaches
 *      foreign code.
 *      DUE implies PENDING (except for WATCHFUL), FOREIGN_DUE and SILENT_DUE imply DUE. TIMED implies DISABLED.
 *      UNADOPTED implies that neither IN nor ASYNC nor CLOSABLE nor DISABLED is set.
 *      REPEAT implies IN. Without LIVE, only senders are set, and WAITS for them.
 *
 * Each call makes two locked operations on this word. The alternative, plain stores with membarrier(2) in the poster,
 * was rejected: bench/entry.c measures both, and docs/decisions.md has the reasons.
 */
#ifndef BO_STATE_WORD_H
#define BO_STATE_WORD_H

#include <stdbool.h>
#include "arch/window.h"
#include "base/atomic.h"

enum bo_word_bits {
    BO_DUE = 1 << 0,
    BO_PENDING = 1 << 1,
    BO_UNADOPTED = 1 << 2,
    BO_DISABLED = 1 << 3,
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

/* The bits that a post makes due. */
#define BO_ALL_DUE ((uint64_t)(BO_DUE | BO_FOREIGN_DUE | BO_SILENT_DUE))

#define BO_SENDER ((uint64_t)1 << 17)
#define BO_SENDERS ((uint64_t)0xf << 17)
#define BO_CHANGE ((uint64_t)1 << 21)
#define BO_CHANGES ((uint64_t)0x7ff << 21)
#define BO_LOW_HALF ((uint64_t)0xffffffff)

/* If any of these is set, a thread that has left a call must first wait for the senders and let the signal in. */
#define BO_UNDER_WAY ((uint64_t)BO_NOTE | BO_SENDERS)

/* Called on the owner: sleep until each sender has done what its step on the word has promised. */
void bo_word_await_senders(_Atomic uint64_t *word);
/* A sender has finished. [signal] */
void bo_word_sent(_Atomic uint64_t *word);

_Static_assert(BO_DUE == BO_ARCH_DUE, "the window tests this bit");
_Static_assert(BO_FOREIGN_DUE == BO_ARCH_DUE << 8, "in foreign code, the window tests the same bit of the next byte");
_Static_assert(BO_SILENT_DUE == BO_ARCH_DUE << 16, "in a silent wait, the window tests that bit of the third byte");

typedef _Atomic uint64_t bo_word;

static inline uint32_t bo_word_generation(uint64_t w)
{
    return (uint32_t)(w >> 32);
}

static inline uint64_t bo_word_make(uint32_t generation, uint32_t bits)
{
    return (uint64_t)generation << 32 | bits;
}

/* The word with one more change counted; an overflow stays within the field. */
static inline uint64_t bo_word_changed(uint64_t w)
{
    return (w & ~BO_CHANGES) | ((w + BO_CHANGE) & BO_CHANGES);
}

/* The word after a post. */
static inline uint64_t bo_word_posted(uint64_t w)
{
    w = bo_word_changed(w) | BO_PENDING;
    return w & BO_DISABLED ? w : w | BO_ALL_DUE;
}

/* Whether the step to `next` sets a bit that the thread waits for, where a signal may be delivered (rule 13). */
static inline bool bo_word_rises(uint64_t w, uint64_t next)
{
    uint64_t raised = next & ~w;
    if ((next & BO_IN) && (raised & BO_ALL_DUE))
        return true;
    return (next & BO_CLOSABLE) && (next & BO_SUMMONED) && (raised & (BO_SUMMONED | BO_DUE));
}

/* Whether the word can count one more sender. */
static inline bool bo_word_has_room(uint64_t w)
{
    return (w & BO_SENDERS) != BO_SENDERS;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/*
 * All steps: the name, the function that makes the step, the bits that the step may set, and those that it may clear.
 * SENDERS: one sender more, or one less. CHANGES: the step counts a change. The window's assembly sets and clears IN;
 * the step of the window in C is CALL. SLOT, ROOT and END change the generation. tests/word.py compares this list with
 * the code.
 */
#define BO_WORD_STEPS(X)                                                                                \
    X(CALL, bo_call_window, BO_IN | BO_REPEAT, BO_IN | BO_REPEAT)                                       \
    X(ON_TOP, call_on_top, BO_REPEAT, BO_REPEAT)                                                        \
    X(LIBC_BEGIN, announce_libc_wait, BO_IN | BO_REPEAT, 0)                                             \
    X(LIBC_END, bo_libc_end, 0, BO_IN | BO_REPEAT)                                                      \
    X(ABANDON, bo_call_abandon, 0, BO_IN | BO_REPEAT)                                                   \
    X(LEFT, elsewhere, 0, BO_IN | BO_REPEAT)                                                            \
    X(POST, bo_wake_step, BO_PENDING | BO_ALL_DUE | BO_SUMMONED | BO_NOTE | BO_SENDERS | BO_CHANGES, 0) \
    X(PUT_OFF, bo_wake_put_off, BO_NOTE | BO_SENDERS, 0)                                                \
    X(AGAIN, bo_signal_again, BO_NOTE | BO_SENDERS, 0)                                                  \
    X(TO_SELF, bo_wake_send_to_self, BO_NOTE, 0)                                                        \
    X(SENT, bo_word_sent, 0, BO_SENDERS)                                                                \
    X(AWAIT, bo_word_await_senders, BO_WAITS, BO_WAITS)                                                 \
    X(LET_IN, bo_wake_send_drain, 0, BO_NOTE)                                                           \
    X(LEVEL, set_level, BO_DISABLED | BO_TIMED | BO_ASYNC | BO_CLOSABLE | BO_ALL_DUE,                   \
      BO_DISABLED | BO_TIMED | BO_ASYNC | BO_CLOSABLE | BO_OVERRUN | BO_ALL_DUE)                        \
    X(RECORDS, bo_level_recompute, BO_PENDING | BO_ALL_DUE | BO_NOTE, BO_PENDING | BO_ALL_DUE)          \
    X(WATCHFUL, be_watchful, BO_ALL_DUE, 0)                                                             \
    X(SECTION, count_section, BO_CHANGES, 0)                                                            \
    X(NO_BUDGET, bo_section_enter, BO_OVERRUN, 0)                                                       \
    X(BUDGET, look_at_section, BO_OVERRUN, BO_DISABLED | BO_TIMED)                                      \
    X(EVENT, bough_event_fd, BO_EVENT, 0)                                                               \
    X(CLAIM, bo_stranger_claim, 0, BO_UNADOPTED)                                                        \
    X(DISMISS, dismiss_freeze, 0, BO_SUMMONED)                                                          \
    X(ANSWER, bo_ladder_summoned, 0, BO_SUMMONED)                                                       \
    X(FREEZE, answer_all, 0, BO_IN | BO_REPEAT | BO_ASYNC | BO_CLOSABLE | BO_SUMMONED | BO_NOTE)        \
    X(FORK, reset_forked_thread, 0, BO_EVENT | BO_NOTE | BO_SENDERS | BO_SUMMONED)                      \
    X(ROOT, make_root, BO_LIVE, 0)                                                                      \
    X(SLOT, take_slot, 0, 0)                                                                            \
    X(BRANCH, publish_branch, BO_LIVE, BO_CHANGES)                                                      \
    X(PUBLISH, bo_publish, BO_LIVE | BO_UNADOPTED | BO_DISABLED, BO_CHANGES)                            \
    X(END, bo_posts_end, 0, BO_LOW_HALF & ~BO_SENDERS)

enum bo_word_step {
#define BO_WORD_NAME(name, function, sets, clears) BO_BY_##name,
    BO_WORD_STEPS(BO_WORD_NAME)
#undef BO_WORD_NAME
};

#ifdef NDEBUG
#define bo_word_check(from, to, by) ((void)(from), (void)(to), (void)(by))
#define bo_word_look(w, in) ((void)0)
#else
/* [signal] */
void bo_word_check(uint64_t from, uint64_t to, enum bo_word_step by);
/* Check a word that the window's assembly is about to change, or has changed. `in`: whether IN is set; -1: either. */
void bo_word_look(uint64_t w, int in);
#endif

/* Set or clear bits; the value is the old word. These are macros, because code that runs in a signal handler must not
 * call functions that the thread sanitizer instruments. */
#define bo_word_set(word, bits, by)                                       \
    __extension__({                                                       \
        uint64_t bo_bits_ = (bits), bo_from_ = bo_or_seq(word, bo_bits_); \
        bo_word_check(bo_from_, bo_from_ | bo_bits_, by);                 \
        bo_from_;                                                         \
    })
#define bo_word_clear(word, bits, by)                                       \
    __extension__({                                                         \
        uint64_t bo_bits_ = (bits), bo_from_ = bo_and_seq(word, ~bo_bits_); \
        bo_word_check(bo_from_, bo_from_ & ~bo_bits_, by);                  \
        bo_from_;                                                           \
    })

/* Make one step. False, with the present word in *w: the word has changed since it was loaded. */
static inline bool bo_word_step(bo_word *word, uint64_t *w, uint64_t next, enum bo_word_step by)
{
    if (!bo_cas_seq(word, w, next))
        return false;
    bo_word_check(*w, next, by);
    return true;
}

/* Store any word, in a slot without posters. */
static inline void bo_word_put(bo_word *word, uint64_t next, enum bo_word_step by)
{
    bo_word_check(bo_load_relaxed(word), next, by);
    bo_store_seq(word, next);
}

#endif
