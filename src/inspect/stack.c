/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/stack.h"
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#if BO_UNWIND_LOCKLESS
#include <unwind.h>
#endif
#include "arch/stack.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/raw.h"
#include "state/safe_read.h"
#include "state/arena.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

static void put_frame(struct bo_out *o, const struct bo_maps *maps, uintptr_t code)
{
    bo_put(o, "      ");
    bo_put_code(o, maps, code);
    bo_put(o, "\n");
}

/* ---- the caller's stack ------------------------------------------------------------------------------------ */

struct frames {
    unsigned depth;
    uintptr_t code[BO_FRAMES];
};

/*
 * The unwinder finds its tables by dl_iterate_phdr(), which takes the dynamic linker's lock. Only newer versions of
 * libgcc and glibc (2.35) work without the lock. The unwinder is used only with these, because the thread that is stuck
 * may hold the lock.
 */
#if BO_UNWIND_LOCKLESS
BO_BARE static _Unwind_Reason_Code stack_step(struct _Unwind_Context *context, void *argument)
{
    struct frames *f = argument;
    uintptr_t code = (uintptr_t)_Unwind_GetIP(context);
    if (!code || f->depth == BO_FRAMES)
        return _URC_END_OF_STACK;
    f->code[f->depth++] = code;
    return _URC_NO_REASON;
}

BO_BARE static void unwind(struct frames *f)
{
    f->depth = 0;
    _Unwind_Backtrace(stack_step, f);
}
#else
BO_BARE static void unwind(struct frames *f)
{
    f->depth = 0;
}
#endif

void bo_put_own_stack(struct bo_out *o, const struct bo_maps *maps)
{
    struct frames f;
    unwind(&f);
    bo_put(o, f.depth ? "    stack:\n" : "    stack: no unwinder of this process works without a lock\n");
    for (unsigned i = 0; i < f.depth; i++)
        put_frame(o, maps, f.code[i]);
}

/* ---- the stack of a blocked thread ------------------------------------------------------------------------------- */

enum { SCANNED = 16 * 1024, PIECE = 1024, FOUND = 24 };

static bool returns_here(const struct bo_maps *maps, uintptr_t code)
{
    unsigned char before[BO_ARCH_CALL];
    const struct bo_module *module = bo_maps_find(maps, code - 1);
    return module && code - module->low >= sizeof before &&
           bo_peek(before, code - sizeof before, sizeof before) == sizeof before && bo_arch_is_call(before);
}

/* Reads the stack in pieces, because this code may itself run on a small stack. */
static void scan_stack(struct bo_out *o, const struct bo_maps *maps, uintptr_t sp)
{
    uintptr_t word[PIECE / sizeof(uintptr_t)];
    unsigned found = 0;
    sp = (sp + sizeof *word - 1) & ~(sizeof *word - 1);
    for (uintptr_t end = sp + SCANNED; sp < end && found < FOUND; sp += sizeof word) {
        size_t count = bo_peek(word, sp, sizeof word) / sizeof *word;
        for (size_t i = 0; i < count && found < FOUND; i++) {
            uintptr_t code = bo_arch_return_address(word[i]);
            if (!returns_here(maps, code))
                continue;
            put_frame(o, maps, code);
            found++;
        }
        if (count < PIECE / sizeof *word)
            return;
    }
}

void bo_put_stack_of(struct bo_out *o, const struct bo_maps *maps, const struct bo_task *task)
{
    bo_put(o, "    stack, found by scanning:\n");
    put_frame(o, maps, task->pc);
    if (bo_maps_find(maps, task->pc))
        scan_stack(o, maps, task->sp);
}

/* ---- the stack of a running thread ------------------------------------------------------------------------------- */

/*
 * One request at a time: `state` holds the thread that was asked, and its progress.
 *
 *      0 --asker--> ASKED --the thread's handler--> ANSWERING --the handler--> ANSWERED --asker--> 0
 *                     \--asker, no answer in time--> 0
 *
 * A thread that begins to answer and does not finish may still write to `answer`: then no other thread is asked.
 */
enum { ASKED = 1, ANSWERING, ANSWERED };
static _Atomic uint64_t state;
static struct frames answer;
static uintptr_t answer_pc, answer_sp;

static uint64_t phase_of(pid_t tid, unsigned phase)
{
    return (uint64_t)(uint32_t)tid << 32 | phase;
}

BO_BARE static bool on_ask(void *context)
{
    pid_t tid = (pid_t)bo_raw0(SYS_gettid);
    uint64_t asked = phase_of(tid, ASKED);
    if (!bo_cas_seq(&state, &asked, phase_of(tid, ANSWERING)))
        return false;
    answer_pc = bo_arch_pc(context);
    answer_sp = bo_arch_sp(context);
    unwind(&answer);
    bo_store_seq(&state, phase_of(tid, ANSWERED));
    return true;
}

static bool ask_for_stack(pid_t tid, int64_t until)
{
    static const struct timespec moment = {0, 200000};
    uint64_t idle = 0;
    bo_store_seq(&bo_on_ask, on_ask);
    if (!bo_cas_seq(&state, &idle, phase_of(tid, ASKED)))
        return false;
    bo_wake_send_signal(tid);
    while (bo_load_seq(&state) != phase_of(tid, ANSWERED) && bo_clock() < until)
        bo_raw2(SYS_nanosleep, (long)&moment, 0);
    uint64_t asked = phase_of(tid, ASKED);
    return !bo_cas_seq(&state, &asked, 0) && bo_load_seq(&state) == phase_of(tid, ANSWERED);
}

/* The index of the interrupted frame: the frames before it are the signal handler's. */
static unsigned first_frame(void)
{
    for (unsigned i = 0; i < answer.depth; i++)
        if (answer.code[i] == answer_pc)
            return i;
    return 0;
}

void bo_put_asked_stack(struct bo_out *o, const struct bo_maps *maps, pid_t tid, int64_t until)
{
    if (!ask_for_stack(tid, until)) {
        bo_put(o, "    stack: the thread is running and did not answer\n");
        return;
    }
    bo_put(o, "    stack, %s:\n", answer.depth ? "as it was when asked" : "found by scanning when asked");
    for (unsigned i = first_frame(); i < answer.depth; i++)
        put_frame(o, maps, answer.code[i]);
    if (!answer.depth) {
        put_frame(o, maps, answer_pc);
        scan_stack(o, maps, answer_sp);
    }
    bo_store_seq(&state, 0);
}
