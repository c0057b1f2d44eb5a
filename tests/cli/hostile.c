/* SPDX-License-Identifier: MIT */
/*
 * A hostile process, which hostile.py examines with the command. It has files in the right places, with the right names
 * and seals: an arena, a mailbox with a thread that answers, dumps. Their contents are arbitrary.
 *
 *   hostile ARENA          the arena begins as a copy of the file ARENA, from a real process
 *
 * It reads lines "MODE SEED", changes its arena accordingly, and answers each with "ready":
 *
 *   damaged                words of the arena are overwritten
 *   linked                 many slots are live, and linked at random: circles, chains, slots that do not exist
 *   full                   as `linked`, with all slots
 *   changing               as `damaged` or `linked`, while another thread continues to change the arena
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "harmful.h"
#include "state/arena.h"
#include "state/mailbox_layout.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#define LENGTH (F_SEAL_SHRINK | F_SEAL_GROW)

/* Blocks also libc's signals, one of which wakes the ticker: each thread has to do it, because pthread_create()
 * unblocks that one. */
static void block_signals(void)
{
    const uint64_t all = ~(uint64_t)0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
}

/* ---- the arena --------------------------------------------------------------------------------------------------- */

enum { FIRST = 16 }; /* the slots that the real arena has used, and a few more */

static char *arena, *pristine; /* the original: header, threads, branches, their records; one after the other */
static struct bo_header *head;
static uint32_t used = FIRST;

static struct bo_thread *thread_at(uint32_t i)
{
    return (struct bo_thread *)(arena + ((struct bo_header *)pristine)->thread_at) + i;
}

static struct bo_branch *branch_at(uint32_t i)
{
    return (struct bo_branch *)(arena + ((struct bo_header *)pristine)->branch_at) + i;
}

static struct bo_record *records_at(bool branch, uint32_t i)
{
    uint32_t slot = (branch ? (uint32_t)BO_THREADS : 0) + i;
    return (struct bo_record *)(arena + ((struct bo_header *)pristine)->record_at) + (size_t)slot * BO_KIND_COUNT;
}

/* The parts of a real arena, and their copies. */
static struct part {
    void *at;
    size_t size;
} part[5];

static void find_parts(void)
{
    const size_t records = FIRST * BO_KIND_COUNT * sizeof(struct bo_record);
    part[0] = (struct part){arena, sizeof(struct bo_header)};
    part[1] = (struct part){thread_at(0), FIRST * sizeof(struct bo_thread)};
    part[2] = (struct part){branch_at(0), FIRST * sizeof(struct bo_branch)};
    part[3] = (struct part){records_at(false, 0), records};
    part[4] = (struct part){records_at(true, 0), records};
}

