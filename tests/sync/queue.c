/* SPDX-License-Identifier: MIT */
#include "worker.h"

static int items[16];

struct use {
    bough_queue *queue;
    void *item;
};

static int put(void *argument)
{
    struct use *u = argument;
    return bough_queue_put(u->queue, u->item, 0);
}

static int get(void *argument)
{
    struct use *u = argument;
    return bough_queue_get(u->queue, &u->item, 0);
}

static bough_queue *queue_with(size_t capacity, int count)
{
    bough_queue *q = bough_queue_new(capacity);
    CHECK(q);
    for (int i = 0; i < count; i++)
        CHECK_EQ(bough_queue_put(q, &items[i], 0), 0);
    return q;
}

static void check_get(bough_queue *q, void *item)
{
    void *got = NULL;
    CHECK_EQ(bough_queue_get(q, &got, 0), 0);
    CHECK_EQ(got, item);
}

TEST(first_in_first_out)
{
    bough_queue *q = queue_with(3, 3);
    for (int i = 0; i < 10; i++) { /* several times around the ring */
        CHECK_EQ(bough_queue_length(q), 3);
        check_get(q, &items[i]);
        CHECK_EQ(bough_queue_put(q, &items[i + 3], 0), 0);
    }
    bough_queue_free(q, NULL);
}

TEST(new_refuses_invalid_arguments)
{
    CHECK_ERR(bough_queue_new(0), EINVAL);
    CHECK_ERR(bough_queue_new(SIZE_MAX), ENOMEM);
    CHECK_ERR(bough_queue_new(SIZE_MAX / sizeof(void *) - 1), ENOMEM);
    bough_queue_free(NULL, NULL);
}

static int dropped;

static void drop(void *item)
{
    CHECK_EQ(item, &items[dropped]);
    dropped++;
}

TEST(free_drops_what_is_left)
{
    bough_queue_free(queue_with(8, 5), drop);
    CHECK_EQ(dropped, 5);
}

TEST(a_wait_that_ends_at_its_deadline_changes_nothing)
{
    bough_queue *q = queue_with(1, 0);
    void *item = &items[7];
    CHECK_ENDS_AT_DEADLINE(bough_queue_get(q, &item, deadline));
    CHECK_EQ(item, &items[7]);
    CHECK_EQ(bough_queue_put(q, &items[0], 1), 0);
    CHECK_ERR(bough_queue_put(q, &items[1], bough_after(BOUGH_MS(20))), ETIMEDOUT);
    CHECK_EQ(bough_queue_length(q), 1);
    check_get(q, &items[0]);
    bough_queue_free(q, NULL);
}

TEST(get_waits_for_an_item)
{
    struct use u[2] = {{.queue = queue_with(1, 0)}, {0}};
    struct worker w[2];
    u[1].queue = u[0].queue;
    w_start_blocked(&w[0], get, &u[0]);
    w_start_blocked(&w[1], get, &u[1]);
    for (int i = 0; i < 2; i++) { /* both puts find room: each item goes directly to a waiting getter */
        CHECK_EQ(bough_queue_put(u[0].queue, &items[i], 1), 0);
        CHECK_EQ(bough_queue_length(u[0].queue), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(w_end(&w[i]), 0);
        CHECK_EQ(u[i].item, &items[i]); /* the first waiter gets the first item */
    }
    bough_queue_free(u[0].queue, NULL);
}

TEST(put_waits_for_room)
{
    bough_queue *q = queue_with(2, 2);
    struct use u[2] = {{q, &items[2]}, {q, &items[3]}};
    struct worker w[2];
    w_start_blocked(&w[0], put, &u[0]);
    w_start_blocked(&w[1], put, &u[1]);
    for (int i = 0; i < 4; i++)
        check_get(q, &items[i]);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(w_end(&w[i]), 0);
    bough_queue_free(q, NULL);
}

TEST(an_interrupted_getter_takes_nothing)
{
    struct use cut = {.queue = queue_with(1, 0)}, next = cut;
    struct worker w[2];
    w_start_blocked(&w[0], get, &cut);
    w_start_blocked(&w[1], get, &next);
    w_end_cut(&w[0]);
    CHECK_EQ(bough_queue_put(cut.queue, &items[0], 0), 0);
    CHECK_EQ(w_end(&w[1]), 0);
    CHECK_EQ(cut.item, NULL);
    CHECK_EQ(next.item, &items[0]);
    bough_queue_free(cut.queue, NULL);
}

TEST(an_interrupted_putter_puts_nothing)
{
    bough_queue *q = queue_with(1, 1);
    struct use cut = {q, &items[1]}, next = {q, &items[2]};
    struct worker w[2];
    w_start_blocked(&w[0], put, &cut);
    w_start_blocked(&w[1], put, &next);
    w_end_cut(&w[0]);
    check_get(q, &items[0]);
    CHECK_EQ(w_end(&w[1]), 0);
    check_get(q, &items[2]);
    CHECK_EQ(bough_queue_length(q), 0);
    bough_queue_free(q, NULL);
}

TEST(both_are_points_without_a_wait)
{
    bough_queue *q = queue_with(2, 1);
    void *item = NULL;
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_queue_put(q, &items[1], 0), ECANCELED);
    CHECK_ERR(bough_queue_get(q, &item, 0), ECANCELED);
    bough_clear(NULL);
    CHECK_EQ(bough_queue_length(q), 1);
    bough_queue_free(q, NULL);
}

TEST(a_closed_queue_is_emptied)
{
    bough_queue *q = queue_with(4, 2);
    void *item = NULL;
    CHECK_EQ(bough_queue_close(q), 0);
    CHECK_EQ(bough_queue_close(q), 0);
    CHECK_ERR(bough_queue_put(q, &items[2], 0), EPIPE);
    check_get(q, &items[0]);
    check_get(q, &items[1]);
    CHECK_ERR(bough_queue_get(q, &item, 0), EPIPE);
    CHECK_EQ(item, NULL);
    bough_queue_free(q, NULL);
}

TEST(close_ends_all_waits)
{
    bough_queue *empty = queue_with(1, 0), *full = queue_with(1, 1);
    struct use u[4] = {{.queue = empty}, {.queue = empty}, {full, &items[1]}, {full, &items[2]}};
    struct worker w[4];
    for (int i = 0; i < 4; i++)
        w_start_blocked(&w[i], i < 2 ? get : put, &u[i]);
    bough_queue_close(empty);
    bough_queue_close(full);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(w_end(&w[i]), -1);
        CHECK_EQ(w[i].error, EPIPE);
    }
    CHECK_EQ(bough_queue_length(full), 1);
    bough_queue_free(empty, NULL);
    bough_queue_free(full, NULL);
}
