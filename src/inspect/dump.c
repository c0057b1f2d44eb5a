/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/dump.h"
#include <bough.h>
#include <bough/ladder.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/proc_status.h"
#include "base/raw.h"
#include "inspect/blocked_at.h"
#include "inspect/dump_records.h"
#include "inspect/maps.h"
#include "inspect/stack.h"
#include "inspect/tree_index.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "wake/ticker.h"

/* The time limits for details: each thread's stack, and requests for stacks of running threads. If the process is
 * about to end, all details together get three quarters of the time that is left. */
#define STACKS_FOR BO_SEC(2)
#define ASK_FOR BO_MS(100)
#define ASK_ALL_FOR BO_SEC(2)

enum { SMALL = 640 };

/* Only used by the thread that holds `dumping`. Before a dump it uses no memory, only address space. */
static struct {
    struct bo_tree_index index;
    struct bo_maps maps;
    char text[4096], entries[4096] __attribute__((aligned(8)));
} dump_room;
static _Atomic pid_t
    dumping; /* the id of the process that writes a dump: a forked child that finds its parent's id may take over */

/* `whole`: this dump holds `dump_room`, and writes everything. */
struct dump {
    struct bo_out out;
    unsigned flags;
    bool whole;
    int64_t details_until, stacks_until, ask_until;
    unsigned left_out, not_listed;
};

static bool take_room(void)
{
    pid_t me = bo_load_relaxed(&bo_pid), holder = 0;
    if (bo_cas_seq(&dumping, &holder, me))
        return true;
    return holder != me && bo_cas_seq(&dumping, &holder, me);
}

static void give_room(void)
{
    bo_store_seq(&dumping, 0);
}

/* ---- the head ------------------------------------------------------------------------------------- */

