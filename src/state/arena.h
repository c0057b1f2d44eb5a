/* SPDX-License-Identifier: MIT */
/*
 * The arena: one mapping with a slot for every thread and branch, and all records.
 *
 * Slots are type-stable: a thread's slot is only ever used for threads, so that a poster with a stale handle reads
 * valid memory and finds another generation. Slots refer to each other by index, not by pointer, so that the same
 * mapping can be read from outside the process (arena_map.h). A slot's life:
 *
 *     FREE --bo_thread_new/bo_branch_new--> its owner's --publish: LIVE--> seen by posters
 *       ^                                                                     |
 *       +---- owner: not LIVE, generation + 1; waits for pins and wakes ------+
 *
 * A handle is index and generation in one value: bit 63 is set for a branch.
 *
 * To read the arena from outside, while it changes: read the word of a slot that is LIVE, then the slot, then the word
 * again. If the generation is the same, the fields that the owner wrote before publishing the slot (parent, owner, file
 * and line) are complete. The fields that a live owner changes (name, regions) are consistent if two copies are equal.
 * The fields of a record are consistent if its state is the same before and after, and PENDING or DELIVERED.
 */
#ifndef BO_STATE_ARENA_H
#define BO_STATE_ARENA_H

#include <bough/level.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/clock.h"
#include "state/record.h"
#include "state/word.h"

enum {
    BO_THREADS = 1 << 15,
    BO_BRANCHES = 1 << 15,
    BO_NONE = 0, /* the index of no slot */
    BO_ROOT = 1, /* the branch around all threads and branches */
    BO_NAME = 32,
    BO_LINE = 64,   /* a cache line */
    BO_REGIONS = 6, /* regions kept for the tree, the outermost ones */
    BO_KIND_COUNT = (int)BOUGH_KINDS,
    BO_RUNGS = 7 /* enum bough_rung */
};

/* The values that bough_ladder_set() has set for a target; 0: not set. In ms, to save space. */
struct bo_ladder_cells {
    _Atomic uint32_t set; /* whether any of these values is set */
    _Atomic uint32_t grace, cap;
    _Atomic uint32_t time[BO_RUNGS];
    _Atomic uint8_t ceiling[BO_KIND_COUNT + 1];
} __attribute__((aligned(8)));

/*
 * The common first part of thread and branch slots, to which interrupts can be posted. Posters and the ticker write the
 * first cache line. The owner's fields come after it, so that a post does not take the owner's cache lines.
 *
 *   due         bit k: a record of kind k is pending for this target
 *   pins        posters that are writing a record here: the slot waits for them
 *   wake_subtree  a signal handler marked the target: the ticker wakes the threads below it
 *   tick_at     when the ticker examines the slot; only the ticker uses it
 *   ladder      the values that bough_ladder_set() has set
 *   name        written by the owner only, always terminated
 *
 * Of a thread:
 *   unsent      a signal could not be sent: the ticker sends it
 *   last_wake_at    when the last wake was sent, or an asynchronous region became due
 *   wakes_sent  wake signals sent since the thread last left a call
 *   diagnoses   how often the ticker has diagnosed this wake
 *   silence_reported   the reports made about this thread (wake/unanswered.h)
 *   blocks_wake the thread was found to block the wake signal: send the fallback signal immediately
 *   put_off     the thread shares a lock with others, and its wake was put off (wake/pace.h)
 *   wave        the thread was woken, and has a place of this wave; 0: it has no place
 *   paced       the thread shares a lock with others: few of them are woken at a time (wake/pace.h)
 *   join_waiters   threads that wait for this generation to end, on its futex word
 */
struct bo_target {
    bo_word word; /* state/word.h. Of a branch: generation and LIVE only */
    _Atomic uint32_t due;
    _Atomic uint32_t pins;
    _Atomic uint32_t free_next;
    uint32_t index;
    _Atomic uint8_t wake_subtree, unsent, put_off;
    _Atomic int64_t tick_at;
    _Atomic int64_t last_wake_at;
    _Atomic uint32_t wave, join_waiters;
    _Atomic uint16_t wakes_sent, diagnoses;
    _Atomic uint8_t silence_reported, blocks_wake, paced;

    struct bo_ladder_cells ladder;
    char name[BO_NAME];
};

_Static_assert(offsetof(struct bo_target, ladder) == BO_LINE,
               "the fields that others write and the owner's fields are in different cache lines");

