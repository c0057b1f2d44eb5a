/* SPDX-License-Identifier: MIT */
/* The report about patched slots. */
#ifndef BO_INTERPOSE_REPORT_H
#define BO_INTERPOSE_REPORT_H

#include <bough/interpose.h>

/* As bough_interposed(), but called with the locks of the patcher and the loader held. In interpose.c. */
int bo_interpose_visit(void (*visit)(void *context, const struct bough_slot *slot), void *context);

#endif
