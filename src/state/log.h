/* SPDX-License-Identifier: MIT */
/* One line for the operator of the program: misuse, a thread that does not answer, an unread failure. From ordinary
 * code only. Never blocks: what standard error does not take at once is dropped. */
#ifndef BO_STATE_LOG_H
#define BO_STATE_LOG_H

#include <stdbool.h>

/* Write it now, by whatever bough_set_report() has set. */
void bo_report_line(const char *line);
/* The same to standard error, whatever was set. */
void bo_report_to_stderr(const char *line);
void bo_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
