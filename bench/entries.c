/* SPDX-License-Identifier: MIT */
/* The contenders of this build. */
#include "frame.h"

#include <string.h>

struct entry entries[MAX_ENTRIES];
size_t entry_count;

static void enter(const struct contender *contender, enum bench_group group)
{
    if (entry_count == MAX_ENTRIES)
        bench_die("more contenders than MAX_ENTRIES");
    entries[entry_count].contender = contender;
    entries[entry_count++].group = group;
}

static void take_part(const struct contender *list)
{
    for (; list->name; list++)
        for (enum bench_group g = 0; g < BENCH_GROUPS; g++)
            if (groups[g].group == list->group)
                enter(list, g);
}

void take_all(void)
{
    take_part(bench_bare);
    take_part(bench_wake);
#ifdef BENCH_HAVE_BOUGH
    take_part(bench_bough);
    take_part(bench_foreign);
    take_part(bench_recorded);
#endif
    take_part(bench_pthread);
#ifdef BENCH_HAVE_STD
    take_part(bench_std);
#endif
#ifdef BENCH_HAVE_GLIB
    take_part(bench_glib);
#endif
#ifdef BENCH_HAVE_BOOST
    take_part(bench_boost);
#endif
}

struct entry *find_entry(enum bench_group group, const char *name)
{
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].group == group && strcmp(entries[i].contender->name, name) == 0)
            return &entries[i];
    return NULL;
}
