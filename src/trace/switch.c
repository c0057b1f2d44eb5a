/* SPDX-License-Identifier: MIT */
/* Beginning and ending a recording; forks. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/plain.h"
#include "trace/chunk.h"
#include "trace/file.h"
#include "trace/recorder.h"

static uint32_t recordings; /* the number of the last recording */
static struct bo_lock switching;

/* ---- begin ------------------------------------------------------------------------------------------------------- */

/* The PID namespace's inode number: two threads with the same number have the same ids for all processes. */
static uint32_t pid_namespace(void)
{
    struct stat is;
    int saved = errno;
    uint32_t number = stat("/proc/self/ns/pid", &is) == 0 ? (uint32_t)is.st_ino : 0;
    errno = saved;
    return number;
}

static void become_process(struct bo_trace_recording *r)
{
    r->process = bo_add_seq(&r->head->processes, 1) + 1;
    r->pid_ns = pid_namespace();
}

int bo_trace_begin(struct bo_trace_wish *wish, char *why, unsigned size)
{
    bo_lock(&switching);
    bool is_on = bo_load_relaxed(&bo_trace_on) != 0;
    struct bo_trace_recording *r = is_on ? NULL : calloc(1, sizeof *r);
    int error = is_on ? (snprintf(why, size, "a recording is on already"), EBUSY)
                : !r  ? (snprintf(why, size, "there is no memory"), ENOMEM)
                      : bo_trace_file_open(wish, r, why, size);
    if (!error) {
        r->last = bo_trace();
        r->threshold = wish->threshold;
        r->flags = (wish->without_arguments ? BO_TRACE_WITHOUT_ARGUMENTS : 0) | (wish->file ? 0 : BO_TRACE_IN_MEMORY);
        become_process(r);
        bo_store_release(&bo_trace_last, r);
        BO_HOOK(trace_half);
        bo_store_seq(&bo_trace_on, ++recordings ? recordings : ++recordings);
        bo_trace_process_begin(0);
    } else {
        free(r);
    }
    bo_unlock(&switching);
    return error;
}

/* The caller holds the lock. */
static void finish_recording(bool by_exit)
{
    if (by_exit)
        bo_trace_process_end();
    struct bo_trace_recording *r = bo_trace();
    bo_store_seq(&r->head->ended, bo_clock());
    if (r->head->pid == getpid())
        bo_store_seq(&r->head->first_ended, 1);
    if (by_exit)
        return;
    bo_store_seq(&bo_trace_on, 0);
    BO_HOOK(trace_half);
    bo_trace_file_close(r);
}

/* Checks first without the lock: if nothing is recorded, an exit does not wait for a thread that begins a recording. */
int bo_trace_end(bool by_exit)
{
    if (!bo_load_relaxed(&bo_trace_on))
        return ENOENT;
    BO_HOOK(trace_stops);
    bo_lock(&switching);
    bool is_on = bo_load_relaxed(&bo_trace_on) != 0;
    if (is_on)
        finish_recording(by_exit);
    bo_unlock(&switching);
    return is_on ? 0 : ENOENT;
}

/* Threads continue while the process exits, and may record. */
__attribute__((destructor)) static void end_recording_at_exit(void)
{
    bo_trace_end(true);
}

bool bo_trace_is_in_memory(void)
{
    return bo_tracing() && (bo_trace()->flags & BO_TRACE_IN_MEMORY);
}

int bo_trace_descriptor(void)
{
    return bo_trace_is_in_memory() ? bo_trace_file_descriptor() : -1;
}

bool bo_trace_is_watched(void)
{
    return bo_trace_file_is_locked();
}

/* The chunks from before the fork still belong to the parent, so the child takes new ones. A file that another thread
 * was about to record to, or to close, is closed. */
void bo_trace_forked(void)
{
    uint32_t parent = bo_trace()->process;
    bo_store_relaxed(&switching.state, 0);
    bo_trace_writer_forked();
    if (!bo_load_relaxed(&bo_trace_on)) {
        bo_trace_file_forget();
        return;
    }
    become_process(bo_trace());
    bo_trace_process_begin(parent);
}

const char *bo_trace_complaint(void)
{
    return bo_tracing() ? bo_trace_file_complaint() : NULL;
}

/* ---- the environment ------------------------------------------------------------------------------------------------
 * */

/* Parses a number of bytes: "64M". 0: the text is no such number. */
static uint64_t bytes_from(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    int shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    bool good = end != text && *text != '-' && errno == 0 && n && !end[shift != 0] && n <= UINT64_MAX >> 31 >> shift;
    return good ? (uint64_t)n << shift : 0;
}

static bool threshold_of(const char *text, int64_t *threshold)
{
    char *end;
    double ms = strtod(text, &end);
    if (end == text || *end || !(ms >= 0 && ms <= 1e9))
        return false;
    *threshold = (int64_t)(ms * 1e6);
    return true;
}

static bool is_off(const char *text)
{
    return strcmp(text, "0") == 0 || strcmp(text, "no") == 0;
}

static bool is_on(const char *text)
{
    return strcmp(text, "1") == 0 || strcmp(text, "yes") == 0;
}

static int wrong(const char *name, const char *value, const char *expected, char *why, unsigned size)
{
    char shown[64];
    bo_plain(shown, sizeof shown, value);
    snprintf(why, size, "nothing is recorded: %s=%s is not %s", name, shown, expected);
    return EINVAL;
}

int bo_trace_begin_by_environment(char *why, unsigned size)
{
    const char *file = secure_getenv("BOUGH_TRACE"), *most = secure_getenv("BOUGH_TRACE_SIZE"),
               *threshold = secure_getenv("BOUGH_TRACE_THRESHOLD"), *arguments = secure_getenv("BOUGH_TRACE_ARGUMENTS");
    struct bo_trace_wish wish = {.file = file, .size = BO_TRACE_SIZE, .threshold = BO_TRACE_THRESHOLD};
    if (!file || !*file)
        return 0;
    if (most && *most && !(wish.size = bytes_from(most)))
        return wrong("BOUGH_TRACE_SIZE", most, "a number of bytes, as 64M", why, size);
    if (threshold && *threshold && !threshold_of(threshold, &wish.threshold))
        return wrong("BOUGH_TRACE_THRESHOLD", threshold, "a number of ms, as 0.5", why, size);
    if (arguments && *arguments && !is_off(arguments) && !is_on(arguments))
        return wrong("BOUGH_TRACE_ARGUMENTS", arguments, "yes or no", why, size);
    wish.without_arguments = arguments && is_off(arguments);
    return bo_trace_begin(&wish, why, size);
}
