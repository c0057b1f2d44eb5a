/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for the older functions that look up hosts. They block inside libc, so a helper calls the reentrant
 * function with a buffer that it allocates, and the result is moved to the caller's memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "calls/blocking_pool.h"
#include "interpose/outcome.h"
#include "interpose/wrapper.h"
#include "thread/call.h"

#ifdef __GLIBC__

enum { ADDRESS_MAX = 64, FIRST_ROOM = 1024, MOST_ROOM = 1 << 20 };

/* A query by name if there is one, else by address. `family` 0: as gethostbyname(). */
struct look_up {
    struct bo_blocking_job base;
    char *name;
    char address[ADDRESS_MAX];
    socklen_t length;
    int family;
    int code, host_error; /* the results of the call */
    bool found;
    struct hostent host;
    size_t room;
    char buffer[]; /* the data that `host` points into, then the name */
};

static void run_look_up(struct bo_blocking_job *base)
{
    struct look_up *l = (struct look_up *)base;
    struct hostent *result = NULL;
    if (!l->name)
        l->code =
            gethostbyaddr_r(l->address, l->length, l->family, &l->host, l->buffer, l->room, &result, &l->host_error);
    else if (l->family)
        l->code = gethostbyname2_r(l->name, l->family, &l->host, l->buffer, l->room, &result, &l->host_error);
    else
        l->code = gethostbyname_r(l->name, &l->host, l->buffer, l->room, &result, &l->host_error);
    l->found = result != NULL;
}

static void free_look_up(struct bo_blocking_job *base)
{
    free(base);
}

static struct look_up *look_up_new(const char *name, const void *address, socklen_t length, int family, size_t room)
{
    size_t name_size = name ? strlen(name) + 1 : 0;
    struct look_up *l = calloc(1, sizeof *l + room + name_size);
    if (!l)
        return NULL;
    l->base.run = run_look_up;
    l->base.free = free_look_up;
    l->family = family;
    l->room = room;
    l->length = length < ADDRESS_MAX ? length : ADDRESS_MAX;
    if (address)
        memcpy(l->address, address, l->length);
    if (name)
        l->name = memcpy(l->buffer + room, name, name_size);
    return l;
}

/* ---- moving a result ----------------------------------------------------------------------------------- */

static void *moved(const void *pointer, const char *from, char *to)
{
    return pointer ? to + ((const char *)pointer - from) : NULL;
}

static char **moved_list(char **list, const char *from, char *to)
{
    char **new = moved(list, from, to);
    for (size_t i = 0; new &&new[i]; i++)
        new[i] = moved(new[i], from, to);
    return new;
}

/* Everything that a result points to is in the buffer that was passed with it. */
static void move_host(const struct look_up *l, struct hostent *host, char *buffer)
{
    memcpy(buffer, l->buffer, l->room);
    *host = l->host;
    host->h_name = moved(host->h_name, l->buffer, buffer);
    host->h_aliases = moved_list(host->h_aliases, l->buffer, buffer);
    host->h_addr_list = moved_list(host->h_addr_list, l->buffer, buffer);
}

/* ---- the reentrant functions ---------------------------------------------------------------------------------- */

struct place {
    struct hostent *host;
    char *buffer;
    size_t room;
    struct hostent **result;
    int *host_error;
};

static int finish_look_up(struct look_up *l, const struct place *place)
{
    int code = l->code;
    *place->host_error = l->host_error;
    if (l->found) {
        move_host(l, place->host, place->buffer);
        *place->result = place->host;
    }
    errno = l->base.error;
    free(l);
    return code;
}

static int give_look_up_up(const struct place *place, int error)
{
    *place->host_error = NETDB_INTERNAL;
    return errno = error;
}

/* Describes the stand-in that uses this macro as the failed call: the return address is the stand-in's caller. */
#define HERE(name) ((const struct bo_site){(name), __builtin_return_address(0), BO_AT_ONCE, bo_on_nothing()})

/* Stores the result, or returns the error number that all of these functions return. */
static int look_up(struct bo_thread *t, const struct bo_site *site, struct look_up *l, const struct place *place)
{
    *place->result = NULL;
    if (!l)
        return give_look_up_up(place, ENOMEM);
    bo_foreign_enter(t, BO_FOREIGN_CALL);
    long r = bo_blocking_pool_run(&l->base);
    if (r == -BO_ECUT)
        bo_failed(r);
    if (bo_foreign_leave(t))
        return give_look_up_up(place, bo_outcome_of(t, site));
    return r == 0 ? finish_look_up(l, place) : give_look_up_up(place, EAGAIN);
}

static uintptr_t real_gethostbyname_r, real_gethostbyname2_r, real_gethostbyaddr_r;

