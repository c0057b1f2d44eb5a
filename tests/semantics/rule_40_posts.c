/* SPDX-License-Identifier: MIT */
/* Rule 40: a callback gets each post, its delivery and its end, from any poster, and the number of posts that had no
 * room. */
#include "climber.h"

enum { KEPT = 64 };

static struct posted {
    enum bough_post_status status;
    enum bough_kind kind;
    char name[32], wider[32], reason[BOUGH_REASON_MAX + 1];
} posted[KEPT];
static _Atomic int count, is_stuck, may_go_on;
static _Atomic unsigned lost;

static void note(const struct bough_posting *p, void *argument)
{
    CHECK(argument == &count);
    struct posted *to = &posted[count % KEPT];
    to->status = p->status;
    to->kind = p->record.kind;
    snprintf(to->name, sizeof to->name, "%s", p->name);
    snprintf(to->wider, sizeof to->wider, "%s", p->wider_name);
    snprintf(to->reason, sizeof to->reason, "%s", p->record.reason);
    lost += p->lost;
    count++;
}

static int has(enum bough_post_status status, enum bough_kind kind, const char *name)
{
    for (int i = 0; i < count && i < KEPT; i++)
        if (posted[i].status == status && posted[i].kind == kind && strcmp(posted[i].name, name) == 0)
            return i + 1;
    return 0;
}

static int sleeper(void *unused)
{
    (void)unused;
    return bough_pause() < 0 ? errno : 0;
}

TEST(delivery_and_end_of_a_post_are_reported)
{
    CHECK_EQ(bough_on_posting(note, &count), 0);
    BOUGH_BRANCH(readers) {
        bough_thread *t =
            bough_add_with(readers, sleeper, bough_arg(NULL), &(struct bough_child_options){.name = "reader"});
        bough_post_event(t, &(struct bough_event){.reason = "closing time"});
        bough_interrupt(t, "again");
    }
    t_until(has(BOUGH_POST_ENDED, BOUGH_STOP, "reader"));
    int made = has(BOUGH_POST_PENDING, BOUGH_STOP, "reader"), met = has(BOUGH_POST_DELIVERED, BOUGH_STOP, "reader");
    CHECK(made && met && made < met);
    CHECK_STR(posted[made - 1].reason, "closing time");
    CHECK_STR(posted[made - 1].wider, "readers");
    CHECK_EQ(count, 3);
    bough_on_posting(NULL, NULL);
}

TEST(posts_of_the_library_are_reported_too)
{
    CHECK_EQ(bough_on_posting(note, &count), 0);
    BOUGH_BRANCH(timed, .timeout = BOUGH_MS(1)) {
        bough_add(timed, sleeper, bough_arg(NULL));
    }
    t_until(has(BOUGH_POST_PENDING, BOUGH_TIMEOUT, "timed"));
    t_until(has(BOUGH_POST_ENDED, BOUGH_TIMEOUT, "timed"));
    bough_on_posting(NULL, NULL);
}

static void get_stuck(const struct bough_posting *p, void *argument)
{
    for (is_stuck = 1; !may_go_on;)
        usleep(1000);
    note(p, argument);
}

/* Interrupts and the ladder's reports continue; posts without room are counted. */
TEST_LIMIT(a_callback_that_hangs_stops_nothing, 60)
{
    enum { MANY = 400 };
    CHECK_EQ(bough_on_posting(get_stuck, &count), 0);
    for (int i = 0; i < MANY; i++) {
        bough_interrupt(bough_self(), NULL);
        CHECK_EQ(bough_check(), -1);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    t_until(is_stuck);
    bough_on_transition(c_note, NULL);
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_MS(1), BOUGH_SEC(600));
    bough_interrupt(bough_self(), NULL);
    t_until(c_has(1, 1));
    may_go_on = 1;
    t_until(lost + (unsigned)count >= 3 * MANY + 1);
    CHECK(lost > 0);
    CHECK_EQ(bough_clear(NULL), 1);
    bough_on_posting(NULL, NULL);
}
