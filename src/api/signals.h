/* SPDX-License-Identifier: MIT */
#ifndef BO_API_SIGNALS_H
#define BO_API_SIGNALS_H

/* The root was cleared: the Ctrl-C is handled, its machine begins anew. [signal] */
void bo_signals_handled(void);

#endif
