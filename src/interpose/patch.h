/* SPDX-License-Identifier: MIT */
/*
 * The patcher: sets every slot of every loaded object to the wanted value. There is one step only, so that
 * patching, looking again, undoing and hooks are all the same:
 *
 *     what is wanted (a hook, a stand-in, nothing)    what is there              ->
 *     something                                       libc's own, or not bound yet,  patched; the old value is kept
 *                                                     or the program's jump to it
 *     something else                                  the patch                      changed
 *     nothing                                         the patch                      restored
 *     something                                       anything else                  skipped: other code's
 *
 * It runs inside dl_iterate_phdr(), whose lock keeps objects from being unloaded meanwhile. An object that is being
 * loaded is seen there, too, before the loader has filled in its slots: their contents are then neither libc's
 * functions nor code of the object, and they are left for the next look.
 */
#ifndef BO_INTERPOSE_PATCH_H
#define BO_INTERPOSE_PATCH_H

#include <bough/interpose.h>
#include <stdint.h>
#include "interpose/object.h"

/* The wanted value of a slot. `function` 0: restore it. `real`: the value that may be replaced. `taken`: the value that
 * an unbound slot will get, if it is other code's; else 0. */
struct bo_wish {
    uintptr_t function, real, taken;
    bool hooked;
    const char *refused; /* why nothing is wanted after all, for the report; NULL */
};

/* Under the patcher's lock, inside dl_iterate_phdr(): no lock, no memory, no dlsym(). */
typedef struct bo_wish bo_wish_fn(const struct bo_object *o, const char *symbol);

/* The lock of all that concerns patching; kept over a fork. */
void bo_patch_lock(void);
void bo_patch_unlock(void);
/* Under the lock. What is patched afterwards, or -1: ENOMEM, or EACCES if what is to be put back can't be. */
int bo_patch_apply(bo_wish_fn *wish);
/* Is this not the function itself, but the program's jump to it? */
bool bo_patch_is_jump(const char *symbol, uintptr_t address);
/* Whether to look again: an object was loaded or unloaded since; or, a few times, the loader was filling in or binding
 * a slot at the time of the look, which it does without a lock. */
bool bo_patch_stale(void);
/* Each slot, or object without any, as it stands. Under the lock, and the loader's. Returns how many. */
int bo_patch_visit(bo_wish_fn *wish, void (*visit)(void *context, const struct bough_slot *slot), void *context);

#endif
