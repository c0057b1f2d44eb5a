/* SPDX-License-Identifier: MIT */
/* Reports one line to the program's operator: misuse, a thread that does not answer, an unread failure. Called in
 * ordinary code only. Never blocks, and raises no signal: a line that standard error does not accept at once is
 * dropped. */
#ifndef BO_STATE_LOG_H
#define BO_STATE_LOG_H

#include <stdbool.h>

/* Report the line now, by the function that bough_set_report() has set. */
void bo_report_line(const char *line);
/* Report the line to standard error, even if bough_set_report() has set a function. */
void bo_report_to_stderr(const char *line);
void bo_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
