/* SPDX-License-Identifier: MIT */
#include "ladder/policy.h"
#include "base/clock.h"

enum verb { NOTHING, UP, RENEW, HOLD, OVER };

/* policy.h explains the table. */
static const uint8_t policy_table[BOUGH_RUNGS][BO_HAPPENINGS] = {
    [BOUGH_RUNG_FLAG] = {[BO_TIME_IS_OVER] = UP, [BO_AGAIN] = UP, [BO_TO_PROMOTE] = UP},
    [BOUGH_RUNG_HANDLER] = {[BO_TIME_IS_OVER] = UP,
                            [BO_AGAIN] = UP,
                            [BO_RETURNED] = RENEW,
                            [BO_TO_RESUME] = HOLD,
                            [BO_TO_PROMOTE] = UP,
                            [BO_FAULT] = UP},
    [BOUGH_RUNG_FINAL] = {[BO_TIME_IS_OVER] = UP,
                          [BO_AGAIN] = UP,
                          [BO_RETURNED] = UP,
                          [BO_TO_RESUME] = UP,
                          [BO_TO_PROMOTE] = UP,
                          [BO_FAULT] = UP},
    [BOUGH_RUNG_CLOSE] = {[BO_TIME_IS_OVER] = UP, [BO_AGAIN] = UP, [BO_UNSAFE] = UP, [BO_DONE] = OVER},
    [BOUGH_RUNG_EXIT] = {[BO_TIME_IS_OVER] = UP, [BO_AGAIN] = UP, [BO_UNSAFE] = UP},
};

const char *bo_policy_cell(int rung, enum bo_happening what)
{
    static const char *const words[] = {"", "up", "renew", "hold", "over"};
    return words[policy_table[rung][what]];
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool runnable(int rung, const struct bo_means *means)
{
    switch (rung) {
    case BOUGH_RUNG_HANDLER:
        return means->handlers;
    case BOUGH_RUNG_FINAL:
        return means->finals;
    case BOUGH_RUNG_CLOSE:
        return means->closable && !means->traced;
    case BOUGH_RUNG_EXIT:
    case BOUGH_RUNG_KILL:
        return !means->traced;
    default:
        return false;
    }
}

/* The next rung that has something to run; 0: there is none. */
static int next_rung(const struct bo_standing *s, const struct bo_means *means)
{
    for (int rung = s->rung + 1; rung <= s->ceiling; rung++)
        if (runnable(rung, means))
            return rung;
    return 0;
}

/* The latest deadline of a rung that leaves the higher rungs their time. */
static int64_t latest(const struct bo_standing *s, const struct bo_means *means)
{
    if (s->cap == BO_FOREVER || s->rung == BOUGH_RUNG_KILL)
        return s->cap;
    int64_t last = s->cap - means->time[BOUGH_RUNG_KILL];
    return s->rung < BOUGH_RUNG_EXIT ? last - means->time[BOUGH_RUNG_EXIT] : last;
}

/* If even the latest deadline has passed, the rung gets a quarter of the remaining time. */
static void set_step_deadline(struct bo_standing *s, int64_t from, int64_t time, const struct bo_means *means,
                              int64_t now)
{
    int64_t last = latest(s, means), left = s->cap > now ? s->cap - now : 0;
    s->until = earlier(bo_add_time(from, time), last > now ? last : now + left / 4);
}

static struct bo_step up(struct bo_standing s, enum bo_happening what, const struct bo_means *means, int64_t now)
{
    bool late = now >= s.cap && s.ceiling >= BOUGH_RUNG_KILL && !means->traced;
    int rung = late ? BOUGH_RUNG_KILL : next_rung(&s, means);
    if (rung) {
        s.rung = (uint8_t)rung;
        s.overdue = false;
        set_step_deadline(&s, now, means->time[rung], means, now);
        return (struct bo_step){s, BO_CLIMB};
    }
    /* At the ceiling, a second event or a fault does not end the rung's time. The incident is overdue only at the end
     * of that time, or if the rung can't be carried out. */
    if (now < s.until && what != BO_TIME_IS_OVER && what != BO_UNSAFE)
        return (struct bo_step){s, BO_NOTHING};
    bool known = s.overdue;
    s.overdue = true;
    /* If only a debugger prevents the step, it is tried again. */
    s.until = means->traced ? now + BO_SEC(1) : BO_FOREVER;
    return (struct bo_step){s, known ? BO_WAIT : BO_OVERDUE};
}

/* Gives the incident more time at this rung. */
static struct bo_step more(struct bo_standing s, int64_t from, const struct bo_means *means, int64_t now)
{
    s.overdue = false;
    set_step_deadline(&s, from, means->time[BOUGH_RUNG_FLAG], means, now);
    return (struct bo_step){s, BO_WAIT};
}

static struct bo_step time_is_over(struct bo_standing s, const struct bo_means *means, int64_t now)
{
    if (now < s.until)
        return (struct bo_step){s, BO_NOTHING};
    int64_t pause = earlier(means->paused_until, latest(&s, means));
    if (s.rung <= BOUGH_RUNG_FINAL && !s.overdue && pause > now) {
        s.until = pause;
        return (struct bo_step){s, BO_WAIT};
    }
    return up(s, BO_TIME_IS_OVER, means, now);
}

struct bo_standing bo_policy_open(int64_t since, uint8_t ceiling, int64_t cap, const struct bo_means *means)
{
    struct bo_standing s = {.rung = BOUGH_RUNG_FLAG, .ceiling = ceiling};
    s.cap = ceiling >= BOUGH_RUNG_EXIT ? bo_add_time(since, cap) : BO_FOREVER;
    set_step_deadline(&s, since, means->time[BOUGH_RUNG_FLAG], means, since);
    return s;
}

struct bo_standing bo_policy_raise(struct bo_standing s, uint8_t ceiling, int64_t cap, const struct bo_means *means,
                                   int64_t now)
{
    if (ceiling <= s.ceiling)
        return s;
    s.ceiling = ceiling;
    if (ceiling >= BOUGH_RUNG_EXIT && s.cap == BO_FOREVER)
        s.cap = bo_add_time(now, cap);
    s.until = s.overdue ? now : earlier(s.until, latest(&s, means));
    s.overdue = false;
    return s;
}

struct bo_step bo_policy(struct bo_standing s, enum bo_happening what, const struct bo_means *means, int64_t now)
{
    switch ((enum verb)policy_table[s.rung][what]) {
    case NOTHING:
        break;
    case UP:
        return what == BO_TIME_IS_OVER ? time_is_over(s, means, now) : up(s, what, means, now);
    case RENEW:
        return more(s, now, means, now);
    case HOLD:
        return more(s, means->resume_until > now ? means->resume_until : now, means, now);
    case OVER:
        return (struct bo_step){s, BO_FINISH};
    }
    return (struct bo_step){s, BO_NOTHING};
}
