/* SPDX-License-Identifier: MIT */
#include "two_waiters.h"
#include "many_threads.h"

/* ---- no wake-up is lost, on either side -------------------------------------------------------------------------- */

static int item; /* the queue's items point here */

static int get(void *queue)
{
    void *got = NULL;
    int result = bough_queue_get(queue, &got, 0);
    CHECK_EQ(got, result == 0 ? &item : NULL);
    return result;
}

static int put(void *queue)
{
    return bough_queue_put(queue, &item, 0);
}
static void put_here(void *queue)
{
    CHECK_EQ(put(queue), 0);
}
static void get_here(void *queue)
{
    CHECK_EQ(get(queue), 0);
}
static void check_empty(void *queue)
{
    CHECK_EQ(bough_queue_length(queue), 0);
}
static void check_full(void *queue)
{
    CHECK_EQ(bough_queue_length(queue), 1);
}

TEST_LIMIT(an_interrupted_getter_takes_no_item, 600)
{
    bough_queue *q = bough_queue_new(1);
    fight(&(struct duel){.wait = get, .offer = put_here, .check = check_empty}, q);
    bough_queue_free(q, NULL);
}

TEST_LIMIT(an_interrupted_putter_takes_no_room, 600)
{
    bough_queue *q = bough_queue_new(1);
    put_here(q);
    fight(&(struct duel){.wait = put, .offer = get_here, .check = check_full}, q);
    bough_queue_free(q, NULL);
}

/* ---- each item exactly once -------------------------------------------------------------------------------------- */

enum { PRODUCERS = 2, CONSUMERS = 3, ITEMS = 1 << 22 };

struct traffic {
    bough_queue *queue;
    long produced[PRODUCERS];
    unsigned char seen[PRODUCERS][ITEMS];
};

static void *name_of(int producer, long number)
{
    return (void *)(intptr_t)(number * PRODUCERS + producer + 1);
}

static void mark(struct traffic *t, void *name)
{
    intptr_t n = (intptr_t)name - 1;
    __atomic_fetch_add(&t->seen[n % PRODUCERS][n / PRODUCERS], 1, __ATOMIC_RELAXED);
}

static void produce(struct storm_thread *self)
{
    struct traffic *t = self->object;
    long *next = &t->produced[self->number];
    if (*next < ITEMS && storm_done(self, bough_queue_put(t->queue, name_of(self->number, *next), 0)))
        ++*next;
    self->done++;
    if (t_random(&self->random) % 4 == 0)
        pause_at_random(&self->random);
}

static void consume(struct storm_thread *self)
{
    struct traffic *t = self->object;
    void *name;
    if (!storm_done(self, bough_queue_get(t->queue, &name, 0)))
        return;
    mark(t, name);
    self->done++;
}

static void check_traffic(struct traffic *t)
{
    for (int i = 0; i < PRODUCERS; i++)
        for (long number = 0; number < ITEMS; number++)
            if (t->seen[i][number] != (number < t->produced[i]))
                FAIL("item %ld of producer %d, which put %ld, was seen %d times", number, i, t->produced[i],
                     t->seen[i][number]);
}

TEST_LIMIT(each_item_has_one_getter, 600)
{
    static struct traffic t;
    static struct storm storm;
    t.queue = bough_queue_new(2);
    widen_window();
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        storm_add(&storm, i < PRODUCERS ? produce : consume, &t);
    storm_rage(&storm);
    storm_calm(&storm);
    storm_end(&storm);
    bough_queue_close(t.queue);
    for (void *name; bough_queue_get(t.queue, &name, 0) == 0;)
        mark(&t, name);
    check_traffic(&t);
    t_note("%ld and %ld items", t.produced[0], t.produced[1]);
    bough_queue_free(t.queue, NULL);
}
