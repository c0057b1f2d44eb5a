/* SPDX-License-Identifier: MIT */
#include "state/undo.h"

BO_TLS struct bo_undo *bo_undo;

void bo_undo_until(const struct bo_undo *until)
{
    while (bo_undo && bo_undo != until) {
        struct bo_undo *undo = bo_undo;
        bo_undo = undo->outer;
        undo->run(undo);
    }
}
