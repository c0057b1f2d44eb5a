/* SPDX-License-Identifier: MIT */
/*
 * The patcher: sets every slot of every loaded object to the wanted value. There is one operation, by which patching,
 * checking again, undoing and hooks all work:
 *
 *     wanted value (a hook, a stand-in, none)         present value              ->
 *     something                                       libc's, or not bound yet, or   patched; the old value is kept
 *                                                     the program's jump to it
 *     something else                                  the patch                      changed
 *     nothing                                         the patch                      restored
 *     something                                       anything else                  skipped: another's
 *
 * The patcher runs inside dl_iterate_phdr(), whose lock keeps objects from being unloaded meanwhile. dl_iterate_phdr()
 * also reports objects that are still being loaded, whose slots the loader may not have filled in: these hold neither a
 * libc function nor code of the object, and are left for the next pass.
 */
#ifndef BO_INTERPOSE_PATCH_H
#define BO_INTERPOSE_PATCH_H

#include <bough/interpose.h>
#include <stdint.h>
#include "interpose/object.h"

/* The wanted value of a slot. `function` 0: restore it. `real`: the value that may be replaced. `taken`: the value that
 * an unbound slot will get, if that is a function of other code; else 0. */
struct bo_wish {
    uintptr_t function, real, taken;
    bool hooked;
    const char *refused; /* why the slot is not to be replaced, for the report; NULL */
};

/* Called under the patcher's lock, inside dl_iterate_phdr(): it must not lock, allocate memory, or call dlsym(). */
typedef struct bo_wish bo_wish_fn(const struct bo_object *o, const char *symbol);

/* The lock for everything about patching; held across a fork. */
void bo_patch_lock(void);
void bo_patch_unlock(void);
/* Called with the lock held. Returns the number of patched slots, or -1: ENOMEM, or EACCES if a slot could not be
 * restored. */
int bo_patch_apply(bo_wish_fn *wish);
/* Is this the program's jump to the function, and not the function itself? */
bool bo_patch_is_jump(const char *symbol, uintptr_t address);
/* Is another pass needed? An object was loaded or unloaded since the last one; or, a few times, the loader was filling
 * in or binding a slot during it, which it does without a lock. */
bool bo_patch_stale(void);
/* Calls `visit` for each slot, and each object without slots, under this lock and the loader's. Returns how often. */
int bo_patch_visit(bo_wish_fn *wish, void (*visit)(void *context, const struct bough_slot *slot), void *context);

#endif
