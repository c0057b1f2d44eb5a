/* SPDX-License-Identifier: MIT */
/*
 * Recordings: what the threads of this process did, and when, in a file that survives a crash and SIGKILL. The command
 * `bough trace` shows it as text. docs/recording.md has what is recorded.
 *
 *   bough_trace_start(&(struct bough_trace_options){.file = "run.trace"});
 *   ...
 *   bough_trace_stop();
 *
 * These calls are optional: BOUGH_TRACE=run.trace in the environment records the program from its start to its end.
 */
#ifndef BOUGH_TRACE_H
#define BOUGH_TRACE_H

#include <stddef.h>
#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bough_trace_flags {
    BOUGH_TRACE_NO_ARGUMENTS = 1, /* leave out calls' arguments, reasons of interrupts, messages and places */
    BOUGH_TRACE_ALL = 2           /* calls and regions of any length: the threshold is 0 */
};

/*
 *   file        the file's path; "%p" in it is the process's id
 *   size        the file's largest size; 0: 64 MiB
 *   threshold   calls and regions that take less, in ns, are not recorded; 0: 1 ms
 *   flags       enum bough_trace_flags
 */
struct bough_trace_options {
    const char *file;
    size_t size;
    int64_t threshold;
    unsigned flags;
};

/*
 * Begin to record, in this process and in all that are forked from it from now on. The file is created with mode 0600.
 * An older recording is replaced; if other processes record to it at the moment, this one joins them, with their size
 * and threshold. Returns 0; -1 with EBUSY (a recording is on already), EINVAL, EEXIST (a file that is no recording),
 * ELOOP (a symbolic link), EPERM (another user's file, or one with a second name), EFBIG (RLIMIT_FSIZE, or a size below
 * 256 KiB), ENOSPC, or an error of open(), ftruncate() or mmap(). The options are not kept. [rule 48]
 */
BOUGH_API int bough_trace_start(const struct bough_trace_options *options);

/* End the recording. The file is complete. In another process that records to it, the recording goes on. Returns 0; -1
 * with ENOENT (nothing is recorded). [rule 48] */
BOUGH_API int bough_trace_stop(void);

/* Whether a recording is on: 1 or 0. [signal] [rule 48] */
BOUGH_API int bough_tracing(void);

/* Record that the calling thread has waited for its interpreter's lock since `since`, on CLOCK_MONOTONIC, until now. A
 * wait that took less than the threshold is left out. Keeps errno. For language bindings: Python's GIL. [signal]
 * [rule 48] */
BOUGH_API void bough_trace_lock(bough_time since);

#ifdef __cplusplus
}
#endif
#endif
