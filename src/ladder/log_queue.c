/* SPDX-License-Identifier: MIT */
#include "ladder/log_queue.h"
#include <string.h>
#include <time.h>
#include "base/atomic.h"
#include "base/futex.h"
#include "base/plain.h"
#include "ladder/helper_threads.h"
#include "ladder/holders.h"
#include "state/log.h"
#include "upcalls.h"
#include "wake/ticker.h"

enum { ROOM = 128, LINE = 1024 };

static struct item {
    _Atomic uint32_t ready; /* its number + 1, when it has been filled in */
    uint32_t number;
    bool is_line;
    struct bough_transition transition;
    char name[64], why[96], place[BO_PLACE];
    char line[LINE];
} line_ring[ROOM];

static _Atomic uint32_t written, read_; /* counts; their difference is the number of waiting items */
static _Atomic uint32_t handing_out;
static struct bo_lock callback_lock; /* the callback and its argument change together */
static bough_transition_fn *callback;
static void *callback_argument;
static _Atomic bool wanted; /* is there a callback? Atomic, because the ticker's thread must not wait for a lock */

int bough_on_transition(bough_transition_fn *fn, void *argument)
{
    bo_help_need();
    bo_lock(&callback_lock);
    callback = fn;
    callback_argument = argument;
    bo_store_relaxed(&wanted, fn != NULL);
    bo_unlock(&callback_lock);
    return 0;
}

static void hand_out(struct item *i)
{
    if (i->is_line) {
        bo_report_line(i->line);
        return;
    }
    bo_lock(&callback_lock);
    bough_transition_fn *fn = callback;
    void *argument = callback_argument;
    bo_unlock(&callback_lock);
    if (!fn)
        return;
    i->transition.name = i->name;
    i->transition.why = i->why;
    i->transition.place = i->place;
    fn(&i->transition, argument);
}

static struct item *next_one(void)
{
    uint32_t next = bo_load_seq(&read_);
    struct item *i = &line_ring[next % ROOM];
    return next != bo_load_seq(&written) && bo_load_seq(&i->ready) == next + 1 ? i : NULL;
}

/* One thread delivers at a time. If another thread is delivering, the item is left to that thread, which checks again
 * before it ends: no item is forgotten. */
static void hand_all_out(void *unused)
{
    (void)unused;
    while (next_one() && !bo_swap_seq(&handing_out, 1)) {
        struct item *i = next_one();
        if (i) {
            struct item copy = *i;
            bo_add_seq(&read_, 1);
            hand_out(&copy);
        }
        bo_store_seq(&handing_out, 0);
    }
}

static struct item *room_in_queue(void)
{
    uint32_t next = bo_load_seq(&written);
    do
        if (next - bo_load_seq(&read_) >= ROOM)
            return NULL;
    while (!bo_cas_seq(&written, &next, next + 1));
    struct item *i = &line_ring[next % ROOM];
    i->number = next + 1;
    return i;
}

static void announce_item(struct item *i)
{
    bo_store_seq(&i->ready, i->number);
    bo_help(hand_all_out, NULL);
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = from ? strnlen(from, size - 1) : 0;
    if (n)
        memcpy(to, from, n);
    to[n] = '\0';
}

void bo_log_queue_line(const char *line)
{
    struct item *i = bo_help_is_there() ? room_in_queue() : NULL;
    if (!i) { /* the ring is full: to standard error, if that accepts it at once */
        bo_report_to_stderr(line);
        return;
    }
    i->is_line = true;
    bo_plain(i->line, sizeof i->line, line); /* the text is plain already: this cuts it after a whole character */
    announce_item(i);
}

void bo_log_queue_transition(const struct bough_transition *transition)
{
    struct item *i = bo_load_relaxed(&wanted) && bo_help_is_there() ? room_in_queue() : NULL;
    if (!i)
        return;
    i->is_line = false;
    i->transition = *transition;
    copy_text(i->name, sizeof i->name, transition->name);
    copy_text(i->why, sizeof i->why, transition->why);
    copy_text(i->place, sizeof i->place, transition->place);
    announce_item(i);
}

void bo_log_queue_drain(int64_t until)
{
    const struct timespec moment = {0, 2000000};
    while (bo_clock() < until && bo_load_seq(&written) != bo_load_seq(&read_))
        nanosleep(&moment, NULL);
}

void bo_log_queue_after_fork(void)
{
    bo_store_relaxed(&read_, bo_load_relaxed(&written));
    bo_store_relaxed(&handing_out, 0);
    bo_store_relaxed(&callback_lock.state, 0);
}

static BO_TLS bool not_here;

void bo_log_queue_not_here(void)
{
    not_here = true;
}

bool bo_ladder_report(const char *line)
{
    if (!not_here && !bo_ticker_is_me())
        return false;
    bo_log_queue_line(line);
    return true;
}
