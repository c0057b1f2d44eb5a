/* SPDX-License-Identifier: MIT */
#include "base/hook.h"

#if BO_HOOKS
#define BO_HOOK_DEFINE(name) void (*volatile bo_hook_##name)(void);
BO_HOOKS_LIST(BO_HOOK_DEFINE)
#else
typedef int bo_no_hooks;
#endif
