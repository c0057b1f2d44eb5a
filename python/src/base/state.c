/* SPDX-License-Identifier: MIT */
/* The state that all files share: the process's, and the calling thread's. */
#include "base/state.h"

struct bp_process bp;
__thread struct bp_thread *bp_me __attribute__((tls_model("initial-exec")));
