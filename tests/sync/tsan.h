/* SPDX-License-Identifier: MIT */
/* What the thread sanitizer can't do. */
#ifndef TEST_TSAN_H
#define TEST_TSAN_H

#include "harness.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define not_under_tsan(why) SKIP("thread sanitizer: %s", why)
#else
#define not_under_tsan(why) ((void)0)
#endif

#endif
