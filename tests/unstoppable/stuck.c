/* SPDX-License-Identifier: MIT */
/* A module that never gets loaded: its constructor stays, and with it the loader's lock. */
void stuck_in_place(void);

__attribute__((constructor)) static void at_load(void)
{
    stuck_in_place();
}
