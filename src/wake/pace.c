/* SPDX-License-Identifier: MIT */
#include "wake/pace.h"
#include <bough/interpose.h>
#include "base/clock.h"
#include "base/hook.h"
#include "state/arena.h"
#include "state/current.h"
#include "wake/ticker.h"
#include "wake/wake.h"

enum { TRIES = 3 };

/* The wave (32 bits), and how many of its places are taken (32 bits). In a slot, the wave 0 is "no place". */
static _Atomic uint64_t places = UINT64_C(1) << 32;
static _Atomic uint32_t cursor; /* the last slot examined, so that each slot has its turn */
static _Atomic uint32_t given;  /* places that were given away since the last tick */
static _Atomic int64_t look_at; /* the time of the next tick; 0: no thread waits */
static uint32_t grown;          /* used by the ticker: how many threads the last tick has woken without a place */

_Atomic uint32_t bo_pace_waiting;

static uint32_t wave_of(uint64_t p)
{
    return (uint32_t)(p >> 32);
}

/* Takes a place. Returns its wave; 0: none is free. */
static uint32_t take_place(void)
{
    uint64_t p = bo_load_seq(&places);
    do
        if ((uint32_t)p >= BO_PACE_MOST)
            return 0;
    while (!bo_cas_seq(&places, &p, p + 1));
    return wave_of(p);
}

static void free_pace_place(uint32_t wave)
{
    uint64_t p = bo_load_seq(&places);
    do
        if (wave_of(p) != wave || !(uint32_t)p)
            return;
    while (!bo_cas_seq(&places, &p, p - 1));
}

/* The thread may have a place already, if it was woken just before. */
static void give_place_to(struct bo_thread *t, uint32_t wave)
{
    uint32_t other = bo_swap_seq(&t->t.wave, wave);
    if (other)
        free_pace_place(other);
}

static void take_place_from(struct bo_thread *t)
{
    uint32_t wave = bo_swap_seq(&t->t.wave, 0);
    if (wave)
        free_pace_place(wave);
}

/* ---- threads that wait for a place ------------------------------------------------------------------------------- */

static struct bo_thread *next_put_off(void)
{
    uint32_t high = bo_threads_used();
    for (uint32_t looked = 1; looked < high && bo_load_seq(&bo_pace_waiting); looked++) {
        struct bo_thread *t = bo_thread_at(1 + bo_add_relaxed(&cursor, 1) % (high - 1));
        if (bo_load_relaxed(&t->t.put_off) && bo_swap_seq(&t->t.put_off, 0)) {
            bo_sub_seq(&bo_pace_waiting, 1);
            return t;
        }
    }
    return NULL;
}

static void wake(struct bo_thread *t, uint32_t wave)
{
    give_place_to(t, wave);
    BO_HOOK(pace_next);
    if (!bo_wake_put_off(t))
        take_place_from(t);
}

/*
 * Wakes as many threads as there are places. A thread that frees a place, and a poster that puts a thread off, each
 * check whether the other has acted: so no place stays free while a thread waits. One case is left to the ticker: two
 * threads search for the same slot, and the thread that does not find it holds a place that a third thread needs.
 */
static void fill_places(void)
{
    uint32_t wave;
    for (int tries = 0; tries < TRIES && bo_load_seq(&bo_pace_waiting) && (wave = take_place()) != 0;) {
        struct bo_thread *t = next_put_off();
        if (t) {
            wake(t, wave);
        } else {
            free_pace_place(wave);
            tries++;
        }
    }
}

/* ---- a post ---------------------------------------------------------------------------------------------- */

/* The calling thread is not paced: it posts to itself in a signal handler that has interrupted its call, which ends
 * when the handler returns (rule 5). No thread is paced without the ticker, which limits the delay. */
static bool is_paced(const struct bo_thread *t)
{
    return bo_load_relaxed(&t->t.paced) && t != bo_self && bo_ticker_runs();
}

bool bo_pace_enter(struct bo_thread *t)
{
    if (bo_likely(!is_paced(t)))
        return true;
    uint32_t wave = take_place();
    if (wave)
        give_place_to(t, wave);
    return wave != 0;
}

void bo_pace_leave(struct bo_thread *t)
{
    take_place_from(t);
    fill_places();
}

static void schedule_tick(void)
{
    int64_t none = 0, when = bo_clock() + BO_PACE_WITHIN;
    if (bo_load_seq(&look_at) == 0 && bo_cas_seq(&look_at, &none, when))
        bo_ticker_attend_by(when);
}

void bo_pace_put_off(struct bo_thread *t)
{
    BO_HOOK(pace_put_off);
    if (bo_swap_seq(&t->t.put_off, 1))
        return; /* another poster has set it: the thread that clears it reads the word afterwards */
    bo_add_seq(&bo_pace_waiting, 1);
    schedule_tick();
    fill_places();
}

/* ---- a thread that was woken ------------------------------------------------------------------------------ */

void bo_pace_done(struct bo_thread *t)
{
    uint32_t wave = bo_load_relaxed(&t->t.wave);
    if (bo_likely(!wave) || !bo_cas_seq(&t->t.wave, &wave, 0))
        return;
    bo_add_seq(&given, 1);
    free_pace_place(wave);
    fill_places();
}

void bough_paced(void)
{
    if (bo_self)
        bo_pace_done(bo_self);
}

/* ---- the limit of the delay -------------------------------------------------------------------------------------- */

static void new_wave(void)
{
    uint64_t p = bo_load_seq(&places), next;
    do {
        uint32_t wave = wave_of(p) + 1;
        next = (uint64_t)(wave ? wave : 1) << 32;
    } while (!bo_cas_seq(&places, &p, next));
}

static void wake_without_a_place(uint32_t count)
{
    struct bo_thread *t;
    for (; count && (t = next_put_off()); count--)
        bo_wake_put_off(t);
}

int64_t bo_pace_tick(void)
{
    BO_HOOK(pace_tick);
    int64_t when = bo_load_seq(&look_at);
    if (when == 0)
        return BO_FOREVER;
    if (bo_clock() < when)
        return when;
    bo_store_seq(&look_at, 0);
    grown = bo_swap_seq(&given, 0) ? 0 : grown ? 2 * grown : BO_PACE_MOST;
    new_wave();
    fill_places();
    wake_without_a_place(grown);
    if (bo_load_seq(&bo_pace_waiting))
        schedule_tick(); /* a thread that is put off later schedules the ticker itself */
    else
        grown = 0;
    when = bo_load_seq(&look_at);
    return when ? when : BO_FOREVER;
}

void bo_pace_after_fork(struct bo_thread *self)
{
    bo_store_seq(&places, UINT64_C(1) << 32);
    bo_store_seq(&bo_pace_waiting, 0);
    bo_store_seq(&given, 0);
    bo_store_seq(&look_at, 0);
    grown = 0;
    if (!self)
        return;
    bo_store_seq(&self->t.put_off, 0);
    bo_store_seq(&self->t.wave, 0);
}
