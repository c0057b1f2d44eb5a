/* SPDX-License-Identifier: MIT */
#ifndef BO_SEE_DUMP_H
#define BO_SEE_DUMP_H
enum { BO_DUMP_FATAL = 1 };
int bo_dump_because(int fd, unsigned flags, const char *why);
#endif