static int stand_in_gethostbyname_r(const char *name, struct hostent *host, char *buffer, size_t room,
                                    struct hostent **result, int *host_error)
{
    struct bo_thread *t = bo_foreign_thread();
    if (!t)
        return ((int (*)(const char *, struct hostent *, char *, size_t, struct hostent **,
                         int *))real_gethostbyname_r)(name, host, buffer, room, result, host_error);
    return look_up(t, &HERE("gethostbyname_r"), look_up_new(name, NULL, 0, 0, room),
                   &(struct place){host, buffer, room, result, host_error});
}

static int stand_in_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer, size_t room,
                                     struct hostent **result, int *host_error)
{
    struct bo_thread *t = bo_foreign_thread();
    if (!t)
        return ((int (*)(const char *, int, struct hostent *, char *, size_t, struct hostent **,
                         int *))real_gethostbyname2_r)(name, family, host, buffer, room, result, host_error);
    return look_up(t, &HERE("gethostbyname2_r"), look_up_new(name, NULL, 0, family, room),
                   &(struct place){host, buffer, room, result, host_error});
}

static int stand_in_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host,
                                    char *buffer, size_t room, struct hostent **result, int *host_error)
{
    struct bo_thread *t = bo_foreign_thread();
    if (!t)
        return ((int (*)(const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **,
                         int *))real_gethostbyaddr_r)(address, length, family, host, buffer, room, result, host_error);
    return look_up(t, &HERE("gethostbyaddr_r"), look_up_new(NULL, address, length, family, room),
                   &(struct place){host, buffer, room, result, host_error});
}

/* ---- the functions with static memory: here one buffer for each thread, valid until its next call -------------- */

struct own {
    struct hostent host;
    char *buffer;
    size_t room;
};

static pthread_key_t own_key;
static bool have_host_key;

static void free_own(void *own)
{
    free(((struct own *)own)->buffer);
    free(own);
}

static void make_key(void)
{
    have_host_key = pthread_key_create(&own_key, free_own) == 0;
}

static struct own *own_of_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    struct own *own = have_host_key ? pthread_getspecific(own_key) : NULL;
    if (own || !have_host_key)
        return own;
    own = calloc(1, sizeof *own);
    if (own && pthread_setspecific(own_key, own) != 0) {
        free(own);
        own = NULL;
    }
    return own;
}

static bool grow_own(struct own *own, size_t room)
{
    char *larger = room > own->room ? realloc(own->buffer, room) : own->buffer;
    if (!larger)
        return false;
    own->room = room > own->room ? room : own->room;
    own->buffer = larger;
    return true;
}

/* Repeats the query with more room as long as it fails with ERANGE. */
static struct hostent *look_up_own(struct bo_thread *t, const struct bo_site *site, const char *name,
                                   const void *address, socklen_t length, int family)
{
    struct own *own = own_of_thread();
    for (size_t room = FIRST_ROOM; own && room <= MOST_ROOM && grow_own(own, room); room *= 2) {
        struct hostent *result = NULL;
        int code = look_up(t, site, look_up_new(name, address, length, family, own->room),
                           &(struct place){&own->host, own->buffer, own->room, &result, &h_errno});
        if (code != ERANGE)
            return result;
    }
    errno = ENOMEM;
    h_errno = NETDB_INTERNAL;
    return NULL;
}

static uintptr_t real_gethostbyname, real_gethostbyname2, real_gethostbyaddr;

static struct hostent *stand_in_gethostbyname(const char *name)
{
    struct bo_thread *t = bo_foreign_thread();
    return t ? look_up_own(t, &HERE("gethostbyname"), name, NULL, 0, 0)
             : ((struct hostent * (*)(const char *)) real_gethostbyname)(name);
}

static struct hostent *stand_in_gethostbyname2(const char *name, int family)
{
    struct bo_thread *t = bo_foreign_thread();
    return t ? look_up_own(t, &HERE("gethostbyname2"), name, NULL, 0, family)
             : ((struct hostent * (*)(const char *, int)) real_gethostbyname2)(name, family);
}

static struct hostent *stand_in_gethostbyaddr(const void *address, socklen_t length, int family)
{
    struct bo_thread *t = bo_foreign_thread();
    return t ? look_up_own(t, &HERE("gethostbyaddr"), NULL, address, length, family)
             : ((struct hostent * (*)(const void *, socklen_t, int)) real_gethostbyaddr)(address, length, family);
}

const struct bo_wrapper bo_resolver_wrappers[] = {
    BO_STAND_IN(gethostbyname, gethostbyname),
    BO_STAND_IN(gethostbyname2, gethostbyname2),
    BO_STAND_IN(gethostbyaddr, gethostbyaddr),
    BO_STAND_IN(gethostbyname_r, gethostbyname_r),
    BO_STAND_IN(gethostbyname2_r, gethostbyname2_r),
    BO_STAND_IN(gethostbyaddr_r, gethostbyaddr_r),
    {0},
};

#else

const struct bo_wrapper bo_resolver_wrappers[] = {{0}};

#endif
