/* SPDX-License-Identifier: MIT */
/*
 * libbough-preload.so: for programs that do not use bough.
 *
 *   LD_PRELOAD=libbough-preload.so program ...
 *
 * SIGHUP, SIGINT and SIGTERM, unless the program handles or ignores them, interrupt it: a blocking call of its main
 * thread fails, so that the program ends in its usual way. If the program ignores the failure, the incident climbs the
 * ladder, which ends the process. The environment has these settings:
 *
 *   BOUGH_PRELOAD   off: do nothing. report: print what was interposed, to standard error
 *   BOUGH_OBJECTS   names of objects, separated by ':', to interpose instead of all (bough/interpose.h)
 *   BOUGH_ERRNO     the number of the error of a call that is retried after EINTR; the default is ECANCELED
 *   BOUGH_EINTR_ONLY  names of libraries that abort on other errors than EINTR (bough/interpose.h)
 *   BOUGH_GRACE     as for any program that uses bough: how long the whole ladder may take, in seconds
 *
 * However the program ends, its exit status is the signal's while the signal's record is pending: for exit() in any
 * thread and quick_exit() by BOUGH_SIGNALS_STATUS, for _exit() and _Exit() because they are replaced here, in all
 * objects.
 *
 * This object uses the public interface only.
 */
#define _GNU_SOURCE
#include <bough.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/plain.h"

enum { OBJECTS = 64 };

static void complain(const char *what)
{
    fprintf(stderr, "bough: %s: %s\n", what, strerror(errno));
}

/* The list is never freed. */
static const char *const *objects_named(void)
{
    static const char *list[OBJECTS + 1];
    const char *given = secure_getenv("BOUGH_OBJECTS");
    char *text = given && *given ? strdup(given) : NULL, *rest = text;
    for (size_t i = 0; text && i < OBJECTS && (list[i] = strsep(&rest, ":")); i++) {
    }
    return text ? list : NULL;
}

static struct bough_foreign ways(void)
{
    struct bough_foreign ways = {0};
    const char *given = secure_getenv("BOUGH_ERRNO");
    char *end = NULL;
    long error = given && *given ? strtol(given, &end, 10) : 0;
    char shown[64];
    if (end && (*end || error <= 0 || error > 4094)) {
        bo_plain(shown, sizeof shown, given);
        fprintf(stderr, "bough: ignoring BOUGH_ERRNO=%s: expected an error number, 1 to 4094; using ECANCELED\n",
                shown);
    } else
        ways.error = (int)error;
    return ways;
}

__attribute__((constructor)) static void begin_program(void)
{
    static struct bough_region whole; /* the main thread stays opted in */
    const char *mode = secure_getenv("BOUGH_PRELOAD");
    if (mode && strcmp(mode, "off") == 0)
        return;
    struct bough_foreign how = ways();
    if (bough_interpose(objects_named(), 0) < 0)
        complain("nothing could be interposed");
    if (bough_foreign_set(&how) != 0 || bough_foreign_begin(&whole, __FILE__, __LINE__) != 0)
        complain("cannot make the main thread interruptible");
    if (bough_signals(BOUGH_SIGNALS_STATUS | BOUGH_SIGNALS_QUIET) < 0)
        complain("cannot take Ctrl-C and SIGTERM: their actions stay unchanged");
    if (mode && strcmp(mode, "report") == 0)
        bough_interpose_report(STDERR_FILENO);
}

/* ---- ends that run no handlers -------------------------------------------------------------------------- */

#define REPLACEMENT __attribute__((visibility("default")))

REPLACEMENT void _exit(int status)
{
    bough_exit_now(status);
}

REPLACEMENT void _Exit(int status)
{
    bough_exit_now(status);
}
