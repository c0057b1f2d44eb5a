/* SPDX-License-Identifier: MIT */
/*
 * Test hooks: named places in race windows, where a test can insert a delay or an action. The hooks exist only with
 * -Dhooks=true.
 *
 *     BO_HOOK(call_entered);      // in the library
 *     bo_hook_call_entered = fn;  // in a test
 */
#ifndef BO_BASE_HOOK_H
#define BO_BASE_HOOK_H

#define BO_HOOKS_LIST(X)                                                                          \
    X(call_entered)    /* the thread has announced a call, before the window */                   \
    X(call_left)       /* after the window, before the thread records that it has left */         \
    X(post_recorded)   /* a record is written, no word is marked yet */                           \
    X(post_due)        /* points of the target can meet the record, no word is marked yet */      \
    X(deliver_begins)  /* a point has found a record, it is not marked as delivered yet */        \
    X(record_changes)  /* a record is delivered or closed next, its report has a place already */ \
    X(record_changed)  /* a record is delivered or closed, the report is not handed out yet */    \
    X(post_repeats)    /* a post has found a record, and counts for it next */                    \
    X(clear_begins)    /* a record is cleared next: its bit is off, it may become final */        \
    X(record_sealed)   /* a record is closed next, because no post has made it final */           \
    X(post_promised)   /* a word counts a sender, nothing is written or sent yet */               \
    X(post_no_room)    /* a word can count no more senders, a sender waits next */                \
    X(post_sent)       /* a word shows a wake under way, the signal is not sent yet */            \
    X(add_published)   /* a child can be seen by posters, marks are not checked yet */            \
    X(child_ended)     /* a child's function has returned, its slot still lives */                \
    X(futex_woken)     /* a wait of src/sync/ was woken, and has not checked its object yet */    \
    X(libc_announced)  /* the word shows a wait inside libc, its frame is not stored yet */       \
    X(libc_entered)    /* before libc waits for the calling thread */                             \
    X(settling)        /* a word was loaded, and the records are not read yet */                  \
    X(settled)         /* the records were read, and the word is not changed yet */               \
    X(look_is_due)     /* a word waits for the ticker, which is not asked to look yet */          \
    X(region_left)     /* a region's level is no longer in force, a wake for it may come */       \
    X(freeze_claimed)  /* a thread is about to stand still, and still runs */                     \
    X(freeze_asks)     /* a thread has not stood still yet, and is asked to next, or again */     \
    X(freeze_late)     /* a thread has not stood still in time, the request still stands */       \
    X(adopts_itself)   /* a thread found no slot made for it, and publishes one next */           \
    X(stranger_made)   /* another thread's slot is published, the search for its slot is next */  \
    X(foreign_weighed) /* nothing is due in foreign code, the grace period is not checked yet */  \
    X(foreign_begins)  /* a call of foreign code begins, or ends: due_byte is stored next */      \
    X(foreign_ends)    /* as above: due_byte is stored, and `foreign` is stored next */           \
    X(leave_begins)    /* a helper is about to carry out rung 5 */                                \
    X(call_out)        /* the thread has recorded that it has left, a wake may still come */      \
    X(pace_put_off)    /* there was no place for a thread, it is not put off yet */               \
    X(pace_next)       /* there is a place for a thread, it is not woken yet */                   \
    X(pace_tick)       /* on the ticker's thread, before it helps threads that have no place */   \
    X(retired)         /* a generation has ended, its thread has the slot still */                \
    X(worker_kept)     /* counts: a worker checks whether another child can run on it */          \
    X(ticker_looks)    /* on the ticker's thread, before it examines a slot */                    \
    X(work_half)       /* the first of the two steps that list a slot for the ticker is done */   \
    X(timer_late)      /* the ticker's next time is lowered, its timer is not set yet */          \
    X(link_followed)   /* counts: a walk outwards examines a branch */                            \
    X(slot_looked_at)  /* counts: a scan below a target examines a thread's slot */               \
    X(arena_lent)      /* a thread forks, and holds the lock of the arena's mapping */            \
    X(exit_waits)      /* a thread exits, and is about to wait for the others */                  \
    X(caps_scanned)    /* on the ticker's thread: the earliest cap is known, not set yet */       \
    X(timer_armed)     /* a poster has set the kernel's timer, no thread has checked it yet */    \
    X(dump_begins)     /* a helper is about to write the dump of rung 6 */                        \
    X(exit_begins)     /* another thread than main exits: main waits no longer, exit() is next */ \
    X(holders_found)   /* the threads that delay an incident are known, not described yet */      \
    X(step_decided)    /* on the ticker's thread: an incident's step is decided, not taken yet */ \
    X(silence_found)   /* on the ticker's thread: why a wake is not answered, not reported yet */ \
    X(thread_shown)    /* a dump has read a thread's name, and writes its line next */            \
    X(section_overrun) /* the ticker has ended a section's protection, it is not reported yet */  \
    X(chunk_chosen)    /* a thread takes a chunk of the recording next, the recording may end */  \
    X(event_half)      /* an event's text is in the recording, its first unit is not yet */       \
    X(progress_half)   /* half of an incident's progress is read */                               \
    X(handler_chosen)  /* a handler runs next, its incident is not described yet */               \
    X(tally_pinned)    /* a branch is pinned, its tally is not read yet */                        \
    X(dump_has_room)   /* a dump has taken the memory that one dump at a time can use */          \
    X(ring_claims)     /* a report's number in a ring is known, whether there is room is not */   \
    X(record_half)     /* half of a record is described */                                        \
    X(record_shown)    /* a dump has read a record's reason, and not the other fields yet */      \
    X(trace_stops)     /* a recording is on, and a thread is about to end it */                   \
    X(trace_half)      /* a recording's file is open, and the recording is off */                 \
    X(trace_switches)  /* a recording has begun or ended, the threads' flags are not set yet */

#if BO_HOOKS
#define BO_HOOK_DECLARE(name) extern __attribute__((visibility("default"))) void (*volatile bo_hook_##name)(void);
BO_HOOKS_LIST(BO_HOOK_DECLARE)
/* A test may set a hook while other threads pass it: with __atomic_store_n(). */
#define BO_HOOK(name)                                                                   \
    do {                                                                                \
        void (*hook_##name)(void) = __atomic_load_n(&bo_hook_##name, __ATOMIC_RELAXED); \
        if (hook_##name)                                                                \
            hook_##name();                                                              \
    } while (0)
#else
#define BO_HOOK(name) ((void)0)
#endif

#endif
