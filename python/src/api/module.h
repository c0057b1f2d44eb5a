/* SPDX-License-Identifier: MIT */
/* The parts that module.c collects: lists of methods, each in the file of that name, and functions that it calls. */
#ifndef BP_MODULE_H
#define BP_MODULE_H

#include "base/state.h"

extern PyMethodDef bp_thread_methods[], bp_exception_methods[], bp_interpose_methods[], bp_post_methods[],
    bp_async_exc_methods[], bp_branch_methods[], bp_child_object_methods[], bp_branch_object_methods[],
    bp_pool_future_methods[], bp_ladder_methods[], bp_signal_methods[], bp_site_methods[], bp_report_methods[],
    bp_trace_methods[], bp_lock_methods[], bp_judge_methods[], bp_callback_methods[], bp_loop_methods[],
    bp_stranger_methods[], bp_interpreter_methods[], bp_around_methods[], bp_stack_methods[], bp_status_methods[],
    bp_window_methods[], bp_open_branch_methods[], bp_fork_methods[], bp_rearm_methods[], bp_replaced_methods[],
    bp_point_methods[], bp_reason_methods[], bp_cut_methods[], bp_kind_methods[], bp_scope_methods[],
    bp_scope_block_methods[], bp_scoped_methods[], bp_turn_methods[], bp_watching_methods[], bp_deadman_methods[],
    bp_program_methods[];

/* Called once, by module.c. -1 with an exception. */
int bp_fork_init(void);
int bp_pool_call_init(PyObject *module);
int bp_pool_future_init(PyObject *module);
int bp_pool_submit_init(PyObject *module);

#endif
