/* SPDX-License-Identifier: MIT */
/* Where a function's frame ends: what its callers have on the stack lies above, what was left on the stack lies below. */
#ifndef BO_ARCH_FRAME_H
#define BO_ARCH_FRAME_H

#include <stdint.h>

/* On ppc64le and s390x a frame is addressed by its lower end, which is far below: a region that a jump has left would
 * lie in the frame of the function that looks for it, and count as the caller's. */
#if defined(__powerpc64__) || defined(__s390x__)
#define BO_FRAME() ((uintptr_t)__builtin_dwarf_cfa())
#else
#define BO_FRAME() ((uintptr_t)__builtin_frame_address(0))
#endif

#endif
