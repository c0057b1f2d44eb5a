/* SPDX-License-Identifier: MIT */
#include "arch/window.h"
#include "base/atomic.h"

#if BO_ARCH_WINDOW
/* The linker makes this table from all windows of the library. */
extern const struct bo_window_places __start_bo_windows[] __attribute__((visibility("hidden")));
extern const struct bo_window_places __stop_bo_windows[] __attribute__((visibility("hidden")));

BO_BARE static bool lies(uintptr_t pc, const int32_t *from, const int32_t *to)
{
    return pc >= bo_window_place(from) && pc < bo_window_place(to);
}

/* `end` counts as BO_AFTER even in bo_window_on_top(), where `out` is `end` and [end, out) is empty. */
BO_BARE static enum bo_where where_in(const struct bo_window_places *w, uintptr_t pc)
{
    if (lies(pc, &w->set, &w->begin))
        return BO_ENTERING;
    if (lies(pc, &w->begin, &w->end))
        return BO_BEFORE;
    if (pc == bo_window_place(&w->end) || lies(pc, &w->end, &w->out) || lies(pc, &w->cancel, &w->cancelled))
        return BO_AFTER;
    return BO_ELSEWHERE;
}

BO_BARE const struct bo_window_places *bo_window_at(uintptr_t pc, enum bo_where *where)
{
    for (const struct bo_window_places *w = __start_bo_windows; w < __stop_bo_windows; w++)
        if ((*where = where_in(w, pc)) != BO_ELSEWHERE)
            return w;
    *where = BO_ELSEWHERE;
    return 0;
}
#else
BO_BARE const struct bo_window_places *bo_window_at(uintptr_t pc, enum bo_where *where)
{
    (void)pc;
    *where = BO_ELSEWHERE;
    return 0;
}
#endif
