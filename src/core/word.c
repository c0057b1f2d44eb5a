/* SPDX-License-Identifier: MIT */
#include "core/word.h"

#ifndef NDEBUG
#include <assert.h>

void bo_word_check(uint64_t w)
{
    if (!(w & BO_LIVE)) {
        assert(((uint32_t)w & ~(uint32_t)(BO_UNDER_WAY | BO_EVENT_SENT)) == 0);
        return;
    }
    assert(!(w & BO_DUE) || (w & BO_PENDING));
    assert(!(w & (BO_FOREIGN_DUE | BO_SILENT_DUE)) || (w & BO_DUE));
    assert(!(w & BO_REPEAT) || (w & BO_IN));
    assert(!(w & BO_EVENT_SENT) || (w & BO_EVENT));
    assert(!(w & BO_TIMED) || (w & BO_MASKED));
    assert(!(w & BO_SLOW) || !(w & (BO_IN | BO_ASYNC | BO_CLOSABLE | BO_MASKED | BO_EVENT)));
}
#else
typedef int bo_no_word_check;
#endif
