/* SPDX-License-Identifier: MIT */
/* The ladder's policy, for all positions of an incident, all events, means and times (rules 34, 38, 39). */
#include "ladder/policy.h"
#include "base/clock.h"
#include "harness.h"

#define FOREVER BO_FOREVER

/* The table of policy.h, written a second time. */
static const char *const wanted[BOUGH_RUNGS][BO_HAPPENINGS] = {
    /*    time   again  returned resume promote fault  unsafe done */
    [1] = {"up", "up", "", "", "up", "", "", ""},       [2] = {"up", "up", "renew", "hold", "up", "up", "", ""},
    [3] = {"up", "up", "up", "up", "up", "up", "", ""}, [4] = {"up", "up", "", "", "", "", "up", "over"},
    [5] = {"up", "up", "", "", "", "", "up", ""},       [6] = {"", "", "", "", "", "", "", ""},
};

TEST(the_table_equals_the_second_copy)
{
    for (int rung = 1; rung < BOUGH_RUNGS; rung++)
        for (int what = 0; what < BO_HAPPENINGS; what++)
            CHECK_STR(bo_policy_cell(rung, (enum bo_happening)what), wanted[rung][what]);
}

/* ---- every case -------------------------------------------------------------------------------------------------- */

enum { UNIT = 1000, CAP = 28 * UNIT };

struct point {
    struct bo_standing s;
    struct bo_means m;
    enum bo_happening what;
    int64_t now;
};

static bool climbs(const struct point *p)
{
    return p->s.cap != FOREVER;
}

static bool runnable(const struct bo_means *m, int rung)
{
    const bool all[] = {
        [2] = m->handlers, [3] = m->finals, [4] = m->closable && !m->traced, [5] = !m->traced, [6] = !m->traced};
    return all[rung];
}

static void check_climb(const struct point *p, const struct bo_step *step)
{
    int to = step->standing.rung;
    bool late = p->now >= p->s.cap;
    CHECK(to > p->s.rung);
    CHECK(to <= p->s.ceiling);
    CHECK(runnable(&p->m, to));
    for (int rung = p->s.rung + 1; rung < to && !late; rung++)
        CHECK(!runnable(&p->m, rung));
    CHECK(!step->standing.overdue);
    CHECK(step->standing.until >= p->now);
    if (climbs(p) && !late)
        CHECK(step->standing.until <= p->s.cap);
}

/* The rungs above keep their time; if not even that much is left, this rung gets a quarter of what remains. */
static void check_deadline(const struct point *p, const struct bo_step *step)
{
    const struct bo_standing *s = &step->standing;
    if (!climbs(p) || s->rung == BOUGH_RUNG_KILL || s->until == p->s.until || s->overdue)
        return;
    int64_t last = s->cap - p->m.time[6] - (s->rung < 5 ? p->m.time[5] : 0);
    int64_t left = s->cap > p->now ? s->cap - p->now : 0;
    CHECK(s->until <= last || s->until <= p->now + left / 4);
}

static void check(const struct point *p)
{
    struct bo_step step = bo_policy(p->s, p->what, &p->m, p->now);
    CHECK(step.standing.rung >= p->s.rung); /* an incident never descends */
    CHECK_EQ(step.standing.ceiling, p->s.ceiling);
    CHECK(step.standing.rung <= p->s.ceiling);
    CHECK(!p->m.traced || step.standing.rung == p->s.rung || step.standing.rung < BOUGH_RUNG_CLOSE);
    CHECK(p->what != BO_TIME_IS_OVER || p->now >= p->s.until || step.action == BO_NOTHING);
    CHECK((step.action == BO_CLIMB) == (step.standing.rung != p->s.rung));
    CHECK((step.action == BO_FINISH) == (p->s.rung == BOUGH_RUNG_CLOSE && p->what == BO_DONE));
    if (step.action == BO_OVERDUE)
        CHECK(step.standing.overdue && !p->s.overdue && (p->now >= p->s.until || p->what == BO_UNSAFE));
    if (step.action == BO_NOTHING)
        CHECK_EQ(step.standing.until, p->s.until);
    if (step.action == BO_CLIMB)
        check_climb(p, &step);
    check_deadline(p, &step);
    if (*wanted[p->s.rung][p->what] == '\0')
        CHECK_EQ(step.action, BO_NOTHING);
}

static void at_all_times(struct point *p)
{
    static const int64_t times[] = {0, 1, 4, 5, 6, 17, 18, 19, 25, 26, 27, 28, 29, 100};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        for (int what = 0; what < BO_HAPPENINGS; what++) {
            p->now = times[i] * UNIT;
            p->what = (enum bo_happening)what;
            check(p);
        }
}

static void with_all_means(struct point *p)
{
    static const int64_t pauses[] = {0, 3 * UNIT, 10 * UNIT, 40 * UNIT};
    for (unsigned bits = 0; bits < 16; bits++)
        for (int pause = 0; pause < 4; pause++)
            for (int resume = 0; resume < 4; resume++) {
                p->m = (struct bo_means){.handlers = bits & 1,
                                         .finals = bits & 2,
                                         .closable = bits & 4,
                                         .traced = bits & 8,
                                         .time = {0, 5 * UNIT, UNIT, 5 * UNIT, 2 * UNIT, 8 * UNIT, 2 * UNIT},
                                         .paused_until = pauses[pause],
                                         .resume_until = pauses[resume]};
                at_all_times(p);
            }
}

