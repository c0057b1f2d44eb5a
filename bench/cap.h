/* SPDX-License-Identifier: MIT */
/* The number of threads that this machine can have. */
#ifndef BENCH_CAP_H
#define BENCH_CAP_H

enum { MOST = 30000 };

struct cap {
    long threads;
    char why[96]; /* the limit, if that is below MOST */
};

struct cap find_cap(void);

#endif
