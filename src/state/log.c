/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bough/branch.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "base/plain.h"
#include "base/quiet.h"
#include "base/writable.h"
#include "upcalls.h"

static _Atomic(bough_report_fn *) reporter = bo_report_to_stderr;

/* The most lines in a second. The next line that is reported after dropped lines has their number. */
enum { PER_SECOND = 20 };
static _Atomic int64_t second;
static _Atomic uint32_t in_second, dropped;

void bo_report_to_stderr(const char *line)
{
    char text[1100];
    struct bo_quiet quiet;
    int length = snprintf(text, sizeof text, "bough: %s\n", line);
    if (bo_writable(STDERR_FILENO, 0) != 1)
        return;
    bo_quiet_begin(&quiet);
    bool lost = write(STDERR_FILENO, text, (size_t)length) < 0;
    bo_quiet_end(&quiet, lost ? errno : 0);
    bo_add_relaxed(&dropped, lost);
}

static bool admitted(void)
{
    int64_t now = bo_clock() / BO_SEC(1);
    if (bo_load_relaxed(&second) != now) {
        bo_store_relaxed(&second, now);
        bo_store_relaxed(&in_second, 0);
    }
    return bo_add_relaxed(&in_second, 1) < PER_SECOND || (bo_add_relaxed(&dropped, 1), false);
}

void bo_report(const char *format, ...)
{
    char text[1024], line[1024];
    if (!admitted())
        return;
    uint32_t missing = bo_swap_seq(&dropped, 0);
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (missing && n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, " (lines dropped before it: %u)", missing);
    bo_plain(line, sizeof line, text); /* names and reasons must not contain line breaks or terminal escapes */
    if (!bo_ladder_report(line))
        bo_report_line(line);
}

void bo_report_line(const char *line)
{
    bo_load_acquire (&reporter)(line);
}

bough_report_fn *bough_set_report(bough_report_fn *report)
{
    if (report)
        bo_ladder_need_help(); /* a helper calls the function, if this thread must not */
    bough_report_fn *old = bo_swap_seq(&reporter, report ? report : bo_report_to_stderr);
    return old == bo_report_to_stderr ? NULL : old;
}
