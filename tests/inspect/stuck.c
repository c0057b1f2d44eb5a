/* SPDX-License-Identifier: MIT */
/* A library that is loaded for ever: its constructor is the test's. */
void stuck_here(void);

__attribute__((constructor)) static void at_load(void)
{
    stuck_here();
}
