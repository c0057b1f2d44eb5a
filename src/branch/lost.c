/* SPDX-License-Identifier: MIT */
#include "branch/lost.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "branch/child.h"
#include "branch/end.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "branch/worker.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "sync/mutex.h"
#include "thread/retire.h"

/* Lists that only the thread itself can find: they are in its thread-local memory, which a lost thread keeps. */
struct bo_left {
    struct bough_mutex **mutexes; /* the mutexes that the thread holds */
    struct bo_endings *unread;    /* its unread failures */
};

static BO_TLS struct bo_left left_by_me;

void bo_lost_prepare(struct bo_thread *t)
{
    left_by_me = (struct bo_left){bo_mutexes_mine(), bo_endings_mine()};
    t->left = &left_by_me;
}

/* A failure that describes the loss, with the thread's unread failures attached. NULL: there was no memory. */
static struct bo_failure *evidence_of_loss(struct bo_thread *t, const char *where)
{
    char message[256];
    struct bo_failure *unread = bo_endings_left(t->left->unread);
    snprintf(message, sizeof message, "it was frozen %s and is lost", where);
    struct bo_failure *f = bo_failure_of(t, EOWNERDEAD, message, BO_NONE);
    if (!f)
        return unread;
    bo_failure_attach(f, unread);
    return f;
}

/* The failure of a thread outside of any branch has no reader, so it is dropped; the report has the thread's name. */
static void account_for_lost(struct bo_thread *t, struct bo_failure *f)
{
    struct bo_child *c = t->child;
    if (!c) {
        bo_failure_free(f);
        return;
    }
    t->child = NULL;
    t->worker->child = NULL;
    bo_child_keep_name(c, t);
    bo_child_lost(c, f);
}

void bo_thread_lost(struct bo_thread *t, const char *where)
{
    uint64_t branch = t->child ? t->child->branch : 0;
    bo_report(
        "thread %d (%s) was frozen %s and is published as lost: its stack stays allocated, its branches continue without it",
        (int)bo_load_relaxed(&t->tid), t->t.name, where);
    bo_mutexes_orphan(t->left->mutexes);
    bo_branch_orphan(t);
    account_for_lost(t, evidence_of_loss(t, where));
    bo_retire_lost(t);
    bo_wake_joiners(t);
    if (branch)
        bo_child_gone(branch);
}
