/* SPDX-License-Identifier: MIT */
/* Loads libraries that were not written for bough (victim.c), and tests whether their calls are interrupted. */
#ifndef INTERPOSE_VICTIMS_H
#define INTERPOSE_VICTIMS_H

#include <bough.h>
#include <dlfcn.h>
#include <stdbool.h>
#include "harness.h"

typedef ssize_t read_fn(int fd, void *buffer, size_t size);

static inline void path_of(const char *style, char path[512])
{
    snprintf(path, 512, "%s/libvictim-%s.so", VICTIMS, style);
}

static inline void *load(const char *style)
{
    char path[512];
    path_of(style, path);
    void *object = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (!object)
        FAIL("%s", dlerror());
    return object;
}

static inline read_fn *reader_of(void *object)
{
    return (read_fn *)(uintptr_t)dlsym(object, "victim_read");
}

/* Whether the object is patched: the test calls its function to find out. */
static inline bool is_cut(read_fn *reads)
{
    int fds[2];
    char byte;
    ssize_t n = 0;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1); /* the read returns in any case */
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
        n = reads(fds[0], &byte, 1);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    close(fds[0]);
    close(fds[1]);
    return n < 0;
}

/* ---- the report's lines about an object -------------------------------------------------------------------------- */

struct looked_for {
    const char *object, *symbol;
    enum bough_slot_state state;
    char why[300];
    uintptr_t *at;
    int count;
};

static inline void look(void *context, const struct bough_slot *slot)
{
    struct looked_for *l = context;
    if (!slot->symbol || !strstr(slot->object, l->object) || strcmp(slot->symbol, l->symbol) != 0)
        return;
    l->state = slot->state;
    l->at = (uintptr_t *)slot->at;
    snprintf(l->why, sizeof l->why, "%s", slot->why ? slot->why : "");
    l->count++;
}

static inline struct looked_for slot_of(const char *object, const char *symbol)
{
    struct looked_for l = {.object = object, .symbol = symbol};
    CHECK(bough_interposed(look, &l) > 0);
    return l;
}

#endif
