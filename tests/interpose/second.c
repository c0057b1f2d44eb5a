/* SPDX-License-Identifier: MIT */
/* bough is the second interposer: a preloaded library (first.c) already replaces read(). It keeps read(), and the
 * report names it. */
#include <poll.h>
#include "victims.h"

static _Atomic int *first_reads(void)
{
    return dlsym(RTLD_DEFAULT, "first_reads");
}

/* Whether the loader has already bound the slot to the first library, or will bind it later. */
static void must_keep(const char *style)
{
    char name[64];
    snprintf(name, sizeof name, "libvictim-%s", style);
    void *object = load(style);
    CHECK(bough_interpose(NULL, 0) > 0);
    struct looked_for l = slot_of(name, "read");
    CHECK_EQ(l.state, BOUGH_SLOT_SKIPPED);
    CHECK(strstr(l.why, "taken by ") && strstr(l.why, "first"));
    int before = *first_reads();
    CHECK_EQ(is_cut(reader_of(object)), false);
    CHECK_EQ(*first_reads(), before + 1);
    dlclose(object);
}

TEST(the_first_interposer_keeps_its_function_and_is_named)
{
    CHECK(first_reads() != NULL);
    must_keep("now");
    must_keep("noplt");
    must_keep("lazy");
    must_keep("partial");
}

TEST(other_functions_are_replaced)
{
    void *object = load("now");
    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK_EQ(slot_of("libvictim-now", "poll").state, BOUGH_SLOT_INTERPOSED);
    int (*polls)(struct pollfd *, nfds_t, int) =
        (int (*)(struct pollfd *, nfds_t, int))(uintptr_t)dlsym(object, "victim_poll");
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
        CHECK_ERR(polls(&(struct pollfd){t_silent(), POLLIN, 0}, 1, 1000), EINTR);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    CHECK_EQ(bough_interpose_undo(), 0);
    dlclose(object);
}

TEST(a_hook_does_not_replace_the_first_interposers_function)
{
    void *object = load("now");
    bough_code *original = NULL;
    bough_hook_t *hook = bough_hook("libvictim-now.so", "read", (bough_code *)(uintptr_t)dlsym, &original);
    CHECK(hook);
    CHECK_EQ(slot_of("libvictim-now", "read").state, BOUGH_SLOT_SKIPPED);
    CHECK_EQ(bough_unhook(hook), 0);
    dlclose(object);
}