static void open_arena(const char *path)
{
    struct bo_header real;
    int from = open(path, O_RDONLY | O_CLOEXEC), fd = memfd_create("bough", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    need(pread(from, &real, sizeof real, 0) == sizeof real && ftruncate(fd, (off_t)real.size) == 0, path);
    arena = mmap(NULL, real.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(arena != MAP_FAILED && fcntl(fd, F_ADD_SEALS, LENGTH | F_SEAL_FUTURE_WRITE) == 0, "arena");
    head = (struct bo_header *)arena;
    pristine = malloc(sizeof real);
    memcpy(pristine, &real, sizeof real);
    find_parts();
    size_t size = 0;
    for (int i = 0; i < 5; i++)
        size += part[i].size;
    need((pristine = realloc(pristine, size)), "memory");
    for (size_t i = 0, at = 0; i < 5; at += part[i].size, i++)
        need(pread(from, pristine + at, part[i].size, (off_t)((char *)part[i].at - arena)) == (ssize_t)part[i].size,
             path);
    close(from);
}

static void restore(struct dice *d)
{
    for (int branch = 0; branch < 2; branch++)
        memset(records_at(branch, 0), 0, used * BO_KIND_COUNT * sizeof(struct bo_record));
    memset(thread_at(0), 0, used * sizeof(struct bo_thread));
    memset(branch_at(0), 0, used * sizeof(struct bo_branch));
    for (size_t i = 0, at = 0; i < 5; at += part[i].size, i++)
        memcpy(part[i].at, pristine + at, part[i].size);
    head->pid = getpid();
    if (one_in(d, 4))
        head->ticker_signal = one_in(d, 2) ? SIGKILL : SIGSTOP; /* the command must not send it */
    used = FIRST;
}

/* ---- changes to the arena ---------------------------------------------------------------------------------------- */

/* Flipped bits; small numbers, which are valid indices; extremes; addresses. */
static void damage_word(struct dice *d, const struct part *in)
{
    static const uint32_t odd[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, BO_THREADS, BO_THREADS - 1};
    char *at = (char *)in->at + below(d, (uint32_t)in->size);
    uint64_t value = one_in(d, 4) ? (uint64_t)(uintptr_t)some_file(d) : odd[below(d, sizeof odd / sizeof *odd)];
    size_t size = value > UINT32_MAX ? 8 : 4;
    if (one_in(d, 2))
        *at = (char)below(d, 256);
    else
        memcpy((char *)((uintptr_t)at & ~(uintptr_t)7), &value, size);
}

/* Damages the header only rarely, because a damaged header is usually refused. */
static void damage(struct dice *d)
{
    for (uint32_t n = 1 + below(d, 40); n; n--)
        damage_word(d, &part[one_in(d, 50) ? 0 : 1 + below(d, 4)]);
}

static pid_t some_thread(struct dice *d)
{
    return one_in(d, 2) ? getpid() + (pid_t)below(d, 4) : (pid_t)roll(d);
}

static uint32_t some_index(struct dice *d, uint32_t count)
{
    return one_in(d, 10) ? (uint32_t)roll(d) : below(d, count + 2);
}

static void fill_target(struct dice *d, struct bo_target *t, bool branch, uint32_t i)
{
    struct bo_record *r = records_at(branch, i);
    t->word = (uint64_t)below(d, 3) << 32 | BO_LIVE | (roll(d) & 0xffff);
    t->due = below(d, 4) ? 0 : (uint32_t)roll(d) & 0x7f;
    t->index = i;
    fill_text(d, t->name, BO_NAME);
    for (int kind = 0; kind < BO_KIND_COUNT && t->due; kind++, r++) {
        r->state = (uint64_t)below(d, 3) << 32 | (uint64_t)below(d, 3) << 4 | (BO_RECORD_PENDING + below(d, 2));
        r->kind = (uint8_t)(one_in(d, 10) ? below(d, 256) : (uint32_t)kind);
        r->since = (int64_t)roll(d);
        r->rung = r->ceiling = (uint8_t)below(d, 256);
        fill_text(d, r->reason, sizeof r->reason);
    }
}

static void fill_thread(struct dice *d, uint32_t i, uint32_t parent, uint32_t count)
{
    struct bo_thread *t = thread_at(i);
    fill_target(d, &t->t, false, i);
    t->parent = parent;
    t->tid = some_thread(d);
    t->join.branch = one_in(d, 2) ? 0 : some_index(d, count);
    t->depth = one_in(d, 8) ? some_index(d, BO_REGIONS) : 0;
    for (uint32_t k = 0; t->depth && k < BO_REGIONS; k++) {
        t->region[k].file = some_file(d);
        t->region[k].kind = (int)below(d, 12);
        t->region[k].line = (int)roll(d);
        t->region[k].since = (int64_t)roll(d);
    }
}

static void fill_branch(struct dice *d, uint32_t i, uint32_t owner, uint32_t outer)
{
    struct bo_branch *b = branch_at(i);
    fill_target(d, &b->t, true, i);
    b->owner = owner;
    b->outer = outer;
    b->deadline = (int64_t)roll(d);
    b->file = one_in(d, 4) ? some_file(d) : NULL;
    b->line = (int)roll(d);
}

/* Ways to link slots: at random; each as the child of the previous, or of the next one; all in a circle; all as
 * children of the last one, which forms a circle with the one before it. */
enum shape { RANDOM, CHAIN, CHAIN_UPWARDS, CIRCLE, FAN, SHAPES };

static uint32_t above(struct dice *d, enum shape shape, uint32_t i, uint32_t count)
{
    switch (shape) {
    case CHAIN:
        return i > 2 ? i - 1 : BO_ROOT;
    case CHAIN_UPWARDS:
        return i < count - 1 ? i + 1 : BO_ROOT;
    case CIRCLE:
        return i < count - 1 ? i + 1 : 2;
    case FAN:
        return i < count - 1 ? count - 1 : count - 2;
    default:
        return some_index(d, count);
    }
}

static void link_slots(struct dice *d, uint32_t count)
{
    enum shape shape = below(d, SHAPES);
    for (uint32_t i = 2; i < count; i++) {
        fill_thread(d, i, above(d, shape, i, count), count);
        fill_branch(d, i, shape == RANDOM ? some_index(d, count) : count + 1, above(d, shape, i, count));
    }
    head->thread_high = head->branch_high = count;
    used = count > FIRST ? count : FIRST;
}

/* ---- changes while the arena is read ----------------------------------------------------------------------------- */

static _Atomic uint64_t scribbling; /* a seed; 0: no changes now */
static pthread_mutex_t pen = PTHREAD_MUTEX_INITIALIZER;

static void scribble_once(struct dice *d)
{
    uint32_t i = 1 + below(d, used - 1);
    switch (below(d, 6)) {
    case 0:
        damage_word(d, &part[1 + below(d, 4)]);
        break;
    case 1:
        fill_thread(d, i, some_index(d, used), used);
        break;
    case 2:
        fill_branch(d, i, some_index(d, used), some_index(d, used));
        break;
    case 3:
        bo_add_seq(&thread_at(i)->t.word, (uint64_t)1 << 32);
        break;
    case 4:
        memset(branch_at(i), 0, sizeof(struct bo_branch));
        break;
    default:
        head->thread_high = one_in(d, 2) ? used : (uint32_t)roll(d);
        head->branch_high = one_in(d, 2) ? used : (uint32_t)roll(d);
    }
}

static void *scribble(void *unused)
{
    const struct timespec moment = {0, 1000000};
    struct dice d = {1};
    for (;;) {
        pthread_mutex_lock(&pen);
        d.state ^= scribbling;
        for (int i = 0; scribbling && d.state && i < 1000; i++)
            scribble_once(&d);
        pthread_mutex_unlock(&pen);
        if (!scribbling)
            nanosleep(&moment, NULL);
    }
    return unused;
}

/* ---- the mailbox, and dumps -------------------------------------------------------------------------------------- */

static struct bo_mailbox *mail;
static int dumps[] = {-1, -1, -1};

static void open_mailbox(void)
{
    int fd = memfd_create("bough-mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    need(ftruncate(fd, sizeof *mail) == 0 && fcntl(fd, F_ADD_SEALS, LENGTH) == 0, "mailbox");
    mail = mmap(NULL, sizeof *mail, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(mail != MAP_FAILED, "mailbox");
    memcpy(mail->magic, BO_MAIL_MAGIC, sizeof BO_MAIL_MAGIC);
    mail->size = sizeof *mail;
}

/* A frame, or the module in which frames are: of files that can be read, and of others. */
static int write_frame(struct dice *d, char *line, size_t size)
{
    static const char *const paths[] = {"/bin/true", "/dev/zero",     "/proc/self/mem",
                                        "/",         "/nowhere/true", "/etc/passwd"};
    static const char *const names[] = {"true", "zero", "mem", "", "passwd", "true+0x1"};
    if (one_in(d, 3))
        return snprintf(line, size, "  0x%x %s %s\n", (unsigned)roll(d), one_in(d, 4) ? "-" : "0123456789abcdef",
                        paths[below(d, 6)]);
    return snprintf(line, size, "      %s+0x%llx\n", names[below(d, 6)], (unsigned long long)roll(d));
}

/* Lines like those of a dump, long lines, no lines; or only zeroes. */
static void write_dump(struct dice *d, int fd)
{
    char line[6000];
    if (one_in(d, 20))
        need(ftruncate(fd, (off_t)below(d, 100) << 20) == 0, "dump");
    for (uint32_t n = below(d, 60); n; n--) {
        int length = 0;
        if (one_in(d, 8))
            length = snprintf(line, sizeof line, "the process's threads\n  %d at\n", (int)roll(d));
        else if (one_in(d, 3))
            length = write_frame(d, line, sizeof line);
        else if (one_in(d, 2))
            length = snprintf(line, sizeof line, "%*s", (int)below(d, 9), "");
        size_t room = one_in(d, 8) ? sizeof line - (size_t)length : 120;
        fill_text(d, line + length, room);
        size_t size = one_in(d, 8) ? sizeof line : strnlen(line, sizeof line);
        if (size < sizeof line && !one_in(d, 4))
            line[size++] = '\n';
        need(write(fd, line, size) == (ssize_t)size, "dump");
    }
}

static void new_dumps(struct dice *d)
{
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps; i++) {
        if (dumps[i] >= 0)
            close(dumps[i]);
        dumps[i] = memfd_create(one_in(d, 10) ? "other" : "bough-dump", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        need(dumps[i] >= 0, "dump");
        write_dump(d, dumps[i]);
        fcntl(dumps[i], F_ADD_SEALS, one_in(d, 10) ? F_SEAL_SHRINK : LENGTH | F_SEAL_WRITE);
    }
}

/* Usually the answer looks right, so that the next steps are reached. Rarely there is none, and the command waits for
 * it. */
static void answer(struct dice *d, struct bo_request *l)
{
    if (one_in(d, 300))
        return;
    if (one_in(d, 3))
        for (size_t i = sizeof l->state; i < sizeof *l; i++)
            ((volatile char *)l)[i] = (char)roll(d);
    l->error = one_in(d, 2) ? 0 : (int32_t)(one_in(d, 2) ? roll(d) : below(d, 140));
    l->fd = one_in(d, 8) ? (int32_t)roll(d) : one_in(d, 8) ? (int32_t)below(d, 16) : dumps[below(d, 3)];
    l->post = bo_handle_make(some_index(d, used), below(d, 3), one_in(d, 2));
    l->serial = below(d, 64);
    bo_store_seq(&l->state, BO_REQUEST_ANSWERED);
}

static _Atomic uint64_t answering; /* a seed */

static void *answer_all(void *unused)
{
    const struct timespec moment = {0, 200000};
    struct dice d = {1};
    block_signals();
    prctl(PR_SET_NAME, "bough-ticker");
    for (;; nanosleep(&moment, NULL)) {
        pthread_mutex_lock(&pen);
        d.state = answering ? answering : d.state;
        answering = 0;
        for (int i = 0; i < BO_REQUESTS; i++)
            if (bo_load_seq(&mail->request[i].state) == BO_REQUEST_SENT)
                answer(&d, &mail->request[i]);
        pthread_mutex_unlock(&pen);
    }
    return unused;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void bring_about(const char *mode, struct dice *d)
{
    static const uint32_t counts[] = {5, 40, 400, 3000};
    char name[16];
    bool changing = strcmp(mode, "changing") == 0;
    restore(d);
    new_text(d);
    new_dumps(d);
    memset(mail->request, 0, sizeof mail->request);
    fill_text(d, name, sizeof name);
    prctl(PR_SET_NAME, name);
    if (strcmp(mode, "full") == 0)
        link_slots(d, BO_THREADS);
    else if (strcmp(mode, "linked") == 0 || (changing && one_in(d, 2)))
        link_slots(d, counts[below(d, changing ? 3 : 4)]);
    if (strcmp(mode, "damaged") == 0 || one_in(d, 4))
        damage(d);
    answering = roll(d) | 1;
    scribbling = changing ? roll(d) | 1 : 0;
}

static void start(void *(*function)(void *))
{
    pthread_t thread;
    need(pthread_create(&thread, NULL, function, NULL) == 0, "thread");
}

int main(int count, char **arguments)
{
    char mode[16];
    unsigned long long seed;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    block_signals();
    need(count == 2, "usage: hostile ARENA");
    make_text();
    open_arena(arguments[1]);
    open_mailbox();
    start(answer_all);
    start(scribble);
    while (scanf("%15s %llu", mode, &seed) == 2) {
        struct dice d = {(uint64_t)seed * 0x9e3779b97f4a7c15u | 1};
        for (int i = 0; i < 8; i++)
            roll(&d);
        scribbling = 0;
        pthread_mutex_lock(&pen);
        bring_about(mode, &d);
        pthread_mutex_unlock(&pen);
        puts("ready");
        fflush(stdout);
    }
    return 0;
}