/* Converts days since 1970 to a date, without libc, which reads time zones under a lock. Years begin in March here. */
static void put_date(struct bo_out *o, int64_t seconds)
{
    int64_t days = seconds / 86400 + 719468, era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t second = seconds % 86400;
    month = month < 10 ? month + 3 : month - 9;
    bo_put(o, "%d-%02d-%02d %02d:%02d:%02d UTC", (int)(year_of_era + era * 400 + (month <= 2)), (int)month, (int)day,
           (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
}

static void put_head(struct bo_out *o, const char *why)
{
    char name[20];
    struct timespec now = {0, 0};
    size_t n = bo_read_file("/proc/self/comm", name, sizeof name);
    if (n)
        name[n - 1] = '\0';
    clock_gettime(CLOCK_REALTIME, &now);
    bo_put(o, "==== bough %s: ", bough_version());
    bo_put_name(o, name);
    bo_put(o, ", process %d, ", (int)bo_load_relaxed(&bo_pid));
    put_date(o, now.tv_sec);
    bo_put(o, " ====\n");
    if (!why)
        return;
    bo_put(o, "because: ");
    bo_put_name(o, why);
    bo_put(o, "\n");
}

/* ---- the tree ------------------------------------------------------------------------------------- */

static const char *level_name(uint64_t w)
{
    if (w & BO_DISABLED)
        return w & BO_TIMED ? "masked" : "disabled";
    return w & BO_ASYNC ? "asynchronous" : "deferred";
}

static void put_given_name(struct bo_out *o, const char *name)
{
    if (!*name)
        return;
    bo_put(o, " ");
    bo_put_name(o, name);
}

static void put_regions(struct bo_out *o, const struct bo_thread *t, unsigned depth)
{
    struct bo_region_note note;
    uint32_t open = bo_load_acquire(&t->depth);
    for (uint32_t i = 0; i < open && i < BO_REGIONS; i++) {
        if (!bo_region_note(t, i, &note) || bo_is_internal(note.line))
            continue;
        bo_put_indent(o, depth);
        bo_put(o, "%s at ", bo_region_name(note.kind));
        bo_put_place(o, note.file, note.line);
        bo_put(o, " for ");
        bo_put_span(o, bo_now() - note.since);
        bo_put(o, "\n");
    }
    if (open <= BO_REGIONS)
        return;
    bo_put_indent(o, depth);
    bo_put(o, "and %u more inside\n", open - BO_REGIONS);
}

BO_BARE static bool is_handling(const struct bo_thread *t)
{
    return t->incident.handling != NULL;
}

static void put_handlers(struct bo_out *o, const struct bo_thread *t, unsigned depth)
{
    unsigned handlers = bo_load_relaxed(&t->incident.handlers), finals = bo_load_relaxed(&t->incident.finals);
    if (!handlers && !finals)
        return;
    bo_put_indent(o, depth);
    bo_put(o, "handlers: %u, final ones: %u%s\n", handlers, finals, is_handling(t) ? ", one runs now" : "");
}

/* A thread's line must be about one thread: if the thread ends meanwhile, another may use its slot. */
static void put_thread_line(struct bo_out *o, const struct bo_thread *t, unsigned depth)
{
    struct bo_task task;
    char name[BO_NAME];
    uint64_t w = bo_load_seq(&t->t.word);
    pid_t tid = bo_load_relaxed(&t->tid);
    bo_name_of(&t->t, name);
    bo_task_look(&task, tid);
    BO_HOOK(thread_shown);
    if (!(w & BO_LIVE) || !bo_target_is(&t->t, bo_word_generation(w)))
        return;
    bo_put_indent(o, depth);
    bo_put(o, "thread");
    put_given_name(o, name);
    bo_put(o, " (%d), %s: ", (int)tid, level_name(w));
    bo_put_where(o, t, &task);
    bool ended = !bo_target_is(&t->t, bo_word_generation(w));
    bo_put(o, "%s\n", ended ? ", has ended meanwhile" : t == bo_self ? ", it writes this" : "");
    if (ended)
        return;
    bo_put_records(o, &t->t, depth + 2);
    put_regions(o, t, depth + 2);
    put_handlers(o, t, depth + 2);
}

struct branch_note {
    char name[BO_NAME];
    const char *file;
    int line;
};

/* False: the branch has ended, and the note may be of two branches. */
BO_BARE static bool note_branch(struct branch_note *n, const struct bo_branch *b)
{
    uint64_t w = bo_load_seq(&b->t.word);
    bo_name_of(&b->t, n->name);
    n->file = b->file;
    n->line = b->line;
    return (w & BO_LIVE) && bo_target_is(&b->t, bo_word_generation(w));
}

static void put_branch(struct bo_out *o, const struct bo_branch *b, unsigned depth)
{
    struct branch_note n;
    if (!note_branch(&n, b))
        return;
    int64_t deadline = bo_load_relaxed(&b->deadline), left = bo_time_left(deadline, bo_now());
    bo_put_indent(o, depth);
    bo_put(o, "branch");
    put_given_name(o, n.name);
    if (n.file) {
        bo_put(o, " at ");
        bo_put_place(o, n.file, n.line);
    }
    bo_put(o, ", %u running", bo_load_relaxed(&b->live));
    if (deadline != BO_FOREVER && deadline) {
        bo_put(o, left > 0 ? ", deadline in " : ", deadline passed since ");
        bo_put_span(o, left > 0 ? left : -left);
    }
    bo_put(o, "\n");
    bo_put_records(o, &b->t, depth + 2);
}

static bool in_time(const struct dump *d)
{
    return bo_clock() < d->details_until;
}

static void put_tree(struct dump *d)
{
    struct bo_tree_index *f = &dump_room.index;
    unsigned depth = 0, left_out = 0;
    bo_tree_index_grow(f);
    bo_put(&d->out, "\nthe tree: %u thread%s, %u branch%s\n", f->threads, f->threads == 1 ? "" : "s", f->branches,
           f->branches == 1 ? "" : "es");
    bo_put(&d->out, "root\n");
    bo_put_records(&d->out, &bo_branch_at(BO_ROOT)->t, 2);
    for (uint32_t node = BO_ROOT_NODE; !d->out.error && (node = bo_tree_index_next(f, node, &depth)) != 0;)
        if (!in_time(d))
            left_out++;
        else if (bo_node_is_branch(node))
            put_branch(&d->out, bo_node_branch(node), depth);
        else
            put_thread_line(&d->out, bo_thread_at(node), depth);
    if (left_out)
        bo_put(&d->out, "left out, because the process's time is over: %u\n", left_out);
}

/* If another dump holds `dump_room`: lists the threads and branches in no particular order. */
static void put_list(struct dump *d)
{
    uint32_t high = bo_load_acquire(&bo_arena.head->thread_high);
    bo_put(&d->out, "\nanother dump is being written: no tree and no stacks in this one\nroot\n");
    bo_put_records(&d->out, &bo_branch_at(BO_ROOT)->t, 2);
    for (uint32_t i = 1; i < high && i < BO_THREADS && !d->out.error; i++)
        if (bo_load_acquire(&bo_thread_at(i)->t.word) & BO_LIVE)
            put_thread_line(&d->out, bo_thread_at(i), 1);
}

/* ---- the kernel's threads ----------------------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void put_stack(struct dump *d, pid_t tid, const struct bo_task *task)
{
    int64_t now = bo_clock();
    if (!d->whole)
        return;
    if (tid == bo_tid())
        bo_put_own_stack(&d->out, &dump_room.maps);
    else if (now > d->stacks_until)
        d->left_out++;
    else if (task->blocked)
        bo_put_stack_of(&d->out, &dump_room.maps, task);
    else if ((d->flags & BO_DUMP_FATAL) && now < d->ask_until) {
        bo_out_flush(&d->out); /* the answer may take long, and the process may end meanwhile */
        bo_put_asked_stack(&d->out, &dump_room.maps, tid, sooner(now + ASK_FOR, d->ask_until));
    } else
        bo_put(&d->out, "    stack: the thread is running and is not interrupted\n");
}

