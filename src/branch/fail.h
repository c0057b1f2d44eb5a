/* SPDX-License-Identifier: MIT */
/* Failures by a C++ exception instead of bough_fail(). */
#ifndef BO_BRANCH_FAIL_H
#define BO_BRANCH_FAIL_H

#include <bough/branch.h>

/* Called when a C++ exception leaves the body of the caller's branch, at this block. */
void bo_failure_thrown(bough_branch *branch, const char *file, int line, const char *function);

#endif
