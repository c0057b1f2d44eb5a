/* SPDX-License-Identifier: MIT */
/* A library whose loading does not end: the test provides its constructor. */
void stuck_here(void);

__attribute__((constructor)) static void at_load(void)
{
    stuck_here();
}