static void put_task(struct dump *d, pid_t tid)
{
    struct bo_out *o = &d->out;
    struct bo_task task;
    bo_task_look(&task, tid);
    if (task.state == '?')
        return;
    bo_put(o, "  %d ", (int)tid);
    bo_put_name(o, task.name);
    bo_put(o, ": %c", task.state);
    if (task.nr >= 0) {
        bo_put(o, ", ");
        bo_put_call(o, &task);
    }
    if (task.wchan[0])
        bo_put(o, ", in %s", task.wchan);
    bo_put(o, "%s\n", tid == bo_ticker_tid() ? ", bough's clock" : tid == bo_tid() ? ", it writes this" : "");
    put_stack(d, tid, &task);
}

/* A directory entry, in the kernel's layout. */
struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

static pid_t tid_of(const char *name)
{
    pid_t tid = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        tid = tid * 10 + (*name - '0');
    return tid;
}

static void put_entries(struct dump *d, const char *entries, size_t size)
{
    for (size_t at = 0; at < size && !d->out.error;) {
        const struct entry *e = (const void *)(entries + at);
        pid_t number = tid_of(e->name), tid = number && in_time(d) ? bo_tid_of_folder(number) : 0;
        if (tid)
            put_task(d, tid);
        else if (number && !in_time(d))
            d->not_listed++;
        if (!e->size)
            return;
        at += e->size;
    }
}

static void put_tasks(struct dump *d)
{
    char small[512] __attribute__((aligned(8)));
    char *entries = d->whole ? dump_room.entries : small;
    size_t size = d->whole ? sizeof dump_room.entries : sizeof small;
    long n, fd = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    bo_put(&d->out, "\nthe process's threads, as the kernel lists them\n");
    if (fd < 0) {
        bo_put(&d->out, "  no /proc here\n");
        return;
    }
    while (!d->out.error && (n = bo_raw3(SYS_getdents64, fd, (long)entries, (long)size)) > 0)
        put_entries(d, entries, (size_t)n);
    bo_raw1(SYS_close, fd);
    if (d->left_out)
        bo_put(&d->out, "  the stacks of %u more thread%s are left out: it took too long\n", d->left_out,
               d->left_out == 1 ? "" : "s");
    if (d->not_listed)
        bo_put(&d->out, "  left out, because the process's time is over: %u\n", d->not_listed);
}

/* ---- one thread ------------------------------------------------------------------------------------ */

static void put_self(struct dump *d)
{
    if (bo_self)
        put_thread_line(&d->out, bo_self, 0);
    put_task(d, bo_tid());
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static void put_all(struct dump *d)
{
    if (!bo_arena.thread)
        bo_put(&d->out, "the library could not be set up in this process: there is no tree\n");
    else if (d->whole)
        put_tree(d);
    else
        put_list(d);
    if (d->flags & BO_DUMP_FATAL)
        bo_out_flush(&d->out); /* the most important part, in case that the rest takes too long */
    put_tasks(d);
}

static void set_limits(struct dump *d, int64_t until)
{
    int64_t now = bo_clock(), left = until > now ? until - now : 0;
    d->details_until = until == BO_FOREVER ? BO_FOREVER : now + left / 4 * 3;
    d->stacks_until = sooner(now + STACKS_FOR, d->details_until);
    d->ask_until = sooner(now + ASK_ALL_FOR, d->details_until);
    d->out.until = until;
}

static void put_whole_dump(struct dump *d, const struct bo_dump_order *order)
{
    set_limits(d, order->until);
    d->out.work = order->work;
    put_head(&d->out, order->why);
    if (d->whole)
        bo_maps_read(&dump_room.maps);
    if (d->flags & BO_DUMP_ONE)
        put_self(d);
    else
        put_all(d);
    if (d->whole) {
        bo_put(&d->out, "\ncode, for addr2line: where it lies\n");
        bo_put_modules(&d->out, &dump_room.maps);
    }
    bo_put(&d->out, "==== end ====\n");
}

int bo_dump_by(int fd, const struct bo_dump_order *order)
{
    char small[SMALL];
    int saved = errno;
    bo_busy_begin(); /* no freeze here: the room would stay taken */
    struct dump d = {.flags = order->flags, .whole = take_room()};
    BO_HOOK(dump_has_room);
    bo_out_open(&d.out, fd, d.whole ? dump_room.text : small, d.whole ? sizeof dump_room.text : sizeof small);
    put_whole_dump(&d, order);
    int result = bo_out_close(&d.out);
    if (d.whole)
        give_room();
    bo_busy_end();
    if (result == 0)
        errno = saved;
    return result;
}

int bo_dump(int fd, unsigned flags)
{
    return bo_dump_by(fd, &(struct bo_dump_order){.flags = flags, .until = BO_FOREVER});
}

int bough_dump(int fd)
{
    return bo_dump(fd, 0);
}
