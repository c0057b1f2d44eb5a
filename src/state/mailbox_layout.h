/* SPDX-License-Identifier: MIT */
/*
 * The mailbox: requests of other processes (the command `bough`), and the answers. It is a separate file,
 * "/memfd:bough-mail (deleted)", to which the processes that can read it may also write. So all of its contents are
 * checked, and it has no pointers. Its length is sealed, so that no access to it can fail. The ticker's thread reads it
 * (inspect/mailbox.c); the writer sends the ticker's signal to that thread.
 *
 *      FREE --writer--> WRITING --writer--> SENT --ticker--> READ --ticker or helper--> ANSWERED
 *        ^                  (by an exchange: there is no lock)                             |
 *        +------------------ the writer, or the ticker after a time without a change ------+
 */
#ifndef BO_STATE_MAILBOX_LAYOUT_H
#define BO_STATE_MAILBOX_LAYOUT_H

#include <bough/interrupt.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/atomic.h"

enum bo_request_state { BO_REQUEST_FREE, BO_REQUEST_WRITING, BO_REQUEST_SENT, BO_REQUEST_READ, BO_REQUEST_ANSWERED };
enum bo_request_kind { BO_ASK_INTERRUPT = 1, BO_ASK_DUMP, BO_ASK_RECORDING, BO_ASK_RECORDING_END };

struct bo_request {
    _Atomic uint32_t state;
    uint32_t kind, rung;
    uint32_t ceiling; /* the incident's highest rung (rule 38); 0: the target's ceiling */
    pid_t from;       /* the sender's claim; 0: it is in another PID namespace */
    uint64_t target;  /* a handle */
    char reason[BOUGH_REASON_MAX + 1];
    uint32_t recording_flags; /* enum bo_trace_flags */
    uint64_t recording_size;  /* in bytes */
    int64_t threshold;        /* of a recording, in ns */
    _Atomic uint32_t work;    /* increases while the process works on the request: the writer waits longer */
    /* The answer. */
    int32_t error; /* an error number; 0: done */
    int32_t fd;    /* of this process: a file with the dump, or the recording */
    uint64_t post; /* the post's two parts */
    uint32_t serial;
};

#define BO_MAIL_MAGIC "bough mail 4"
enum { BO_REQUESTS = 8 };
/* The signal that the writer sends to the ticker: the fallback signal (wake/fallback_signal.h). */
enum { BO_MAIL_SIGNAL = 32 };

struct bo_mailbox {
    char magic[16];
    uint32_t size;             /* of struct bo_mailbox */
    _Atomic uint32_t requests; /* how many were sent; the ticker reads the mailbox when this number changes */
    struct bo_request request[BO_REQUESTS];
};

#endif
