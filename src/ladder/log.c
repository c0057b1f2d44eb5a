/* SPDX-License-Identifier: MIT */
#include "ladder/log.h"
#include <bough/ladder.h>
#include "base/plain.h"
#include "ladder/holders.h"
#include "ladder/log_queue.h"
#include "state/clock.h"
#include "state/log.h"
#include "trace/recorder.h"

static const char *const rungs[] = {"over",      "1 (flag)", "2 (handler)", "3 (final handler)",
                                    "4 (close)", "5 (exit)", "6 (kill)"};

const char *bo_what_for(const struct bo_incident *i)
{
    return i->posted.reason[0] ? i->posted.reason : "no reason given";
}

static const char *target_name(const struct bo_incident *i)
{
    return i->name[0] ? i->name : i->branch ? "a branch" : "a thread";
}

/* Is the target in a branch of the program, and not at the root? */
static bool is_nested(const struct bo_incident *i)
{
    return i->wider && bo_handle_index(i->wider) != BO_ROOT;
}

/* "reader in clients: stop (closing time), posted 5.0 s ago, goes up to rung 2 (handler): why; where" */
static void log_line(const struct bo_incident *i, const struct bough_transition *tr)
{
    bool nested = is_nested(i);
    long long age = (tr->at - tr->since) / BO_MS(100);
    const char *to = !tr->to ? "is" : tr->to == tr->from ? "is overdue at rung" : "goes up to rung";
    bo_report("%s%s%s: %s (%s), posted %lld.%lld s ago, %s %s: %s%s%s", target_name(i), nested ? " in " : "",
              nested ? i->wider_name : "", bo_kind_name(tr->kind), bo_what_for(i), age / 10, age % 10, to,
              rungs[tr->to], tr->why, *tr->place ? "; " : "", tr->place);
}

void bo_log_transition(struct bo_incident *i, int from, int to, const char *why)
{
    char text[BO_PLACE] = "", place[BO_PLACE];
    if (to)
        bo_find_place(i->target, i->record, text, sizeof text);
    if (bo_incident_over(i)) /* then the text may be about the next user of the target's slot */
        *text = '\0';
    bo_plain(place, sizeof place, text);
    bool nested = is_nested(i);
    struct bough_transition tr = {
        .post = {.record = (uint64_t)(uintptr_t)i->posted.target, .serial = i->serial << 4 | i->posted.kind},
        .kind = i->posted.kind,
        .from = from,
        .to = to,
        .target = i->posted.target,
        .wider = (bough_target)(uintptr_t)i->wider,
        .name = i->name,
        .why = why,
        .place = place,
        .source = i->posted.source,
        .at = bo_now(),
        .since = i->posted.since,
        .wider_name = nested ? i->wider_name : "",
        .reason = i->posted.reason,
    };
    i->reported = true;
    if (to)
        bo_trace_climb((uint64_t)(uintptr_t)i->posted.target, i->posted.kind, i->serial, to, why, place);
    log_line(i, &tr);
    bo_log_queue_transition(&tr);
}

static const char *how_over(const struct bo_incident *i)
{
    uint32_t last = bo_load_seq(&i->record->last);
    if (last >> 4 != i->serial)
        return "handled";
    switch (last & 15) {
    case BOUGH_POST_CLEARED:
        return "it was cleared";
    case BOUGH_POST_ENDED:
        return "its target has ended";
    case BOUGH_POST_LOST:
        return "its target was published as lost";
    default:
        return "handled";
    }
}

void bo_log_over(struct bo_incident *i)
{
    bo_log_transition(i, i->rung, 0, how_over(i));
}
