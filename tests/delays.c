/* SPDX-License-Identifier: MIT */
/*
 * Delays at random places, to find races: with -Ddelays=true the compiler calls __sanitizer_cov_trace_pc() at each place
 * of the library and of the tests that a branch can lead to. A seed chooses some of the places; a thread that comes to
 * one of them is late by 50 to 400 ms. Without these settings in the environment there are no delays:
 *
 *   T_DELAY_SEED=n     choose places by this number
 *   T_DELAY_EVERY=n    one place in n, 100 if it is not set
 *   T_DELAY_TIMES=n    delays at one place in one process, 2 if it is not set; at most 255
 *   T_DELAY_MS=n       how long a delay is; the seed chooses it if it is not set
 *   T_DELAY_PLACES=p,q only these places, as the log has them, at most 256; tools/delays.py finds them
 *   T_DELAY_LOG=file   a line is added for each delay: the place, the thread
 *
 * A place is an address in hexadecimal, relative to its program or shared object, as addr2line takes it: it stays the
 * same until the next build. Two places whose hashes collide count together.
 *
 * This file runs anywhere in the library: in signal handlers, in a forked child, on a thread without libc. So it makes
 * system calls only, keeps errno, and is compiled without delays itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "harness_internal.h"

void __sanitizer_cov_trace_pc(void);

enum { COUNTS = 1 << 16, PLACES = 256, LOG_DESCRIPTOR = 900 };

/* The linker's: the begin of the program or shared object that this copy is linked into. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static struct {
    int on, log;
    uint64_t seed, every, times, nanoseconds;
    uintptr_t places[PLACES];
    unsigned place_count;
} settings = {.log = -1};
static uint8_t counts[COUNTS]; /* delays so far, by the hash of their place */

/* ---- settings ---------------------------------------------------------------------------------------------------- */

/* Each bit of the result depends on each bit of the number (the end of MurmurHash3). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void read_places(const char *text)
{
    while (*text && settings.place_count < PLACES) {
        char *end;
        settings.places[settings.place_count++] = strtoull(text, &end, 16);
        text = *end ? end + 1 : end;
    }
}

/* The log has a high descriptor, so that the tests get the numbers that they expect. */
static int open_log(const char *file)
{
    int opened = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (opened < 0)
        return -1;
    int log = fcntl(opened, F_DUPFD_CLOEXEC, LOG_DESCRIPTOR);
    close(opened);
    return log;
}

/* Before the constructors of the library and of the tests. */
__attribute__((constructor(101))) static void read_settings(void)
{
    const char *seed = getenv("T_DELAY_SEED"), *places = getenv("T_DELAY_PLACES");
    settings.seed = setting("T_DELAY_SEED", 0);
    settings.every = setting("T_DELAY_EVERY", 100);
    settings.times = setting("T_DELAY_TIMES", 2);
    settings.nanoseconds = setting("T_DELAY_MS", 50 + mix(settings.seed) % 350) * 1000000;
    if (places)
        read_places(places);
    settings.on = ((seed && *seed) || settings.place_count) && settings.every && settings.times < 256;
    if (settings.on)
        settings.log = open_log(getenv("T_DELAY_LOG"));
}

/* ---- one delay --------------------------------------------------------------------------------------------------- */

static long call(long nr, long a, long b, long c, long d)
{
    int saved = errno;
    long r = syscall(nr, a, b, c, d), error = errno;
    errno = saved;
    return r == -1 ? -error : r;
}

static struct timespec now(void)
{
    struct timespec t = {0};
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0);
    return t;
}

static struct timespec end_of_delay(void)
{
    struct timespec end = now();
    uint64_t nanoseconds = (uint64_t)end.tv_nsec + settings.nanoseconds;
    end.tv_sec += (time_t)(nanoseconds / 1000000000);
    end.tv_nsec = (long)(nanoseconds % 1000000000);
    return end;
}

static int is_past(const struct timespec *end)
{
    struct timespec t = now();
    return t.tv_sec > end->tv_sec || (t.tv_sec == end->tv_sec && t.tv_nsec >= end->tv_nsec);
}

/* Does the thread have the wake signal blocked, as in bough's handler? bough would take a thread that is asleep there
 * for one that a system call holds. */
static int wakes_are_blocked(void)
{
    uint64_t mask = 0;
    call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof mask);
    return (int)(mask >> (SIGURG - 1) & 1);
}

static void be_late(void)
{
    struct timespec end = end_of_delay();
    if (wakes_are_blocked())
        while (!is_past(&end))
            call(SYS_sched_yield, 0, 0, 0, 0);
    else
        while (call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&end, (long)T_DELAY_MARK) == -EINTR)
            ;
}

static char *put_number(char *to, uint64_t number, unsigned base)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = "0123456789abcdef"[number % base];
    while (number /= base);
    while (count)
        *to++ = digits[--count];
    return to;
}

/* One write() adds one whole line, also when other threads and processes write. */
static void note_delay(uintptr_t place)
{
    char line[64], *end = put_number(line, place, 16);
    *end++ = ' ';
    end = put_number(end, (uint64_t)call(SYS_gettid, 0, 0, 0, 0), 10);
    *end++ = '\n';
    call(SYS_write, settings.log, (long)line, end - line, 0);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static int is_chosen(uintptr_t place, uint64_t hash)
{
    for (unsigned i = 0; i < settings.place_count; i++)
        if (settings.places[i] == place)
            return 1;
    return !settings.place_count && hash % settings.every == 0;
}

/* The count may not wrap around to 0. */
static int is_delayed_again(uint64_t hash)
{
    uint8_t *count = &counts[hash >> 40 & (COUNTS - 1)], was = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (was < settings.times)
        if (__atomic_compare_exchange_n(count, &was, (uint8_t)(was + 1), 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return 1;
    return 0;
}

void __sanitizer_cov_trace_pc(void)
{
    if (__builtin_expect(!settings.on, 1))
        return;
    uintptr_t place = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start;
    uint64_t hash = mix(place * 0x9e3779b97f4a7c15 ^ settings.seed);
    if (!is_chosen(place, hash) || !is_delayed_again(hash))
        return;
    if (settings.log >= 0)
        note_delay(place);
    be_late();
}
