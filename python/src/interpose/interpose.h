/* SPDX-License-Identifier: MIT */
/* Stand-ins for functions of the interpreter and of extension modules. */
#ifndef BP_INTERPOSE_H
#define BP_INTERPOSE_H

#include "base/state.h"

#include <bough/interpose.h>

/* ---- stand_in.c ----------------------------------------------------------------------------------------------- */

/* Stand-ins for the interpreter's functions in extension modules. */
PyThreadState *bp_save_thread(void);
void bp_restore_thread(PyThreadState *ts);
void bp_acquire_thread(PyThreadState *ts);
PyGILState_STATE bp_gilstate_ensure(void);
void bp_clear_error(void);
void bp_print_error(int set_variables);
void bp_print_error_as_ever(void);
void bp_write_unraisable(PyObject *where);

/* ---- interpose.c ---------------------------------------------------------------------------------------------- */

int bp_interpose(void);
int bp_interpose_undo(void);

/* ---- finalizers.c --------------------------------------------------------------------------------------------- */

/* Replace the finalizers of files, or put them back. -1 with an exception: some were not. */
int bp_replace_finalizers(bool on);

/* ---- waits.c -------------------------------------------------------------------------------------------------- */

/* Sleep; return early if an interrupt is due. */
void bp_pause(int64_t ns);

/* ---- sqlite.c ------------------------------------------------------------------------------------------------- */

/* Stand-ins for sqlite's functions in the module _sqlite3. */
int bp_sqlite_busy_timeout(void *database, int ms);
int bp_sqlite_sleep(int ms);
int bp_sqlite_backup_step(void *backup, int pages);
/* Their originals. */
extern bough_code *bp_sqlite_timeout, *bp_sqlite_slept, *bp_sqlite_step;

#endif
