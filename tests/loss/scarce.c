/* SPDX-License-Identifier: MIT */
/* Allocations and new threads fail at random, and yet each resource that is handed over is disposed of exactly once:
 * arguments of children, by the destructor or by the child that takes them over; resources of closers; items of queues;
 * tokens; places. The linker replaces the functions that the library calls by the functions below. */
#include <bough.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "harness.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument);

/* ---- random failures --------------------------------------------------------------------------------------------- */

static _Atomic uint64_t dice;
static _Atomic unsigned one_in; /* one in so many calls fails; 0: none */
static _Atomic long failures[2];

/* All threads share one random sequence. */
static unsigned roll(unsigned sides)
{
    uint64_t x = atomic_fetch_add(&dice, 0x9e3779b97f4a7c15u);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((x >> 33) % sides);
}

static bool fails(int what)
{
    unsigned sides = one_in;
    bool now = sides && roll(sides) == 0;
    failures[what] += now;
    if (now)
        errno = ENOMEM;
    return now;
}

void *__wrap_malloc(size_t size)
{
    return fails(0) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(0) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails(0) ? NULL : __real_realloc(p, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                          void *argument)
{
    return fails(1) ? EAGAIN : __real_pthread_create(thread, attributes, function, argument);
}

/* ---- resources that are handed over ------------------------------------------------------------------------------ */

enum { THINGS = 8192, TOKENS = 3, DEPTH = 2 };

static struct thing {
    _Atomic int disposed;
} things[THINGS];
static _Atomic int used;
static _Atomic long operations, disposed;

static struct thing *new_thing(void)
{
    int number = used++;
    CHECK(number < THINGS);
    return &things[number];
}

static void dispose(void *value)
{
    struct thing *thing = value;
    CHECK_EQ(thing->disposed++, 0);
    disposed++;
}

static bool is_expected(int error)
{
    return error == ENOMEM || error == EAGAIN || error == ECANCELED || error == ESRCH;
}

/* ---- operations on this thread ----------------------------------------------------------------------------------- */

static bough_queue *queue;
static bough_sem tokens;
static _Atomic int held;

/* If there is a closer, it disposes of the resource when it runs; if it is removed, the caller gets the resource
 * back. */
static void use_closer(void)
{
    struct thing *thing = new_thing();
    bough_closer *closer = bough_closer_fn(dispose, thing);
    bool run = closer && roll(2);
    CHECK(closer || is_expected(errno));
    if (closer)
        CHECK_EQ(bough_closer_drop(closer, run), 0);
    CHECK_EQ(thing->disposed, run);
    if (!run)
        dispose(thing);
}

static void put_item(void)
{
    struct thing *thing = new_thing();
    if (bough_queue_put(queue, thing, bough_after(BOUGH_US(roll(100)) + 1)) != 0)
        dispose(thing); /* the resource still belongs to the caller */
}

static void get_item(void)
{
    void *thing;
    if (bough_queue_get(queue, &thing, bough_after(BOUGH_US(roll(100)) + 1)) == 0)
        dispose(thing);
}

static void use_token(void)
{
    int r = roll(2) ? bough_sem_try(&tokens) : bough_sem_acquire(&tokens, bough_after(BOUGH_US(roll(100)) + 1));
    if (r != 0)
        return;
    CHECK(++held <= TOKENS);
    held--;
    CHECK_EQ(bough_sem_release(&tokens), 0);
}

static void operate_alone(void)
{
    static void (*const all[])(void) = {use_closer, put_item, get_item, use_token};
    operations++;
    all[roll(4)]();
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

static void run_branch(int depth);

static int act(void)
{
    static _Thread_local int depth;
    for (unsigned n = roll(3); n; n--)
        operate_alone();
    if (depth < DEPTH && roll(12) == 0) {
        depth++;
        run_branch(depth);
        depth--;
    }
    return roll(16) == 0 ? bough_fail(BOUGH_SELF, EIO, "by chance") : 0;
}

static int use(void *value)
{
    struct thing *thing = value;
    CHECK_EQ(thing->disposed, 0);
    return act();
}

static int take_over(void *value)
{
    CHECK(bough_take() == value);
    int result = act();
    dispose(value);
    return result;
}

static int use_descriptor(void *value)
{
    CHECK(fcntl(bough_fd_of(value), F_GETFD) >= 0);
    return act();
}

static int use_memory(void *value)
{
    *(char *)value = 1;
    return act();
}

static bough_thread *add_one(bough_branch *b, bough_bounded *bounded)
{
    struct bough_child_options options = {.name = roll(2) ? "named" : NULL, .fresh = roll(4) == 0};
    switch (roll(8)) {
    case 0:
        return bough_add_with(b, use_descriptor, bough_fd(fcntl(t_silent(), F_DUPFD_CLOEXEC, 3)), &options);
    case 1:
        return bough_add_with(b, use_memory, bough_heap(__real_malloc(16)), &options);
    case 2:
        return bough_add_with(b, take_over, bough_resource_of(new_thing(), dispose), &options);
    case 3:
    case 4:
        if (bounded)
            return bough_bounded_add(bounded, use, bough_resource_of(new_thing(), dispose));
        __attribute__((fallthrough));
    default:
        return bough_add_with(b, use, bough_resource_of(new_thing(), dispose), &options);
    }
}

static void operate(bough_branch *b, bough_bounded *bounded)
{
    switch (roll(12)) {
    case 0:
        bough_fail(roll(4) ? bough_self() : (bough_target)b, EDOM, "by chance");
        break;
    case 1:
        if (roll(4) == 0)
            bough_interrupt(b, "by chance");
        break;
    case 2:
    case 3:
        operate_alone();
        return;
    default:
        if (!add_one(b, bounded))
            CHECK(is_expected(errno));
    }
    operations++;
}

static void run_branch(int depth)
{
    struct bough_branch_options options = {.label = "scarce", .collect = roll(2), .timeout = roll(8) ? 0 : BOUGH_MS(1)};
    bough_branch *b = bough_branch_open(&options);
    if (!b) {
        CHECK(is_expected(errno));
        return;
    }
    bough_bounded *bounded = roll(2) ? bough_bounded_new(b, 1 + roll(3)) : NULL;
    for (unsigned n = roll(depth ? 6 : 40); n; n--)
        operate(b, bounded);
    int result = bough_branch_end(b);
    CHECK(result == 0 || result == EIO || result == EDOM || result == ETIMEDOUT || is_expected(result));
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void begin_round(void)
{
    static const unsigned odds[] = {0, 64, 16, 4, 2};
    one_in = 0;
    while (!(queue = bough_queue_new(4)))
        continue;
    one_in = odds[roll(sizeof odds / sizeof *odds)];
}

static void end_round(void)
{
    one_in = 0;
    bough_clear(NULL);
    bough_queue_free(queue, dispose);
    int count = used;
    for (int i = 0; i < count; i++)
        CHECK_EQ(things[i].disposed, 1);
    for (int i = 0; i < TOKENS; i++)
        CHECK_EQ(bough_sem_try(&tokens), 0);
    CHECK_ERR(bough_sem_try(&tokens), EAGAIN);
    for (int i = 0; i < TOKENS; i++)
        bough_sem_release(&tokens);
    memset(things, 0, (size_t)count * sizeof *things);
    used = 0;
}

static void say_nothing(const char *line)
{
    (void)line;
}

/* A million in `make check`, which asks for 100,000. */
TEST_LIMIT(each_resource_is_disposed_of_exactly_once, 600)
{
    long wanted = 10 * t_loss(), handed = 0;
    dice = t_seed();
    bough_set_report(say_nothing);
    for (int i = 0; i < TOKENS; i++)
        bough_sem_release(&tokens);
    t_silent();
    while (operations < wanted) {
        begin_round();
        run_branch(0);
        handed += used;
        end_round();
    }
    t_note("%ld operations; %ld allocations and %ld threads failed; %ld resources handed over, %ld disposed of",
           operations, failures[0], failures[1], handed, disposed);
    CHECK_EQ(handed, disposed);
    CHECK(failures[0] > wanted / 100);
    CHECK(failures[1] > 0 || wanted < 10000);
}
