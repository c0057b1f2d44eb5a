/* SPDX-License-Identifier: MIT */
/* The other way to fail than bough_fail(). */
#ifndef BO_BRANCH_FAIL_H
#define BO_BRANCH_FAIL_H

#include <bough/branch.h>

/* The body of the caller's branch is left by a C++ exception, at this block. */
void bo_failure_thrown(bough_branch *branch, const char *file, int line, const char *function);

#endif