/*
 * Suppresses, until a time of bough_now(), the records numbered up to `seq` whose rung is not above `rung`. seq 0: no
 * record. The owner writes the struct by bo_suppress(); the ticker and walks read it.
 */
struct bo_suppression {
    _Atomic uint64_t seq;
    _Atomic int64_t until;
    _Atomic uint8_t rung;
};

static inline void bo_suppress(struct bo_suppression *s, uint64_t seq, int64_t until, uint8_t rung)
{
    bo_store_relaxed(&s->until, until);
    bo_store_relaxed(&s->rung, rung);
    bo_store_seq(&s->seq, seq);
}

static inline bool bo_suppression_is_endless(const struct bo_suppression *s)
{
    return bo_load_seq(&s->seq) && bo_load_relaxed(&s->until) == BO_FOREVER;
}

/* When the suppression ends, if it is in force at `now`; BO_FOREVER: it is not in force, or has no end. */
static inline int64_t bo_suppression_end(const struct bo_suppression *s, int64_t now)
{
    int64_t until = bo_load_seq(&s->seq) ? bo_load_relaxed(&s->until) : BO_FOREVER;
    return until > now ? until : BO_FOREVER;
}

/*
 * Whether a thread is in a call of foreign code. CALL: in a call that reports an interrupt to its caller. SILENT: in a
 * call that cannot (a pause, a condition wait; thread/foreign.h). ASIDE: in one of the two, but a handler of the ladder
 * runs nested inside it. CALL and SILENT are also the distance, in bytes, from DUE to the bit that ends such a call.
 */
enum bo_foreign_step { BO_NOT_FOREIGN, BO_FOREIGN_CALL, BO_FOREIGN_SILENT, BO_FOREIGN_ASIDE };

/* How a thread wants foreign code to be interrupted: bough_foreign_set(). All 0: the defaults. */
struct bo_foreign_ways {
    int error;
    unsigned kinds; /* the kinds of records that interrupt foreign code, a bit for each enum bough_kind; 0: all */
    int64_t grace;
    void (*on_cut)(void), (*choose)(void);
    void *argument;
};

enum bo_outcome_note {
    BO_REPORTED,       /* the call failed */
    BO_RETRIED,        /* the call failed with EINTR, was repeated at once, and failed with the other error */
    BO_TOOK_NO_OTHER,  /* the call failed with EINTR and was repeated; the caller tolerates no other error */
    BO_ENDED_SILENTLY, /* a silent wait ended early */
    BO_IGNORED_POLL    /* the failure of a poll() was ignored; this call failed with its error */
};

/* How the thread's last interrupted call of foreign code failed, for reports. `at` 0: there was none. Written by the
 * owner, field by field: a report may mix the fields of two calls. */
struct bo_outcome {
    const char *_Atomic call;   /* a name in the library's constant data */
    const char *_Atomic object; /* the path of the calling object; may be unloaded */
    _Atomic int64_t at;
    _Atomic int error;    /* the error number; 0: the call reported success */
    _Atomic uint8_t last; /* enum bo_outcome_note */
};

/* The outermost critical section: its start and its budget; and the pauses of the incident that it delays. The clock is
 * in thread/section.c. */
struct bo_section {
    _Atomic int64_t entry, budget;
    _Atomic int64_t pause_used, pause_min;
    _Atomic uint64_t pause_seq;
};

/* The thread's present call. Each call uses all of these fields. */
struct bo_call_state {
    uintptr_t frame; /* where on the stack the outermost call was made; valid while the word has IN */
    const void *due_byte;
    struct bo_libc_wait *libc_wait;
    uintptr_t foreign_frame; /* the frame of the function in which foreign code made its call */
    _Atomic uint8_t foreign; /* enum bo_foreign_step */
    bool foreign_cut;        /* that call was interrupted */
    bool last_was_cut;       /* the last failing call was interrupted (rule 28) */
    bool recomputed_on_top;  /* a handler that interrupted a call has recomputed the word */
    /* The wake signal is blocked in a handler's frame, and is delivered when the handler returns. */
    _Atomic uint8_t below_handler;
    bool foreign_from_start;  /* foreign code of the thread is opted in from its start */
    _Atomic uint8_t recorded; /* the thread's calls are recorded (trace/recorder.h), and take the slow path */
};

/* The numbers of open regions of each kind. Written by the thread only. */
struct bo_open_regions {
    uint32_t critical, allow, async, cleanup, closable;
    uint32_t foreign; /* one more if foreign code of the thread is opted in from its start */
};

/* The thread's stack. Of a stranger: the time of its start, and 0 (thread/stranger.h). */
struct bo_stack_bounds {
    uintptr_t low, high;
};

