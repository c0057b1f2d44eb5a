/* SPDX-License-Identifier: MIT */
#include "sync/wait_queue.h"

void bo_wait_queue_join(struct bough_line_ *line, struct bough_waiter_ *waiter)
{
    waiter->next = NULL;
    waiter->before = line->last;
    *(line->last ? &line->last->next : &line->first) = waiter;
    line->last = waiter;
}

static void unlink_waiter(struct bough_line_ *line, struct bough_waiter_ *waiter)
{
    *(waiter->before ? &waiter->before->next : &line->first) = waiter->next;
    *(waiter->next ? &waiter->next->before : &line->last) = waiter->before;
}

const _Atomic uint32_t *bo_wait_queue_call(struct bough_line_ *line, int error)
{
    struct bough_waiter_ *waiter = line->first;
    unlink_waiter(line, waiter);
    waiter->error = error;
    /* This is the last use of the ticket. The store pairs with the load in bo_wait_queue_wait(), after which the waiter
     * reads the other fields. */
    bo_store_release(&waiter->called, 1);
    return &waiter->called;
}

bool bo_wait_queue_leave(struct bough_line_ *line, struct bough_waiter_ *waiter, struct bo_lock *lock)
{
    bo_lock(lock);
    bool called = bo_load_relaxed(&waiter->called);
    if (!called)
        unlink_waiter(line, waiter);
    bo_unlock(lock);
    return called;
}

long bo_wait_queue_wait(struct bough_line_ *line, struct bough_waiter_ *waiter, struct bo_lock *lock,
                        bough_time deadline, struct bo_undo *undo)
{
    while (!bo_load_acquire(&waiter->called)) {
        bo_undo_push(undo);
        long r = bo_sync_wait(&waiter->called, 0, deadline);
        bo_undo_pop(undo);
        if (r != 0)
            return bo_wait_queue_leave(line, waiter, lock) ? 0 : r;
    }
    return 0;
}
