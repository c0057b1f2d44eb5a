/* SPDX-License-Identifier: MIT */
/* The end of a function's frame: the frames of its callers lie above, those of functions that were left lie below. */
#ifndef BO_ARCH_FRAME_H
#define BO_ARCH_FRAME_H

#include <stdint.h>

/* On ppc64le and s390x the frame address is the frame's lower end, which is far below: a region that a jump has left
 * would lie in the frame of the function that looks for it, and count as a region of the caller. */
#if defined(__powerpc64__) || defined(__s390x__)
#define BO_FRAME() ((uintptr_t)__builtin_dwarf_cfa())
#else
#define BO_FRAME() ((uintptr_t)__builtin_frame_address(0))
#endif

#endif