/*
 * The thread's part in an incident: what was delivered to it, and which handlers have run.
 *
 *   delivered_seq, delivered_rung, delivered_at   the highest record that a point of this thread has failed for
 *   handled_seq, handled_rung   handlers have run for this record, up to this rung
 *   handling    on the thread's stack: the handler that runs now
 *   handlers, finals   the numbers of regions with a handler of rung 2, of rung 3; the ladder reads them
 *   jumped      the last handler has left by a jump
 */
struct bo_thread_incident {
    _Atomic uint64_t delivered_seq;
    _Atomic int64_t delivered_at;
    uint64_t handled_seq;
    struct bo_handling *handling;
    _Atomic uint8_t handlers, finals;
    _Atomic uint8_t delivered_rung;
    uint8_t handled_rung;
    bool jumped;
};

/* Rung 4, see ladder/freeze.h. */
struct bo_freeze {
    _Atomic int64_t asked_at; /* the time of the request; only the warden uses it */
    _Atomic uint32_t state;
    _Atomic uint8_t closing; /* a helper runs the thread's closers */
};

/* The branch or thread that the thread waits for. */
struct bo_join {
    _Atomic uint32_t branch; /* it waits for the end of this branch's children; BO_ROOT: at exit, for all threads */
    _Atomic pid_t thread;    /* foreign code joins this thread, a wait that is never interrupted; 0: none */
};

/* A region that is kept for the tree. */
struct bo_shown_region {
    struct bough_region *at; /* its address on the owner's stack, which shows whether a longjmp() has left it */
    const char *file;
    int line, kind;
    int64_t since;
};

/*
 * A thread's slot. It belongs to an OS thread from its adoption or start to its end; each child that a worker runs is
 * another generation. Each blocked child takes a slot: the fields are ordered so that there is little padding, and so
 * that a region's begin and end use one cache line besides those of a call.
 *
 *   parent      the branch that the thread is a child of; BO_ROOT for main and adopted threads
 *   top         the innermost branch that the thread has open; BO_NONE
 *   outermost   the outermost open branch, or the last one that the thread had; BO_NONE
 *   disabled    the thread was started at level disabled
 *   shield      the records that a cleanup region suppresses (rule 20)
 *   resumed     the records suppressed since a handler's verdict to resume
 *   reported    the records delivered to foreign code by a failing call
 *   silenced    the records that have ended a silent wait of foreign code
 *   left        what the thread leaves if it is lost: set by the thread itself before it freezes, see branch/lost.c
 *   call.due_byte   the byte of the word that a call's window tests. It follows from `foreign` (thread/foreign.h), but
 *               is stored, so that calls need not compute it
 */
struct bo_thread {
    struct bo_target t;

    struct bo_call_state call;
    _Atomic uint32_t level_serial; /* odd while the owner changes the level: a seqlock for the ticker */
    _Atomic uint32_t depth;

    _Atomic pid_t tid;
    _Atomic uint32_t parent;
    _Atomic uint32_t top;
    _Atomic uint32_t outermost;
    int event_fd;
    struct bo_join join;
    bool disabled;
    struct bo_freeze freeze;
    struct bo_thread_incident incident;
    struct bo_suppression shield, resumed, reported, silenced;
    struct bough_async *async;

    struct bo_open_regions open;
    struct bough_region *regions;
    struct bo_stack_bounds stack;
    struct bough_closer *closers;
    struct bo_left *left;
    struct bo_shown_region region[BO_REGIONS];
    struct bo_section section;
    struct bo_worker *worker; /* of a child; NULL for main and adopted threads */
    struct bo_child *child;   /* the child that the worker runs now */
    struct bo_foreign_ways ways;
    struct bo_outcome outcome;
} __attribute__((aligned(BO_LINE)));

_Static_assert(sizeof(struct bo_thread) <= 768, "memory of a blocked child: see make bench");
/* A call uses the word's cache line and one more. */
_Static_assert(offsetof(struct bo_thread, call) / BO_LINE == offsetof(struct bo_thread, depth) / BO_LINE,
               "the fields that each call uses are in one cache line");
_Static_assert(offsetof(struct bo_thread, open) / BO_LINE == offsetof(struct bo_thread, left) / BO_LINE,
               "the fields that each region uses are in one cache line");

