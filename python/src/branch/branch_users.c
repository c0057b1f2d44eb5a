/* SPDX-License-Identifier: MIT */
/* Frees a branch's memory after its last user, and counts forks: a forked process has none of the branch's children. */
#include "branch/branch.h"

#include <pthread.h>

static unsigned forks; /* between the first process and this one */

void bp_branch_release(struct bp_branch *b)
{
    if (__atomic_sub_fetch((int *)&b->users, 1, __ATOMIC_SEQ_CST) == 0)
        PyMem_RawFree(b);
}

void bp_branch_here(struct bp_branch *b)
{
    if (b->forks != forks) {
        b->forks = forks;
        __atomic_store_n((uint32_t *)&b->running, 0, __ATOMIC_SEQ_CST);
    }
}

unsigned bp_forks(void)
{
    return forks;
}

static void count_fork(void)
{
    forks++;
}

int bp_count_forks(void)
{
    static bool registered;
    if (!registered && pthread_atfork(NULL, NULL, count_fork) != 0)
        return (void)PyErr_NoMemory(), -1;
    registered = true;
    return 0;
}
