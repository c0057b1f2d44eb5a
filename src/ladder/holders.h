/* SPDX-License-Identifier: MIT */
/* The threads that delay an incident or an exit, the likely cause first (rule 40). */
#ifndef BO_LADDER_HOLDERS_H
#define BO_LADDER_HOLDERS_H

#include "state/arena.h"

enum { BO_HOLDERS_NAMED = 8, BO_PLACE = 320 };

/* A thread, with the name that it had when it was added, because later its slot may have another user. */
struct bo_holder {
    uint32_t index, generation;
    int rank;
    pid_t tid;
    char name[BO_NAME];
};

/* The number of threads added, and the few most likely causes among them, in order. Initialised to {0}. */
struct bo_holders {
    unsigned count, looks;
    struct bo_holder first[BO_HOLDERS_NAMED];
};

/* Add a thread, with its word as it was read; nothing if it has ended since then. */
void bo_holders_add(struct bo_holders *h, const struct bo_thread *t, uint64_t word);
/* Write "thread 17 (reader) is running; and 2 more: 18 (writer), 16 (main)": the threads that have not ended since they
 * were added, as far as that was examined. Returns their number; 0, with "": none. */
unsigned bo_holders_put(const struct bo_holders *h, char *text, size_t size);

/* Write the threads that have not ended, the likely cause first, and where that thread is stuck: "thread 17 (reader) is
 * in ...; and 2 more: ..."; "" if there is none. */
void bo_find_place(const struct bo_target *target, const struct bo_record *r, char *text, size_t size);

#endif