/*
 * A branch's slot. `outer` is the branch around it: the branch that its owner opened before, or that its owner is a
 * child of. All threads and branches inside it end before it: an ancestor of a live thread is live.
 *
 *   ahead      the next branch further out that a walk has to examine, and the number of marks for which that is valid
 *              (state/tree.h)
 *   reach, sure   the parts of the slot table that contain the threads inside the branch (state/reach.h)
 *   depth, jump   how many branches are around it; an ancestor, by which others are found in few steps (state/reach.h)
 *   shield     if the branch was opened in a cleanup region: records further out are suppressed (rule 20)
 *   live       the number of running children; the futex word that the end waits on. With BO_ORPHANED the owner was
 *              lost, so that `owner` is BO_NONE: the last child ends the branch, which counts as a live member of the
 *              branch around it
 */
#define BO_ORPHANED ((uint32_t)1 << 31)

struct bo_reach {
    _Atomic uint64_t groups, parts; /* of threads' slots */
};

struct bo_branch {
    struct bo_target t;
    _Atomic uint32_t owner; /* thread index; BO_NONE for the root, and if the owner was lost */
    _Atomic uint32_t outer;
    _Atomic uint32_t depth;
    _Atomic uint32_t jump;
    struct bo_reach reach, sure;
    _Atomic uint64_t ahead;
    _Atomic uint32_t live;
    _Atomic uint32_t waiters;
    _Atomic int64_t deadline;
    struct bo_suppression shield;
    const char *file;
    int line;
    struct bo_branch_state *state; /* children and failures, which only this process needs: branch/branch_state.h */
} __attribute__((aligned(BO_LINE)));

/*
 * The beginning of the mapping; tables of threads, branches and records follow, at the offsets in the header. A reader
 * in another process uses the same layout: it was built from the same files, or refuses to read (version, layout).
 */
struct bo_header {
    char magic[16]; /* BO_ARENA_MAGIC; written last */
    uint32_t version, layout;
    uint32_t header_size, thread_size, branch_size, record_size;
    uint32_t threads, branches, kinds;
    uint32_t first_generation; /* of a slot that was never used in this process */
    uint64_t thread_at, branch_at, record_at, size;
    int64_t started; /* CLOCK_MONOTONIC */
    pid_t pid;
    _Atomic pid_t ticker;        /* the ticker's kernel thread; 0: it does not run */
    _Atomic int64_t stood_still; /* how far bough_now() is behind CLOCK_MONOTONIC (rule 33) */
    char library[16];            /* the library's version */
    int ticker_signal;
    _Atomic uint32_t thread_high; /* slots ever used: a scan ends here. In a cache line that is seldom written */
    _Atomic uint32_t branch_high;

    /* Written when a slot is taken: a separate cache line from the fields that all threads read. The slots from `next`
     * on were never used, unless a fork has kept them. */
    __attribute__((aligned(BO_LINE))) _Atomic uint32_t thread_next;
    _Atomic uint32_t branch_next;
    _Atomic uint64_t thread_free, branch_free; /* stacks: count of changes and index, against ABA */
    _Atomic uint64_t seq;                      /* numbers the records */
    _Atomic uint64_t marks;                    /* counts targets marked for the threads below them: see state/tree.h */
};

#define BO_ARENA_MAGIC "bough arena"
enum { BO_ARENA_VERSION = 13 };

/* Where the arena is mapped in this process, and its mailbox. NULL: there is no mailbox, because the arena is
 * hidden. */
struct bo_arena {
    struct bo_header *head;
    struct bo_thread *thread;
    struct bo_branch *branch;
    struct bo_record *record;
    struct bo_mailbox *mail;
};

extern struct bo_arena bo_arena;

/* How many slots of each table were ever used: a scan ends here. 0: there is no arena, for lack of memory. */
static inline uint32_t bo_threads_used(void)
{
    return bo_arena.head ? bo_load_seq(&bo_arena.head->thread_high) : 0;
}
static inline uint32_t bo_branches_used(void)
{
    return bo_arena.head ? bo_load_seq(&bo_arena.head->branch_high) : 0;
}

/* A checksum of the offsets of the fields that readers use: another build of the same version may have moved them. */
uint32_t bo_arena_layout(void);

/* Map the arena and make the root, before anything else. 0 or -1 with ENOMEM: there is no arena, and the caller may try
 * again. */
int bo_arena_init(void);
/* Take a free slot, whose generation is not LIVE yet; NULL with EAGAIN if the table is full. Lock-free, so that a call
 * in a signal handler can adopt its thread. */
