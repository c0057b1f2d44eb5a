/* SPDX-License-Identifier: MIT */
/* Rule 48: a half-written event is not in the recording, although older events were in its place. A thread that is slow
 * to record an event does no harm to the next recording. */
#include "hooks.h"
#include <bough.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "../harness.h"
#include "trace/read.h"

enum { ROUNDS = 1200, LEAST_CHUNKS = 64, READ_EACH = 7 };

static char file[64];
static unsigned written, looks;
static bool was_lost;

/* A text that shows whether it is complete: a number, up to nine times. The lengths do not repeat periodically. */
static void encode(char *text, size_t size, unsigned x)
{
    size_t used = 0;
    for (size_t n = 1 + (x * 2654435761u >> 16) % 9; n > 0 && used + 12 < size; n--)
        used += (size_t)snprintf(text + used, size - used, "%010u,", x);
    snprintf(text + used, size - used, "%zu", used);
}

static void check_whole(const char *text)
{
    char expected[BOUGH_REASON_MAX + 1];
    encode(expected, sizeof expected, (unsigned)strtoul(text, NULL, 10));
    if (strcmp(text, expected) != 0)
        FAIL("a torn event: '%s'", text);
}

static void look(void)
{
    struct trace t;
    if (written++ % READ_EACH != 0)
        return;
    CHECK_EQ(trace_read(file, &t), 0);
    for (int i = 0; i < t.n_events; i++)
        if (t.events[i].what == TRACE_POSTED)
            check_whole(t.events[i].detail);
    was_lost = t.lost > 0;
    looks++;
    trace_free(&t);
}

/* The events have different sizes, so that the first unit of an old one is where the text of a new one is written. */
TEST(an_event_appears_as_a_whole)
{
    char reason[BOUGH_REASON_MAX + 1];
    NEED_HOOKS();
    snprintf(file, sizeof file, "/tmp/bough-half-%d", (int)getpid());
    bough_adopt("writer");
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file, .size = LEAST_CHUNKS * 4096}), 0);
    bo_hook_event_half = look;
    for (unsigned x = 1; x <= 7 * ROUNDS; x++) {
        encode(reason, sizeof reason, x);
        bough_interrupt(bough_self(), reason);
        bough_clear(bough_self());
    }
    bo_hook_event_half = NULL;
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(unlink(file), 0);
    t_note("%u reads of %u halves", looks, written);
    CHECK(was_lost);
}

/* ---- a thread that is slow --------------------------------------------------------------------------------------- */

enum { MANY = 4096, FEW = 64, TAKEN = 1000 };
static _Atomic int chosen;

static void stop_at_a_late_chunk(void)
{
    if (chosen++ == TAKEN)
        stop_here();
}

static int record_much(void *unused)
{
    (void)unused;
    while (chosen <= TAKEN) {
        bough_interrupt(bough_self(), "once more");
        bough_clear(bough_self());
    }
    return 0;
}

static void begin_recording(off_t chunks)
{
    struct bough_trace_options options = {.file = file, .size = (uint64_t)(chunks + 1) * 4096};
    CHECK_EQ(bough_trace_start(&options), 0);
}

TEST(a_thread_that_still_has_the_last_recording_harms_no_memory)
{
    struct trace t;
    struct stat is;
    NEED_HOOKS();
    snprintf(file, sizeof file, "/tmp/bough-slow-%d", (int)getpid());
    begin_recording(MANY);
    bo_hook_chunk_chosen = stop_at_a_late_chunk;
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, record_much, (bough_resource){0}));
        t_gate_wait(&hook_reached);
        CHECK_EQ(bough_trace_stop(), 0);
        CHECK_EQ(unlink(file), 0);
        begin_recording(FEW);
        t_gate_open(&hook_go);
    }
    bo_hook_chunk_chosen = NULL;
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(trace_read(file, &t), 0);
    trace_free(&t);
    CHECK_EQ(stat(file, &is), 0);
    CHECK_EQ(is.st_size, (FEW + 1) * 4096);
    CHECK_EQ(unlink(file), 0);
}

/* ---- two threads that begin and end recordings -------------------------------------------------------------------- */

static int stop_result, stop_error;

static void *stops_recording(void *unused)
{
    hooked = t_tid();
    stop_result = bough_trace_stop();
    stop_error = errno;
    return unused;
}

static void begin_and_stop_until(void (*volatile *hook)(void), struct t_thread *stopper)
{
    bough_adopt("recorded");
    snprintf(file, sizeof file, "/tmp/bough-two-%d", (int)getpid());
    begin_recording(FEW);
    hooked = -1;
    *hook = stop_here;
    t_spawn(stopper, stops_recording, NULL);
    t_gate_wait(&hook_reached);
}

/* Fixed race: both threads had ended the recording, by their results. */
TEST(one_of_two_threads_ends_a_recording)
{
    struct t_thread stopper;
    NEED_HOOKS();
    begin_and_stop_until(&bo_hook_trace_stops, &stopper);
    CHECK_EQ(bough_trace_stop(), 0);
    t_gate_open(&hook_go);
    t_join(&stopper);
    CHECK_EQ(stop_result, -1);
    CHECK_EQ(stop_error, ENOENT);
    CHECK_EQ(unlink(file), 0);
}

/* Fixed race: the second recording had no calls of the threads that were there before it. */
TEST(the_end_of_a_recording_does_not_stop_the_next_one)
{
    struct t_thread stopper;
    NEED_HOOKS();
    begin_and_stop_until(&bo_hook_trace_switches, &stopper);
    begin_recording(FEW);
    t_gate_open(&hook_go);
    t_join(&stopper);
    CHECK_EQ(stop_result, 0);
    CHECK(bo_load_seq(&bo_thread_of_handle(bough_self())->call.recorded));
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(unlink(file), 0);
}

static bool has_open(const char *path)
{
    struct stat is, other;
    CHECK_EQ(stat(path, &is), 0);
    for (int fd = 0; fd < 1024; fd++)
        if (fstat(fd, &other) == 0 && other.st_ino == is.st_ino && other.st_dev == is.st_dev)
            return true;
    return false;
}

/* Fixed bug: the child kept the file open, and with it the lock by which other processes join the recording. */
TEST(a_child_that_is_forked_while_a_recording_ends_does_not_keep_its_file)
{
    struct t_thread stopper;
    int status;
    NEED_HOOKS();
    begin_and_stop_until(&bo_hook_trace_half, &stopper);
    pid_t child = fork();
    if (child == 0)
        _exit(has_open(file));
    CHECK_EQ(waitpid(child, &status, 0), child);
    t_gate_open(&hook_go);
    t_join(&stopper);
    CHECK_EQ(status, 0);
    CHECK_EQ(unlink(file), 0);
}
