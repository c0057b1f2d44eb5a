/* SPDX-License-Identifier: MIT */
/* bough._bough: the C side of the package. It includes <bough.h> and no internal header of the library. */
#include "thread/thread.h"
#include "regions/regions.h"
#include "async/async.h"
#include "branch/branch.h"
#include "api/module.h"

static int add_methods(PyObject *module)
{
    static PyMethodDef *const lists[] = {
        bp_thread_methods,    bp_exception_methods,   bp_interpose_methods,    bp_post_methods,
        bp_async_exc_methods, bp_branch_methods,      bp_child_object_methods, bp_branch_object_methods,
        bp_ladder_methods,    bp_signal_methods,      bp_report_methods,       bp_trace_methods,
        bp_lock_methods,      bp_judge_methods,       bp_callback_methods,     bp_loop_methods,
        bp_site_methods,      bp_interpreter_methods, bp_stranger_methods,     bp_around_methods,
        bp_stack_methods,     bp_status_methods,      bp_window_methods,       bp_open_branch_methods,
        bp_fork_methods,      bp_rearm_methods,       bp_turn_methods,         bp_replaced_methods,
        bp_point_methods,     bp_reason_methods,      bp_cut_methods,          bp_kind_methods,
        bp_scope_methods,     bp_scope_block_methods, bp_scoped_methods,       bp_pool_future_methods,
        bp_watching_methods,  bp_deadman_methods,     bp_program_methods};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (PyModule_AddFunctions(module, lists[i]) != 0)
            return -1;
    return 0;
}

/* Makes messages and help() show public functions by their public names, such as bough.branch(). */
static int name_public_functions(PyObject *module)
{
    static const char *const names[] = {
        "branch",        "check_interrupt", "cleanup", "clear_interrupt",        "critical_section",
        "current_child", "fail_after",      "fail_at", "interruption_requested", "library_version",
        "move_on_after", "move_on_at",      "reason"};
    PyObject *package = PyUnicode_InternFromString("bough");
    int error = package ? 0 : -1;
    for (size_t i = 0; error == 0 && i < sizeof names / sizeof *names; i++) {
        PyObject *function = PyObject_GetAttrString(module, names[i]);
        error = function ? PyObject_SetAttrString(function, "__module__", package) : -1;
        Py_XDECREF(function);
    }
    Py_XDECREF(package);
    return error;
}

/* The patches apply to the whole process, so only one interpreter in it can use the package. */
static int claim(void)
{
    PyInterpreterState *mine = PyInterpreterState_Get();
    if (mine != PyInterpreterState_Main())
        return PyErr_SetString(PyExc_ImportError,
                               "bough does not support subinterpreters: import it in the main interpreter"),
               -1;
    bp.interpreter = mine;
    return 0;
}

/* The GIL protects the package's state. A free-threaded interpreter enables the GIL for this module, unless the user
 * has disabled the GIL explicitly. */
static int has_lock(void)
{
#ifdef Py_GIL_DISABLED
    PyObject *ask = PySys_GetObject("_is_gil_enabled"),
             *answer = ask ? PyObject_CallNoArgs(ask) : NULL; /* borrowed, new */
    int yes = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (yes > 0)
        return 0;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ImportError, "bough needs the GIL, which PYTHON_GIL=0 or -X gil=0 keeps disabled: "
                                           "start this interpreter without them");
    return -1;
#else
    return 0;
#endif
}

static int execute(PyObject *module)
{
    if (has_lock() != 0 || claim() != 0 || bp_fork_init() != 0 || bp_async_exc_init() != 0)
        return -1;
    if (add_methods(module) != 0 || bp_regions_init(module) != 0 || bp_branch_init(module) != 0 ||
        bp_child_init(module) != 0 || bp_scope_init(module) != 0 || bp_record_init(module) != 0 ||
        bp_pool_call_init(module) != 0 || bp_pool_future_init(module) != 0 || bp_pool_submit_init(module) != 0)
        return -1;
    return name_public_functions(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_mod_gil /* the GIL protects the package's state, see state.h */
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "bough._bough",
    .m_doc = PyDoc_STR("The C side of bough. Its functions are for the package's Python files."),
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__bough(void);
PyMODINIT_FUNC PyInit__bough(void)
{
    return PyModuleDef_Init(&module_def);
}
