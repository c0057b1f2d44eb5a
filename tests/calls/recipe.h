/* SPDX-License-Identifier: MIT */
/*
 * A recipe for each row of the table of calls: how to make the call block, and how to check its effect. One play of it
 * (TEST(name)) goes through these acts, with real objects:
 *
 *   cut      the call blocks, the thread is interrupted: it fails with ECANCELED in the row's convention, and
 *            nothing has happened (rules 8, 9)
 *   sticky   called again, it fails before it begins (rule 2)
 *   ready    the event that the call waits for comes before the call, which fails nevertheless (rule 2)
 *   cleared  after bough_clear() the call blocks and completes, with the effect of its namesake
 *   namesake   libc's call in the same place has the same effect (rule 10)
 *   wrong    on bad input, both fail with the same result and errno
 *
 * A call that can't block here (an fsync) is interrupted before it begins.
 *
 * Built with -DINTERPOSED, the play interrupts libc's call, as in a library that was not written for bough: the
 * program is interposed, and the thread has opted in (rule 22). There the call fails in the manner that its row gives,
 * and again if it is retried at once; there is no act "sticky".
 */
#ifndef T_RECIPE_H
#define T_RECIPE_H

#include <bough.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <threads.h>
#include "harness.h"

enum fails { MINUS_ONE, NUMBER, THRD, THRD_SLEEP, UNSLEPT, EAI, NEVER };

/* fails_of_NAME, for each row of the table. */
#define CUSTOM(returns, name, params, args, fails, ...) fails_of_##name = fails,
enum {
#include "../../src/calls/calls.def"
};

static const struct {
    const char *name, *manner;
} manners[] = {
#define CUSTOM(returns, name, params, args, fails, blocks, manner, ...) {#name, #manner},
#include "../../src/calls/calls.def"
};

/* The objects of a play. */
struct stage {
    int fd[4];
    int id;
    int lowest; /* the lowest free descriptor before the call */
    pid_t child;
    int child_pipe;
    int brief; /* for sleeps: this sleep ends by itself */
    int error; /* errno after the call */
    pid_t tid; /* the thread that calls */
    pthread_t handle;
    char path[64];
    void *memory;
    size_t size;
    char buffer[256];
};

enum how {
    BLOCKS,  /* until it is released */
    SLEEPS,  /* until it is interrupted, or for a moment if stage.brief */
    NO_BLOCK /* the test can't make it block */
};

struct recipe {
    enum fails fails;
    const char *row;
    enum how how;
    void (*prepare)(struct stage *s);
    long (*dropin)(struct stage *s);
    long (*namesake)(struct stage *s);
    void (*release)(struct stage *s);
    void (*untouched)(struct stage *s);         /* checks that an interrupted call has done nothing; may be NULL */
    void (*done)(struct stage *s, long result); /* checks and undoes the call's effect */
    void (*clean)(struct stage *s);
    long (*dropin_wrong)(struct stage *s);
    long (*namesake_wrong)(struct stage *s);
};

/* The call of a row and the same call of libc's, on a stage `s`. */
#define BOTH(name, ...) BOTH_AS(name, bough_##name(__VA_ARGS__), name(__VA_ARGS__))
#define WRONG(name, ...) WRONG_AS(name, bough_##name(__VA_ARGS__), name(__VA_ARGS__))
#ifdef INTERPOSED
#define DROPIN(dropin, namesake) \
    long result = 0;             \
    BOUGH_FOREIGN                \
    {                            \
        errno = 0;               \
        result = (namesake);     \
    }                            \
    return result;
#else
#define DROPIN(dropin, namesake) return (long)(dropin);
#endif
#define BOTH_AS(name, dropin, namesake)          \
    static long dropin_##name(struct stage *s)   \
    {                                            \
        (void)s;                                 \
        DROPIN(dropin, namesake)                 \
    }                                            \
    static long namesake_##name(struct stage *s) \
    {                                            \
        (void)s;                                 \
        return (long)(namesake);                 \
    }
#define WRONG_AS(name, dropin, namesake) BOTH_AS(wrong_##name, dropin, namesake)
/* No arguments of this call are invalid. */
#define NO_WRONG(name) WRONG_AS(name, -1, -1)

#define RECIPE(name, ...) RECIPE_AS(name, name, __VA_ARGS__)
/* A second recipe for a row. */
#define RECIPE_MORE(name, more, ...) RECIPE_AS(name, more, __VA_ARGS__)
#define RECIPE_AS(name, test, ...)                                                    \
    TEST(test)                                                                        \
    {                                                                                 \
        static const struct recipe recipe = {.fails = (enum fails)fails_of_##name,    \
                                             .row = #name,                            \
                                             .dropin = dropin_##test,                 \
                                             .namesake = namesake_##test,             \
                                             .dropin_wrong = dropin_wrong_##test,     \
                                             .namesake_wrong = namesake_wrong_##test, \
                                             __VA_ARGS__};                            \
        play(&recipe);                                                                \
    }

