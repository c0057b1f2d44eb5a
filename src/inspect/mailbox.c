/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/mailbox.h"
#include <bough/ladder.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "inspect/dump.h"
#include "state/arena.h"
#include "state/arena_map.h"
#include "state/current.h"
#include "state/mailbox_layout.h"
#include "trace/recorder.h"
#include "wake/post.h"
#include "wake/ticker.h"

/* How long an answer is kept for its reader, and a box for a writer that does not finish. */
#define PATIENCE BO_SEC(30)

/*
 * The state of each box, in this process's private memory: the box itself may contain anything at any time.
 *
 *      IDLE --a request was sent--> AT_WORK --answered--> ANSWERED --fetched, or too old--> IDLE
 *
 * A box is read only when it is IDLE. `fd` is the dump's, -1 if there is none: the descriptor to close is never read
 * from the box.
 */
enum step { IDLE, AT_WORK, ANSWERED };
static struct box {
    _Atomic uint32_t step;
    int fd;
    int64_t since; /* the time of its last change; 0: not known */
} boxes[BO_REQUESTS];

/* The largest recording that others may request, and how long it continues without the requesting process. */
enum { RECORDING_MOST = 1 << 30 };
#define RECORDING_UNWATCHED BO_SEC(5)
static int64_t recording_ends_at; /* used by the ticker only */

static uint32_t seen;             /* used by the ticker only */
static unsigned boxes_to_revisit; /* how many boxes are to be checked again */

static struct bo_request *request_of(const struct box *box)
{
    return &bo_arena.mail->request[box - boxes];
}

static void answer_request(struct box *box, int error)
{
    struct bo_request *l = request_of(box);
    l->error = error;
    l->fd = box->fd;
    box->since = bo_clock();
    bo_store_seq(&l->state, BO_REQUEST_ANSWERED);
    /* Pairs with the ticker's load of `step`: fd and since are set. After the box's state: otherwise the ticker would
     * mistake the answer for a fetched one. */
    bo_store_release(&box->step, ANSWERED);
}

/* Copies the request once, because it may change at any time. */
BO_BARE static void copy_request(struct bo_request *to, const struct bo_request *from)
{
    const volatile unsigned char *byte = (const volatile unsigned char *)from;
    for (size_t i = 0; i < sizeof *to; i++)
        ((unsigned char *)to)[i] = byte[i];
    to->reason[BOUGH_REASON_MAX] = '\0';
}

static void interrupt(struct box *box, const struct bo_request *l)
{
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = l->reason, .rung = (int)l->rung, .value = l->from};
    bough_post post = {0, 0};
    uint32_t ceiling = l->ceiling ? l->ceiling : BOUGH_RUNG_KILL;
    if (ceiling > BOUGH_RUNG_KILL || l->rung > ceiling) {
        answer_request(box, EINVAL);
        return;
    }
    int error = bo_post_up_to(l->target, &event, (int)ceiling, &post) == 0 ? 0 : errno;
    request_of(box)->post = post.record;
    request_of(box)->serial = post.serial;
    answer_request(box, error);
}

/* Writes the dump to a file without a name, which the requesting process opens under /proc/PID/fd. The file is sealed
 * when it is complete. Runs on a helper. */
