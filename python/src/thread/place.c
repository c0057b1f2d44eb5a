/* SPDX-License-Identifier: MIT */
/* The place of a thread's Python code: its innermost frame and instruction. */
#include "thread/thread.h"

#if PY_VERSION_HEX < 0x030C0000 /* no function returns a frame's instruction without the GIL */
#define Py_BUILD_CORE_MODULE 1
#include <internal/pycore_frame.h>
#endif

struct bp_place bp_place(const struct bp_thread *t)
{
    struct _PyInterpreterFrame *frame = bp_innermost(t->tstate);
    if (!frame)
        return (struct bp_place){0};
#if PY_VERSION_HEX >= 0x030C0000
    return (struct bp_place){frame, PyUnstable_InterpreterFrame_GetLasti(frame)};
#else
    return (struct bp_place){frame, (intptr_t)frame->prev_instr};
#endif
}

bool bp_is_cut_place(const struct bp_thread *t)
{
    struct bp_place now = bp_place(t);
    return now.frame == t->cut.place.frame && now.instruction == t->cut.place.instruction;
}