TEST_LIMIT(no_step_goes_back_or_too_far_or_too_late, 60)
{
    static const int64_t untils[] = {5 * UNIT, 18 * UNIT, 28 * UNIT, FOREVER};
    struct point p = {.now = 0};
    for (int ceiling = 1; ceiling < BOUGH_RUNGS; ceiling++)
        for (int rung = 1; rung <= ceiling; rung++)
            for (int until = 0; until < 4; until++)
                for (int overdue = 0; overdue < 2; overdue++) {
                    p.s = (struct bo_standing){.rung = (uint8_t)rung,
                                               .ceiling = (uint8_t)ceiling,
                                               .overdue = overdue,
                                               .until = untils[until],
                                               .cap = ceiling >= BOUGH_RUNG_EXIT ? CAP : FOREVER};
                    with_all_means(&p);
                }
}

/* ---- complete climbs --------------------------------------------------------------------------------------------- */

static const struct bo_means standard = {.time = {0, 5 * UNIT, UNIT, 5 * UNIT, 2 * UNIT, 8 * UNIT, 2 * UNIT}};

/* The time at which each rung begins if the interrupt is ignored; 0: never. */
static void climb_by_time(const struct bo_means *m, uint8_t ceiling, int64_t begins[BOUGH_RUNGS])
{
    struct bo_standing s = bo_policy_open(0, ceiling, CAP, m);
    memset(begins, 0, BOUGH_RUNGS * sizeof *begins);
    for (int i = 0; i < 20 && s.until != FOREVER && s.rung < BOUGH_RUNG_KILL; i++) {
        int64_t now = s.until;
        struct bo_step step = bo_policy(s, BO_TIME_IS_OVER, m, now);
        s = step.standing;
        if (step.action == BO_CLIMB)
            begins[s.rung] = now;
    }
}

TEST(the_climb_at_default_times)
{
    struct bo_means all = standard;
    int64_t begins[BOUGH_RUNGS];
    all.handlers = all.finals = all.closable = true;
    climb_by_time(&all, BOUGH_RUNG_KILL, begins);
    const int64_t want[] = {0, 0, 5, 6, 11, 13, 21};
    for (int rung = 2; rung < BOUGH_RUNGS; rung++)
        CHECK_EQ(begins[rung], want[rung] * UNIT);
    climb_by_time(&standard, BOUGH_RUNG_KILL, begins);
    CHECK_EQ(begins[5], 5 * UNIT);
    CHECK_EQ(begins[6], 13 * UNIT);
    CHECK_EQ(begins[2] + begins[3] + begins[4], 0);
}

TEST(pauses_take_nothing_from_the_exit)
{
    struct bo_means paused = standard;
    int64_t begins[BOUGH_RUNGS];
    paused.paused_until = 100 * UNIT;
    climb_by_time(&paused, BOUGH_RUNG_KILL, begins);
    CHECK_EQ(begins[5], 18 * UNIT);
    CHECK_EQ(begins[6], 26 * UNIT);
}

TEST(an_incident_at_a_low_ceiling_becomes_overdue)
{
    struct bo_means m = standard;
    m.handlers = m.finals = m.closable = true;
    for (uint8_t ceiling = 1; ceiling <= BOUGH_RUNG_FINAL; ceiling++) {
        struct bo_standing s = bo_policy_open(0, ceiling, CAP, &m);
        CHECK_EQ(s.cap, FOREVER);
        for (int i = 0; i < 10 && s.until != FOREVER; i++)
            s = bo_policy(s, BO_TIME_IS_OVER, &m, s.until).standing;
        CHECK_EQ(s.rung, ceiling);
        CHECK(s.overdue);
    }
}

TEST(a_ceiling_is_raised_and_never_lowered)
{
    struct bo_means m = standard;
    struct bo_standing s = bo_policy_open(0, BOUGH_RUNG_FINAL, CAP, &m);
    CHECK_EQ(bo_policy_raise(s, BOUGH_RUNG_FLAG, CAP, &m, UNIT).ceiling, BOUGH_RUNG_FINAL);
    s = bo_policy(s, BO_TIME_IS_OVER, &m, s.until).standing;
    CHECK(s.overdue);
    s = bo_policy_raise(s, BOUGH_RUNG_KILL, CAP, &m, 7 * UNIT);
    CHECK_EQ(s.cap, 7 * UNIT + CAP);
    CHECK(!s.overdue);
    CHECK_EQ(bo_policy(s, BO_TIME_IS_OVER, &m, 7 * UNIT).standing.rung, BOUGH_RUNG_EXIT);
    CHECK_EQ(bo_policy_raise(s, BOUGH_RUNG_EXIT, CAP, &m, 9 * UNIT).cap, 7 * UNIT + CAP);
}
