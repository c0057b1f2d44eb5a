/* SPDX-License-Identifier: MIT */
#include "ladder/log_queue.h"
#include "base/futex.h"
#include "base/plain.h"
#include "ladder/helper_threads.h"
#include "ladder/holders.h"
#include "ladder/ring.h"
#include "state/log.h"
#include "upcalls.h"
#include "wake/ticker.h"

enum { ROOM = 128, LINE = 1024 };

static struct item {
    struct bo_ring_item head;
    bool is_line;
    struct bough_transition transition;
    char name[64], wider_name[64], why[96], reason[BOUGH_REASON_MAX + 1], place[BO_PLACE];
    char line[LINE];
} line_items[ROOM];
_Static_assert(sizeof(struct item) <= BO_RING_ITEM_MOST, "the ring copies it");

static void hand_out(void *item);
static struct bo_ring line_ring = {.items = line_items, .size = sizeof *line_items, .room = ROOM, .hand_out = hand_out};

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

static void hand_out(void *item)
{
    struct item *i = item;
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
    i->transition.wider_name = i->wider_name;
    i->transition.why = i->why;
    i->transition.reason = i->reason;
    i->transition.place = i->place;
    fn(&i->transition, argument);
}

void bo_log_queue_line(const char *line)
{
    struct item *i = bo_help_is_there() ? bo_ring_claim(&line_ring) : NULL;
    if (!i) { /* then the line goes to standard error, unless that would block */
        bo_report_to_stderr(line);
        return;
    }
    i->is_line = true;
    bo_plain(i->line, sizeof i->line, line); /* the line is plain already; truncates it at a whole character */
    bo_ring_announce(&line_ring, i);
}

void bo_log_queue_transition(const struct bough_transition *transition)
{
    struct item *i = bo_load_relaxed(&wanted) && bo_help_is_there() ? bo_ring_claim(&line_ring) : NULL;
    if (!i)
        return;
    i->is_line = false;
    i->transition = *transition;
    bo_ring_copy_text(i->name, sizeof i->name, transition->name);
    bo_ring_copy_text(i->wider_name, sizeof i->wider_name, transition->wider_name);
    bo_ring_copy_text(i->why, sizeof i->why, transition->why);
    bo_ring_copy_text(i->reason, sizeof i->reason, transition->reason);
    bo_ring_copy_text(i->place, sizeof i->place, transition->place);
    bo_ring_announce(&line_ring, i);
}

void bo_ladder_drain(int64_t until)
{
    bo_ring_drain(&line_ring, until);
}

void bo_log_queue_after_fork(void)
{
    bo_ring_after_fork(&line_ring);
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
