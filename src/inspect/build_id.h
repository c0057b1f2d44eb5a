/* SPDX-License-Identifier: MIT */
/* The build id of a loaded file, from its notes in memory. By it a reader of the dump checks whether the file on disk
 * is still the loaded one. */
#ifndef BO_INSPECT_BUILD_ID_H
#define BO_INSPECT_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

enum { BO_BUILD_ID = 32 };

/* Copies the build id of the file whose first mapping begins at `base`. Returns its length; 0: the file has none,
 * or a longer one. */
size_t bo_build_id(uintptr_t base, unsigned char id[BO_BUILD_ID]);

#endif
