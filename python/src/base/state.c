/* SPDX-License-Identifier: MIT */
/* Shared by all files: the process's state, and the calling thread's. */
#include "base/state.h"

struct bp_process bp;
__thread struct bp_thread *bp_me __attribute__((tls_model("initial-exec")));