static void dump(void *argument)
{
    struct box *box = argument;
    struct bo_dump_order order = {.why = "asked for from outside", .until = BO_FOREVER, .work = &request_of(box)->work};
    long fd = bo_map_file("bough-dump");
    int error = fd < 0 ? (int)-fd : bo_dump_by((int)fd, &order) != 0 ? errno : 0;
    if (fd >= 0)
        fcntl((int)fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    box->fd = (int)fd;
    answer_request(box, error);
    bo_ticker_attend();
}

/* The recording's file does not belong to the box, but stays open until the recording ends. */
static void answer_with_recording(struct box *box, int error)
{
    box->fd = error ? -1 : bo_trace_descriptor();
    answer_request(box, error);
    box->fd = -1;
}

static void begin_recording(struct box *box, const struct bo_request *l)
{
    char why[256];
    struct bo_trace_wish wish = {.size = l->recording_size,
                                 .threshold = l->threshold,
                                 .without_arguments = l->recording_flags & BO_TRACE_WITHOUT_ARGUMENTS};
    bool valid = l->recording_size <= RECORDING_MOST && l->threshold >= 0;
    int error = valid ? bo_trace_begin(&wish, why, sizeof why) : EINVAL;
    if (!error)
        bo_switch_recording(true);
    recording_ends_at = bo_clock() + RECORDING_UNWATCHED;
    answer_with_recording(box, error);
}

static int end_recording(void)
{
    if (!bo_trace_is_in_memory())
        return ENOENT;
    int error = bo_trace_end(false);
    bo_switch_recording(false);
    return error;
}

/* The process that has asked for the recording holds a lock on its file. If it is killed, the recording ends. Returns
 * when to look again. */
static int64_t look_at_recording(void)
{
    if (bo_likely(!bo_trace_is_in_memory()))
        return BO_FOREVER;
    int64_t now = bo_clock();
    if (bo_trace_is_watched())
        recording_ends_at = now + RECORDING_UNWATCHED;
    else if (now >= recording_ends_at)
        return end_recording(), BO_FOREVER;
    return now + BO_SEC(1);
}

static void read_one(struct box *box, bool (*run)(void (*fn)(void *), void *argument))
{
    struct bo_request mine;
    uint32_t sent = BO_REQUEST_SENT;
    if (bo_load_acquire(&box->step) != IDLE || !bo_cas_seq(&request_of(box)->state, &sent, BO_REQUEST_READ))
        return;
    copy_request(&mine, request_of(box));
    box->fd = -1;
    bo_store_relaxed(&box->step, AT_WORK);
    if (mine.kind == BO_ASK_INTERRUPT)
        interrupt(box, &mine);
    else if (mine.kind == BO_ASK_RECORDING)
        begin_recording(box, &mine);
    else if (mine.kind == BO_ASK_RECORDING_END)
        answer_request(box, end_recording());
    else if (mine.kind != BO_ASK_DUMP)
        answer_request(box, EINVAL);
    else if (!run(dump, box))
        answer_request(box, EAGAIN);
}

static bool too_old(struct box *box)
{
    if (!box->since)
        box->since = bo_clock();
    return bo_clock() - box->since > PATIENCE;
}

/* The file of a dump is kept as long as its answer, until the requesting process has freed the box, which the next
 * request may use at once. A process that was killed in the middle leaves a box that is not free. */
static void put_away(struct box *box)
{
    uint32_t step = bo_load_acquire(&box->step), state = bo_load_seq(&request_of(box)->state);
    bool stays = step == ANSWERED ? state == BO_REQUEST_ANSWERED : state != BO_REQUEST_FREE && state != BO_REQUEST_SENT;
    if (step == AT_WORK)
        return;
    if (stays && !too_old(box)) {
        boxes_to_revisit++;
        return;
    }
    if (step == ANSWERED && box->fd >= 0)
        close(box->fd);
    box->since = 0;
    bo_store_relaxed(&box->step, IDLE);
    if (stays)
        bo_store_seq(&request_of(box)->state, BO_REQUEST_FREE);
}

int64_t bo_mail_read(bool (*run)(void (*fn)(void *), void *argument))
{
    uint32_t requests = bo_arena.mail ? bo_load_seq(&bo_arena.mail->requests) : seen;
    if (bo_likely(requests == seen && !boxes_to_revisit))
        return look_at_recording();
    seen = requests;
    boxes_to_revisit = 0;
    for (int i = 0; i < BO_REQUESTS; i++) {
        put_away(&boxes[i]);
        read_one(&boxes[i], run);
        boxes_to_revisit += bo_load_relaxed(&boxes[i].step) != IDLE;
    }
    int64_t next = look_at_recording();
    return boxes_to_revisit ? bo_clock() + BO_SEC(1) : next;
}

/* In a forked child, which has its own mailbox: closes the files of the parent's dumps. */
void bo_mail_after_fork(void)
{
    for (int i = 0; i < BO_REQUESTS; i++) {
        if (bo_load_relaxed(&boxes[i].step) == ANSWERED && boxes[i].fd >= 0)
            close(boxes[i].fd);
        boxes[i].since = 0;
        bo_store_relaxed(&boxes[i].step, IDLE);
    }
    seen = boxes_to_revisit = 0;
}