/* Only the act "cut". */
#define RECIPE_CUT(name, ...)                                                                          \
    TEST(name)                                                                                         \
    {                                                                                                  \
        static const struct recipe recipe = {                                                          \
            .fails = (enum fails)fails_of_##name, .row = #name, .dropin = dropin_##name, __VA_ARGS__}; \
        struct player player = {.recipe = &recipe};                                                    \
        interpose(&recipe);                                                                            \
        play_cut(&player);                                                                             \
    }

/* ---- the play ---------------------------------------------------------------------------------------------------- */

struct player {
    const struct recipe *recipe;
    struct stage stage;
    struct t_sequence *turns;
    bough_thread *thread;
    long result;
};

static const long cut[] = {
    [MINUS_ONE] = -1, [NUMBER] = ECANCELED, [THRD] = thrd_error, [THRD_SLEEP] = -2, [EAI] = EAI_SYSTEM};

static inline void check_cut(enum fails fails, long result, int error)
{
    if (fails == UNSLEPT)
        CHECK(result > 0);
    else
        CHECK_EQ(result, cut[fails]);
    if (fails != NUMBER)
        CHECK_EQ(error, ECANCELED);
}

static inline long call(struct stage *s, long (*function)(struct stage *s))
{
    errno = 0;
    long result = function(s);
    s->error = errno;
    return result;
}

static inline void set_up(struct player *p)
{
    memset(&p->stage, 0, sizeof p->stage);
    for (int i = 0; i < 4; i++)
        p->stage.fd[i] = -1;
    if (p->recipe->prepare)
        p->recipe->prepare(&p->stage);
    p->stage.lowest = dup(0);
    close(p->stage.lowest);
}

static inline void take_down(struct player *p)
{
    if (p->recipe->clean)
        p->recipe->clean(&p->stage);
    for (int i = 0; i < 4; i++)
        if (p->stage.fd[i] >= 0)
            close(p->stage.fd[i]);
}

#ifdef INTERPOSED
/* Foreign code makes calls without a libc function by syscall(). */
static inline void interpose(const struct recipe *r)
{
    if (!dlsym(RTLD_DEFAULT, r->row))
        SKIP("this libc has no such function");
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
}

static inline bool has_manner(const struct recipe *r, const char *manner)
{
    for (size_t i = 0; i < sizeof manners / sizeof *manners; i++)
        if (strcmp(manners[i].name, r->row) == 0)
            return strcmp(manners[i].manner, manner) == 0;
    return false;
}

/* A call that can't block is not interrupted, and a join never is (rule 22): it succeeds. */
static inline bool is_interrupted(const struct player *p)
{
    bool joins = has_manner(p->recipe, "BO_NEVER");
    return !joins && (p->recipe->how != NO_BLOCK || p->result == cut[p->recipe->fails]);
}

/* Fails in the convention of the row. A pause or condition wait fails in no other way; another call that is retried at
 * once gets the second error. */
static inline void check_interrupted(struct player *p)
{
    const struct recipe *r = p->recipe;
    static const long eintr[] = {[MINUS_ONE] = -1, [NUMBER] = EINTR, [THRD_SLEEP] = -1};
    if (has_manner(r, "BO_AT_ONCE")) {
        check_cut(r->fails, p->result, p->stage.error);
    } else if (has_manner(r, "BO_SPURIOUS")) {
        CHECK_EQ(p->result, 0);
        CHECK_EQ((int)thrd_success, 0);
    } else if (r->fails == UNSLEPT) {
        CHECK(p->result > 0);
    } else {
        CHECK_EQ(p->result, eintr[r->fails]);
        CHECK(r->fails == NUMBER || p->stage.error == EINTR);
        if (has_manner(r, "BO_EINTR_FIRST")) {
            long again = call(&p->stage, r->dropin);
            check_cut(r->fails, again, p->stage.error);
        }
    }
}
#else
static inline void interpose(const struct recipe *r)
{
    (void)r;
}

static inline bool is_interrupted(const struct player *p)
{
    (void)p;
    return true;
}

static inline void check_interrupted(struct player *p)
{
    check_cut(p->recipe->fails, p->result, p->stage.error);
    long again = call(&p->stage, p->recipe->dropin);
    check_cut(p->recipe->fails, again, p->stage.error);
}
#endif

/* The calling thread: a new one for each act, made after the stage was set up, so that it inherits the stage's signal
 * mask. */
static void *act_cut(void *argument)
{
    struct player *p = argument;
    p->thread = bough_self();
    t_turn(p->turns, 0);
    t_turn(p->turns, 2);
    __atomic_store_n(&p->stage.tid, t_tid(), __ATOMIC_RELEASE);
    p->result = call(&p->stage, p->recipe->dropin);
    if (p->recipe->fails == NEVER)
        return NULL;
    if (is_interrupted(p))
        check_interrupted(p);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

/* Until turn 2 is over the thread is not in its call yet; after that it can block only in the call. */
static inline void play_cut(struct player *p)
{
    const struct recipe *r = p->recipe;
    struct t_sequence turns = {0};
    struct t_thread thread;
    p->turns = &turns;
    set_up(p);
    t_spawn(&thread, act_cut, p);
    p->stage.handle = thread.handle;
    t_turn(&turns, 1);
    if (r->how == NO_BLOCK)
        CHECK_EQ(bough_interrupt(p->thread, "test"), 0);
    t_over(&turns);
    if (r->how != NO_BLOCK) {
        t_until(__atomic_load_n(&p->stage.tid, __ATOMIC_ACQUIRE));
        t_until_blocked(thread.tid);
        CHECK_EQ(bough_interrupt(p->thread, "test"), 0);
        if (!is_interrupted(p)) {
            t_until_blocked(thread.tid); /* it continues to wait */
            r->release(&p->stage);
        }
    }
    t_join(&thread);
    if (r->untouched && is_interrupted(p))
        r->untouched(&p->stage);
    if (r->fails == NEVER || !is_interrupted(p))
        r->done(&p->stage, p->result);
    take_down(p);
}

#ifndef INTERPOSED
static void *act_ready(void *argument)
{
    struct player *p = argument;
    struct stage *s = &p->stage;
    p->thread = bough_self();
    s->handle = pthread_self();
    __atomic_store_n(&s->tid, t_tid(), __ATOMIC_RELEASE);
    p->recipe->release(s);
    CHECK_EQ(bough_interrupt(p->thread, "test"), 0);
    p->result = call(s, p->recipe->dropin);
    check_cut(p->recipe->fails, p->result, s->error);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

static inline void play_ready(struct player *p)
{
    struct t_thread thread;
    set_up(p);
    t_spawn(&thread, act_ready, p);
    t_join(&thread);
    take_down(p);
}
#else
static inline void play_ready(struct player *p)
{
    (void)p;
}
#endif

struct part {
    struct player *player;
    long (*function)(struct stage *s);
};

static void *act_whole(void *argument)
{
    struct part *part = argument;
    struct stage *s = &part->player->stage;
    bough_self();
    __atomic_store_n(&s->tid, t_tid(), __ATOMIC_RELEASE);
    part->player->result = call(s, part->function);
    return NULL;
}

/* The call runs to its end. */
static inline void play_whole(struct player *p, long (*function)(struct stage *s))
{
    const struct recipe *r = p->recipe;
    struct part part = {p, function};
    struct t_thread thread;
    set_up(p);
    p->stage.brief = 1;
    t_spawn(&thread, act_whole, &part);
    p->stage.handle = thread.handle;
    if (r->how == BLOCKS) {
        t_until(__atomic_load_n(&p->stage.tid, __ATOMIC_ACQUIRE));
        t_until_blocked(thread.tid);
        r->release(&p->stage);
    }
    t_join(&thread);
    r->done(&p->stage, p->result);
    take_down(p);
}

static inline void play_wrong(struct player *p)
{
    set_up(p);
    long dropin = call(&p->stage, p->recipe->dropin_wrong);
    int error = p->stage.error;
    long namesake = call(&p->stage, p->recipe->namesake_wrong);
    CHECK_EQ(dropin, namesake);
    if (p->recipe->fails == MINUS_ONE) {
        CHECK_EQ(dropin, -1);
        CHECK_EQ(error, p->stage.error);
    }
    take_down(p);
}

static inline void play(const struct recipe *recipe)
{
    struct player player = {.recipe = recipe};
    interpose(recipe);
    play_cut(&player);
    if (recipe->how == BLOCKS && recipe->fails != NEVER)
        play_ready(&player);
    play_whole(&player, recipe->dropin);
    play_whole(&player, recipe->namesake);
    play_wrong(&player);
}

/* ---- parts of many stages ---------------------------------------------------------------------------------------- */

static inline void no_descriptor(struct stage *s)
{
    int lowest = dup(0);
    close(lowest);
    CHECK_EQ(lowest, s->lowest);
}

/* fd[0] is read from, fd[1] written to. */
static inline void make_pipe(struct stage *s)
{
    CHECK_EQ(pipe(s->fd), 0);
}

/* A file with "abcdef". */
static inline void make_file(struct stage *s)
{
    s->fd[0] = (int)syscall(SYS_memfd_create, "file", 0);
    CHECK_EQ(pwrite(s->fd[0], "abcdef", 6, 0), 6);
}

/* Full, with `size` bytes. */
static inline void make_full_pipe(struct stage *s)
{
    static char page[4096];
    CHECK_EQ(pipe2(s->fd, O_NONBLOCK), 0);
    while (write(s->fd[1], page, sizeof page) > 0) {
    }
    CHECK_EQ(fcntl(s->fd[0], F_SETFL, 0), 0);
    CHECK_EQ(fcntl(s->fd[1], F_SETFL, 0), 0);
    s->size = (size_t)t_bytes_in(s->fd[0]);
}

static inline void still_full_pipe(struct stage *s)
{
    CHECK_EQ(t_bytes_in(s->fd[0]), s->size);
}

static inline void read_page(struct stage *s)
{
    static char page[4096];
    CHECK_EQ(read(s->fd[0], page, sizeof page), sizeof page);
}

static inline void result_is_0(struct stage *s, long result)
{
    (void)s;
    CHECK_EQ(result, 0);
}

#endif
