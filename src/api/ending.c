/* SPDX-License-Identifier: MIT */
/* How the calling thread's last branch ended, kept until the next one ends. */
#include <stdlib.h>
#include <string.h>
#include "api/branch.h"
#include "core/self.h"

struct ending {
    struct bough_ending face;
    struct bo_failure *failure;
    struct bo_child *children;
    bool read;
    char label[BO_NAME];
};

static BO_TLS struct ending *last;

/* ---- keeping --------------------------------------------------------------------------------------------- */

/* The first failure is primary, the others are attached (rule 26). */
static struct bo_failure *tree_of(struct bo_family *f)
{
    struct bo_failure *first = f->failures, *next;
    for (struct bo_failure *other = first ? first->next : NULL; other; other = next) {
        next = other->next;
        bo_failure_attach(first, other);
    }
    return first;
}

static void free_children(struct bo_child *c)
{
    while (c) {
        struct bo_child *next = c->next;
        bo_child_free(c);
        c = next;
    }
}

/* Only for branches that collect: the others keep the children that failed for bough_outcome() while open. */
static void keep_children(struct ending *e, struct bo_family *f)
{
    size_t count = 0, i = 0;
    for (struct bo_child *c = f->children; c; c = c->next)
        count++;
    struct bough_child_result *list = f->collect && count ? calloc(count, sizeof *list) : NULL;
    if (!list) {
        free_children(f->children);
        return;
    }
    for (struct bo_child *c = f->children; c; c = c->next, i++)
        list[i] = (struct bough_child_result){(const bough_thread *)(uintptr_t)c->id, c->name, c->outcome, c->result};
    e->children = f->children;
    e->face.children = list;
    e->face.count = count;
}

static struct ending *renew(void)
{
    struct bo_failure *unread = bo_ending_unread();
    bo_ending_drop();
    last = calloc(1, sizeof *last);
    if (last)
        last->failure = unread; /* it goes into the next one, as an attachment */
    else
        bo_failure_free(unread);
    return last;
}

void bo_ending_keep(struct bo_family *family, const char *label, int result, bool interrupted)
{
    struct ending *e = renew();
    struct bo_failure *failure = tree_of(family);
    if (!e) {
        bo_failure_free(failure);
        free_children(family->children);
        return;
    }
    if (failure)
        bo_failure_attach(failure, e->failure);
    else
        failure = e->failure;
    e->failure = failure;
    memcpy(e->label, label, BO_NAME);
    keep_children(e, family);
    e->read = family->supervisor && !family->body_failed; /* isolated: nobody's failure */
    e->face.result = result;
    e->face.interrupted = interrupted;
    e->face.label = e->label;
    e->face.error = failure ? &failure->face : NULL;
    e->face.tally = family->tally;
}

void bo_ending_drop(void)
{
    if (!last)
        return;
    bo_failure_free(last->failure);
    free_children(last->children);
    free((void *)(uintptr_t)last->face.children);
    free(last);
    last = NULL;
}

/* ---- taking ---------------------------------------------------------------------------------------------- */

static struct bo_failure *take(void)
{
    struct bo_failure *f = last->failure;
    last->failure = NULL;
    last->face.error = NULL;
    return f;
}

struct bo_failure *bo_ending_unread(void)
{
    return last && !last->read && last->failure ? take() : NULL;
}

struct bo_failure *bo_ending_take(int code)
{
    if (last && last->failure && last->face.result == code)
        return take();
    return bo_ending_unread();
}

/* ---- reading --------------------------------------------------------------------------------------------- */

const struct bough_ending *bough_last(void)
{
    static const struct bough_ending none;
    if (!last)
        return &none;
    last->read = true;
    return &last->face;
}

int bough_last_result(void)
{
    return bough_last()->result;
}
