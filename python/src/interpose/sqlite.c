/* SPDX-License-Identifier: MIT */
/*
 * Interrupts sqlite3's waits for a lock of another connection. SQLite sleeps and retries until the connection's
 * timeout, and a sleep that fails does not end that. So bough sets a busy handler on the module's connections, which
 * waits as SQLite's handler does, and gives up when an interrupt is due. The statement then fails as at the end of the
 * timeout, and the error becomes the interrupt's exception. backup() sleeps between its steps without a limit: the step
 * after an interrupted sleep fails.
 *
 * A connection that was opened before the opt-in keeps SQLite's handler, and PRAGMA busy_timeout sets SQLite's handler
 * again.
 */
#include "raise/raise.h"
#include "interpose/interpose.h"

#include <dlfcn.h>

bough_code *bp_sqlite_timeout, *bp_sqlite_slept, *bp_sqlite_step;

enum { INTERRUPTED = 9 }; /* SQLITE_INTERRUPT */

/* The delays of SQLite's handler, in ms; the last one is repeated. */
static const int delays[] = {1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100};
enum { DELAYS = sizeof delays / sizeof *delays };

static int busy(void *argument, int count)
{
    int64_t timeout = (intptr_t)argument, before = 0;
    for (int i = 0; i < count; i++)
        before += delays[i < DELAYS ? i : DELAYS - 1];
    int64_t delay = delays[count < DELAYS ? count : DELAYS - 1];
    delay = before + delay > timeout ? timeout - before : delay;
    if (delay <= 0 || bp_cut_here())
        return 0;
    bp_pause(delay * 1000000);
    return !bp_cut_here();
}

typedef int busy_fn(void *, int);

/* Finds the function in the sqlite library that the module uses, which contains the original sqlite3_busy_timeout(). */
static int (*busy_handler(void))(void *, busy_fn *, void *)
{
    Dl_info info;
    void *library =
        dladdr((void *)(uintptr_t)bp_sqlite_timeout, &info) ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    void *found = library ? dlsym(library, "sqlite3_busy_handler") : NULL;
    if (library)
        dlclose(library);
    return (int (*)(void *, busy_fn *, void *))(uintptr_t)found;
}

int bp_sqlite_busy_timeout(void *database, int ms)
{
    int (*set)(void *, busy_fn *, void *) = ms > 0 ? busy_handler() : NULL;
    if (!set)
        return ((int (*)(void *, int))bp_sqlite_timeout)(database, ms);
    return set(database, busy, (void *)(intptr_t)ms);
}

int bp_sqlite_sleep(int ms)
{
    if (!bp_me || !bp_me->kinds)
        return ((int (*)(int))bp_sqlite_slept)(ms);
    if (!bp_cut_here())
        bp_pause((int64_t)ms * 1000000);
    bp_cut_here();
    return ms;
}

int bp_sqlite_backup_step(void *backup, int pages)
{
    bool cut = bp_me && bp_me->cut.is_set;
    return cut ? INTERRUPTED : ((int (*)(void *, int))bp_sqlite_step)(backup, pages);
}
