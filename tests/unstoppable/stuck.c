/* SPDX-License-Identifier: MIT */
/* A module whose loading does not end: its constructor does not return, so the loader's lock stays held. */
void stuck_in_place(void);

__attribute__((constructor)) static void at_load(void)
{
    stuck_in_place();
}
