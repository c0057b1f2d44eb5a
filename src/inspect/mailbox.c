/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/mailbox.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "inspect/dump.h"
#include "wake/post.h"
#include "wake/ticker.h"

#define FETCHED_WITHIN BO_SEC(30)

static uint32_t seen;     /* the ticker's own */
static unsigned answered; /* letters that wait to be fetched */

static void answer(struct bo_letter *l, int error)
{
    l->error = error;
    bo_store_seq(&l->answered_at, bo_clock());
    bo_store_seq(&l->state, BO_LETTER_ANSWERED);
}

/* The writer's process is no friend: what it wrote is copied before it is looked at. */
static void interrupt(struct bo_letter *l)
{
    char reason[BOUGH_REASON_MAX + 1];
    memcpy(reason, l->reason, sizeof reason);
    reason[BOUGH_REASON_MAX] = '\0';
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = reason, .rung = (int)l->rung, .value = l->from};
    bough_post post = {0, 0};
    int error = bo_post(l->target, &event, &post) == 0 ? 0 : errno;
    l->post = post.record;
    l->serial = post.serial;
    answer(l, error);
}

/* In a file without a name, which the writer opens under /proc/PID/fd. On a helper. */
static void dump(void *letter)
{
    struct bo_letter *l = letter;
    int fd = memfd_create("bough-dump", MFD_CLOEXEC);
    int error = fd < 0 || bo_dump_because(fd, 0, "asked for from outside") != 0 ? errno : 0;
    l->fd = fd;
    answer(l, error);
    bo_ticker_attend();
}

static void read_one(struct bo_letter *l, bool (*run)(void (*fn)(void *), void *argument))
{
    uint32_t sent = BO_LETTER_SENT;
    if (!bo_cas_seq(&l->state, &sent, BO_LETTER_READ))
        return;
    l->fd = -1;
    if (l->kind == BO_ASK_INTERRUPT)
        interrupt(l);
    else if (l->kind != BO_ASK_DUMP)
        answer(l, EINVAL);
    else if (!run(dump, l))
        answer(l, EAGAIN);
}

/* The file of a dump lives as long as its letter. */
static void put_away(struct bo_letter *l)
{
    static int files[BO_LETTERS]; /* the descriptor and 1: not what the mapping says, which others can write */
    int *file = &files[l - bo_arena.head->letter];
    uint32_t state = bo_load_seq(&l->state);
    if (state == BO_LETTER_ANSWERED && bo_clock() - bo_load_seq(&l->answered_at) > FETCHED_WITHIN)
        bo_store_seq(&l->state, state = BO_LETTER_FREE);
    if (state == BO_LETTER_ANSWERED) {
        answered++;
        if (l->kind == BO_ASK_DUMP && !*file)
            *file = l->fd + 1;
    } else if (state == BO_LETTER_FREE && *file > 0) {
        close(*file - 1);
        *file = 0;
    }
}

int64_t bo_mail_read(bool (*run)(void (*fn)(void *), void *argument))
{
    uint32_t letters = bo_load_seq(&bo_arena.head->letters);
    if (bo_likely(letters == seen && !answered))
        return BO_FOREVER;
    seen = letters;
    answered = 0;
    for (int i = 0; i < BO_LETTERS; i++) {
        read_one(&bo_arena.head->letter[i], run);
        put_away(&bo_arena.head->letter[i]);
    }
    return answered ? bo_clock() + BO_SEC(1) : BO_FOREVER;
}
