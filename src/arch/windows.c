/* SPDX-License-Identifier: MIT */
#include "arch/window.h"
#include "base/atomic.h"

#if BO_ARCH_WINDOW
/* Made by the linker from all windows of this library. */
extern const struct bo_window_places __start_bo_windows[] __attribute__((visibility("hidden")));
extern const struct bo_window_places __stop_bo_windows[] __attribute__((visibility("hidden")));

BO_BARE const struct bo_window_places *bo_window_at(uintptr_t pc)
{
    for (const struct bo_window_places *w = __start_bo_windows; w < __stop_bo_windows; w++)
        if (pc >= bo_window_place(&w->begin) && pc <= bo_window_place(&w->end))
            return w;
    return 0;
}
#else
BO_BARE const struct bo_window_places *bo_window_at(uintptr_t pc)
{
    (void)pc;
    return 0;
}
#endif