struct bo_thread *bo_thread_new(void);
struct bo_branch *bo_branch_new(void);
void bo_thread_free(struct bo_thread *t);
void bo_branch_free(struct bo_branch *b);
/* Set a target's name, truncated if it is too long; NULL: none. Called by its owner. */
void bo_set_name(struct bo_target *t, const char *name);
/* A copy of a target's name: the slot may get its next user, and name, at this moment. Returns `name`. */
const char *bo_name_of(const struct bo_target *t, char name[BO_NAME]);

/* ---- a fork: the child has a new arena, in the same place (fork.c) --------------------- */

/* Called in the parent, before and after a fork: in between, a child inherits the mapping, which reserves its addresses
 * (arena_map.h). */
void bo_arena_lend(bool begin);
/* Called in the child: map an empty arena, with the root. Its slots begin with generations that no handle of the parent
 * has. `threads` and `branches`: how many slots the parent had used. -1: there is no memory, and no arena. */
int bo_arena_renew(uint32_t threads, uint32_t branches);
/* Continue without an arena, until bo_arena_init() makes one: the child must not use its parent's. */
void bo_arena_drop(uint32_t threads, uint32_t branches);
/* Mark a slot that was copied into the new arena as used. */
void bo_arena_occupy(const struct bo_target *t);

static inline struct bo_thread *bo_thread_at(uint32_t index)
{
    return &bo_arena.thread[index];
}

static inline struct bo_branch *bo_branch_at(uint32_t index)
{
    return &bo_arena.branch[index];
}

/* `freeze.state` holds a state of ladder/freeze.h and the generation that it belongs to. BO_STANDS_STILL is the last of
 * these states. */
enum { BO_STANDS_STILL = 3 };

static inline uint32_t bo_freeze_make(uint32_t generation, uint32_t step)
{
    return generation << 2 | step;
}

static inline bool bo_stands_still(const struct bo_thread *t)
{
    uint32_t generation = bo_word_generation(bo_load_seq(&t->t.word));
    return bo_load_seq(&t->freeze.state) == bo_freeze_make(generation, BO_STANDS_STILL);
}

/* The bit of the word that interrupts the thread's present call. Called by the thread itself, or by the ticker. */
BO_BARE static inline uint64_t bo_foreign_due_bit(const struct bo_thread *t)
{
    uint8_t step = bo_load_relaxed(&t->call.foreign);
    return step == BO_FOREIGN_CALL ? BO_FOREIGN_DUE : step == BO_FOREIGN_SILENT ? BO_SILENT_DUE : BO_DUE;
}

static inline bool bo_is_branch(const struct bo_target *t)
{
    return (const char *)t >= (const char *)bo_arena.branch;
}

/* ---- handles ---------------------------------------------------------------------------------- */

#define BO_HANDLE_BRANCH ((uint64_t)1 << 63)
#define BO_HANDLE_TAG ((uint64_t)0x2b << 56) /* distinguishes a handle from a stray pointer */
#define BO_HANDLE_TAG_MASK ((uint64_t)0x7f << 56)
#define BO_GENERATION_MASK 0xffffffffu

static inline uint64_t bo_handle_make(uint32_t index, uint32_t generation, bool branch)
{
    return (branch ? BO_HANDLE_BRANCH : 0) | BO_HANDLE_TAG | (uint64_t)index << 32 | generation;
}

static inline uint32_t bo_handle_index(uint64_t h)
{
    return (uint32_t)(h >> 32) & 0xffffff;
}
static inline uint32_t bo_handle_generation(uint64_t h)
{
    return (uint32_t)h;
}
static inline bool bo_handle_is_branch(uint64_t h)
{
    return (h & BO_HANDLE_BRANCH) != 0;
}

uint64_t bo_thread_handle(const struct bo_thread *t);
uint64_t bo_branch_handle(const struct bo_branch *b);

/* The slot of a handle, alive or not; NULL with errno EINVAL if the handle is invalid (or NULL). */
struct bo_target *bo_target_of(uint64_t handle);
/* A live thread or branch by its handle: NULL with EINVAL or ESRCH. */
struct bo_thread *bo_thread_of_handle(const void *handle);
struct bo_branch *bo_branch_of_handle(const void *handle);

static inline bool bo_target_is(const struct bo_target *t, uint32_t generation)
{
    uint64_t w = bo_load_seq(&t->word);
    return bo_word_generation(w) == generation && (w & BO_LIVE);
}

/* Whether a region is hidden: the internal regions of a binding to another language have a negative line. */
static inline bool bo_is_internal(int line)
{
    return line < 0;
}

#endif
