/* SPDX-License-Identifier: MIT */
/*
 * Name resolution that can be interrupted.
 *
 * libc resolves names inside itself, through modules (NSS) that block where no window of ours is. So a
 * helper thread of the library makes the call, and the caller waits for it interruptibly.
 *
 * What a drop-in can't be: the helper has its own `_res` (res_init), locale and, for a thread that left
 * its network or mount namespace, the namespace of the thread that first asked.
 */
#ifndef BO_API_RESOLVE_H
#define BO_API_RESOLVE_H

#include <netdb.h>
#include <sys/socket.h>
#include <bough/types.h>

/* As getaddrinfo() and getnameinfo(). Cut: EAI_SYSTEM, with errno ECANCELED. No helper to be had: EAI_AGAIN;
 * no memory: EAI_MEMORY. What libc answers without asking anybody is answered at once. [point] */
BOUGH_API int bough_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                struct addrinfo **result);
BOUGH_API int bough_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                                char *service, socklen_t service_size, int flags);

#endif
