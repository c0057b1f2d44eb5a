/* SPDX-License-Identifier: MIT */
#ifndef BO_INTERPOSE_RESOLVER_H
#define BO_INTERPOSE_RESOLVER_H

#include "interpose/wrapper.h"

/* gethostbyname() and its kin; getaddrinfo() and getnameinfo() are in core/calls.def. Ended by a row without a symbol. */
extern const struct bo_wrapper bo_resolver_wrappers[];

#endif
