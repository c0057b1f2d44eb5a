/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "request.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/plain.h"
#include "text.h"

int request_ceiling(bool all)
{
    return all ? RUNG_KILL : RUNG_FINAL;
}

static void put_found(FILE *out, const struct arena *a, const struct found *target)
{
    pid_t here = target->tid ? target_id_here(a, target->tid) : 0;
    fputs(target->branch ? "branch " : "thread ", out);
    put_text(out, *target->name ? target->name : "(unnamed)");
    if (here)
        fprintf(out, " (%d)", (int)here);
}

/* A pending request climbs as far as it was allowed to, and this request makes it climb. */
int request_reach(FILE *out, const struct arena *a, const struct found *target, int ceiling)
{
    struct bo_record r;
    int stands = arena_record(a, target->branch, bo_handle_index(target->handle), BOUGH_OPERATOR, &r)
                     ? bo_load_relaxed(&r.ceiling)
                     : 0;
    if (stands > ceiling)
        fprintf(out, "an earlier request stands at rung %d and can climb to rung %d: this one makes it climb\n",
                bo_load_relaxed(&r.rung), stands);
    return stands > ceiling ? stands : ceiling;
}

void request_prospect(FILE *out, const struct arena *a, const struct found *target, int reach)
{
    put_found(out, a, target);
    fputs(" is to stop. If it does not, ", out);
    if (reach >= RUNG_EXIT)
        fprintf(out, "process %d can be ended, with all its threads, when its grace period is over", (int)a->pid);
    else if (reach == RUNG_CLOSE)
        fputs("its threads can be frozen permanently and their resources closed", out);
    else
        fputs("that is reported, and the process continues", out);
    fprintf(out, " (up to rung %d).\n", reach);
}

static bool refused(struct arena *a, int error)
{
    if (error == ESRCH)
        snprintf(a->why, sizeof a->why, "the target has just ended");
    else
        snprintf(a->why, sizeof a->why, "process %d refuses: %s", (int)a->pid, strerror(error));
    return false;
}

bool request_post(struct arena *a, const struct found *target, const char *reason, int rung, int ceiling,
                  struct bo_request *l)
{
    *l = (struct bo_request){.kind = BO_ASK_INTERRUPT,
                             .rung = (uint32_t)rung,
                             .ceiling = (uint32_t)ceiling,
                             .from = a->apart ? 0 : getpid(), /* the command has no id in a nested namespace */
                             .target = target->handle};
    memcpy(l->reason, reason, bo_cut(reason, sizeof l->reason - 1));
    int box = mailbox_send(a, l);
    if (box < 0) {
        size_t used = strlen(a->why);
        snprintf(a->why + used, sizeof a->why - used, "; `bough tree %d` shows it even so", (int)a->pid);
        return false;
    }
    mailbox_done(a, box);
    return l->error ? refused(a, l->error) : true;
}
