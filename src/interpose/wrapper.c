/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/wrapper.h"
#include <bough/calls.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <threads.h>
#include "calls/calls.h"
#include "interpose/eintr.h"
#include "interpose/libc.h"
#include "interpose/may_block.h"
#include "interpose/outcome.h"
#include "interpose/patch.h"
#include "thread/call.h"
#include "thread/foreign.h"

/* ---- rows that are interruption points: all but those with NEVER ---------------------------------------------- */

#define IF_POINT(fails, ...) IF_##fails(__VA_ARGS__)
#define IF_NEVER(...)
#define IF_MINUS_ONE(...) __VA_ARGS__
#define IF_NUMBER(...) __VA_ARGS__
#define IF_THRD(...) __VA_ARGS__
#define IF_THRD_SLEEP(...) __VA_ARGS__
#define IF_UNSLEPT(...) __VA_ARGS__
#define IF_EAI(...) __VA_ARGS__

/* ---- libc's functions ---------------------------------------------------------------------------------------- */

#define CUSTOM(returns, name, params, args, fails, ...) IF_POINT(fails, static uintptr_t real_##name;)
#include "calls/calls.def"

#define REAL(returns, name, params) ((returns(*) params)real_##name)

/* ---- how each function reports an interrupt. `error` 0: it reports success ----------------------- */

#define CUT_MINUS_ONE(r, error) (errno = (error), -1)
#define CUT_NUMBER(r, error) ((void)(r), (error))
#define CUT_THRD(r, error) ((error) ? (errno = (error), thrd_error) : thrd_success)
#define CUT_THRD_SLEEP(r, error) (errno = (error), (error) == EINTR ? -1 : -2)
#define CUT_UNSLEPT(r, error) (errno = (error), (r))
#define CUT_EAI(r, error) (errno = (error), EAI_SYSTEM)

/* The call's result. After a poll() whose failure was ignored, its error may be replaced by the interrupt's. */
#define OWN_MINUS_ONE(r, site) (bo_unlikely(bo_outcome_armed) ? bo_outcome_after(t, site, r) : (r))
#define OWN_NUMBER(r, site) (r)
#define OWN_THRD(r, site) (r)
#define OWN_THRD_SLEEP(r, site) (r)
#define OWN_UNSLEPT(r, site) (r)
#define OWN_EAI(r, site) (r)

/* ---- one wrapper for each row ---------------------------------------------------------------------------------- */

/* A site is filled in only where it is needed: most calls need none, and that takes as long as the rest of the call. */
#define SITE(name, how, waited) (&(const struct bo_site){#name, __builtin_return_address(0), (how), (waited)})

#define BODY(returns, name, params, args, call, fails, blocks, how, waited)         \
    struct bo_thread *t = bo_foreign_thread();                                      \
    if (bo_likely(!t))                                                              \
        return REAL(returns, name, params) args;                                    \
    int error = bo_outcome_before(t, SITE(name, how, waited), (blocks));            \
    returns r = (returns)0;                                                         \
    if (bo_unlikely(error))                                                         \
        return CUT_##fails(r, error);                                               \
    if ((how) == BO_NEVER) {                                                        \
        bo_store_relaxed(&t->join.thread, (waited).tid);                            \
        r = REAL(returns, name, params) args;                                       \
        bo_store_relaxed(&t->join.thread, 0);                                       \
        return r;                                                                   \
    }                                                                               \
    bo_foreign_enter(t, bo_outcome_step_of_row(t, (how), SITE(name, how, waited))); \
    r = call;                                                                       \
    if (bo_likely(!bo_foreign_leave(t)))                                            \
        return OWN_##fails(r, SITE(name, how, waited));                             \
    if (!(blocks)) {                                                                \
        bo_foreign_ignore(t);                                                       \
        r = REAL(returns, name, params) args;                                       \
        return OWN_##fails(r, SITE(name, how, waited));                             \
    }                                                                               \
    error = bo_outcome_of(t, SITE(name, how, waited));                              \
    return CUT_##fails(r, error);

#define STAND_IN(returns, name, params, args, call, fails, blocks, how, waited) \
    BO_STAND_IN_FUNCTION returns stand_in_##name params                         \
    {                                                                           \
        BODY(returns, name, params, args, call, fails, blocks, how, waited)     \
    }

/* A row that is one system call makes it here: the return from bough_NAME() would be a second mispredicted one after
 * that system call (docs/decisions.md, "The window is inline"). */
#define VARIADIC(...)
#define CALL(returns, name, params, args, raw, blocks, how, waited, ...) \
    STAND_IN(returns, name, params, args, (returns)bo_result(BO_CALL raw), MINUS_ONE, blocks, how, waited)
#define CUSTOM(returns, name, params, args, fails, blocks, how, waited, ...) \
    IF_POINT(fails, STAND_IN(returns, name, params, args, bough_##name args, fails, blocks, how, waited))
#include "calls/calls.def"

/* The type that the last, optional argument is read as. */
#define REST(type, last, rest)      \
    va_list list;                   \
    va_start(list, last);           \
    type rest = va_arg(list, type); \
    va_end(list)

BO_STAND_IN_FUNCTION int open_with(const char *path, int flags, mode_t mode)
{
    BODY(int, open, (const char *, int, ...), (path, flags, mode), bough_open(path, flags, mode), MINUS_ONE,
         open_may_block(AT_FDCWD, path, flags), BO_EINTR_FIRST, bo_on_nothing())
}

static int stand_in_open(const char *path, int flags, ...)
{
    REST(mode_t, flags, mode);
    return open_with(path, flags, mode);
}

BO_STAND_IN_FUNCTION int openat_with(int dirfd, const char *path, int flags, mode_t mode)
{
    BODY(int, openat, (int, const char *, int, ...), (dirfd, path, flags, mode), bough_openat(dirfd, path, flags, mode),
         MINUS_ONE, open_may_block(dirfd, path, flags), BO_EINTR_FIRST, bo_on_nothing())
}

static int stand_in_openat(int dirfd, const char *path, int flags, ...)
{
    REST(mode_t, flags, mode);
    return openat_with(dirfd, path, flags, mode);
}

static int stand_in_fcntl(int fd, int command, ...)
{
    REST(void *, command, argument);
    if (!bo_waits_for_lock(command))
        return REAL(int, fcntl, (int, int, ...))(fd, command, argument);
    BODY(int, fcntl, (int, int, ...), (fd, command, argument), bough_fcntl(fd, command, argument), MINUS_ONE, true,
         BO_EINTR_FIRST, bo_on_fd(fd))
}

static int stand_in_ioctl(int fd, bough_ioctl_request request, ...)
{
    REST(void *, request, argument);
    if (spins_at_signals(request))
        return REAL(int, ioctl, (int, bough_ioctl_request, ...))(fd, request, argument);
    BODY(int, ioctl, (int, bough_ioctl_request, ...), (fd, request, argument), bough_ioctl(fd, request, argument),
         MINUS_ONE, fd_may_block(fd), BO_EINTR_FIRST, bo_on_fd(fd))
}

/* ---- other names: for large files, and for functions that get the size of the buffer (_FORTIFY_SOURCE) -- */

/* With these flags open() needs a mode, which the functions without a mode can't pass. */
static bool makes_file(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define CHECKED_read stand_in_read
#define CHECKED_pread stand_in_pread
#define CHECKED_recv stand_in_recv
#define CHECKED_recvfrom stand_in_recvfrom
#define CHECKED_poll stand_in_poll
#define CHECKED_ppoll stand_in_ppoll
#define CHECKED_open open_with
#define CHECKED_openat openat_with

#define CHECKED(returns, symbol, name, params, args, checked, fits)                      \
    static uintptr_t real_##symbol;                                                      \
    static returns stand_in_##symbol params                                              \
    {                                                                                    \
        return (fits) ? CHECKED_##name args : ((returns(*) params)real_##symbol)checked; \
    }

CHECKED(ssize_t, __read_chk, read, (int fd, void *buffer, size_t size, size_t room), (fd, buffer, size),
        (fd, buffer, size, room), size <= room)
CHECKED(ssize_t, __pread_chk, pread, (int fd, void *buffer, size_t size, off_t offset, size_t room),
        (fd, buffer, size, offset), (fd, buffer, size, offset, room), size <= room)
CHECKED(ssize_t, __pread64_chk, pread, (int fd, void *buffer, size_t size, off_t offset, size_t room),
        (fd, buffer, size, offset), (fd, buffer, size, offset, room), size <= room)
CHECKED(ssize_t, __recv_chk, recv, (int fd, void *buffer, size_t size, size_t room, int flags),
        (fd, buffer, size, flags), (fd, buffer, size, room, flags), size <= room)
CHECKED(ssize_t, __recvfrom_chk, recvfrom,
        (int fd, void *buffer, size_t size, size_t room, int flags, struct sockaddr *address, socklen_t *length),
        (fd, buffer, size, flags, address, length), (fd, buffer, size, room, flags, address, length), size <= room)
CHECKED(int, __poll_chk, poll, (struct pollfd * fds, nfds_t count, int timeout, size_t room), (fds, count, timeout),
        (fds, count, timeout, room), count <= room / sizeof *fds)
CHECKED(int, __ppoll_chk, ppoll,
        (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room),
        (fds, count, timeout, mask), (fds, count, timeout, mask, room), count <= room / sizeof *fds)
CHECKED(int, __open_2, open, (const char *path, int flags), (path, flags, 0), (path, flags), !makes_file(flags))
CHECKED(int, __open64_2, open, (const char *path, int flags), (path, flags, 0), (path, flags), !makes_file(flags))
CHECKED(int, __openat_2, openat, (int dirfd, const char *path, int flags), (dirfd, path, flags, 0),
        (dirfd, path, flags), !makes_file(flags))
CHECKED(int, __openat64_2, openat, (int dirfd, const char *path, int flags), (dirfd, path, flags, 0),
        (dirfd, path, flags), !makes_file(flags))

/* ---- the table ------------------------------------------------------------------------------------------ */

#define ROW(name) BO_STAND_IN(name, name),
#define ALSO(symbol, name) BO_STAND_IN(symbol, name),

/* clang-format off */
static const struct bo_wrapper basic_wrappers[] = {
#define CUSTOM(returns, name, params, args, fails, ...) IF_POINT(fails, ROW(name))
#include "calls/calls.def"
    ROW(__read_chk) ROW(__pread_chk) ROW(__pread64_chk) ROW(__recv_chk) ROW(__recvfrom_chk) ROW(__poll_chk)
    ROW(__ppoll_chk) ROW(__open_2) ROW(__open64_2) ROW(__openat_2) ROW(__openat64_2)
    /* the same functions where off_t has 64 bits */
    ALSO(open64, open) ALSO(openat64, openat) ALSO(creat64, creat) ALSO(pread64, pread) ALSO(preadv64, preadv)
    ALSO(preadv64v2, preadv2) ALSO(pwrite64, pwrite) ALSO(pwritev64, pwritev) ALSO(pwritev64v2, pwritev2)
    ALSO(fcntl64, fcntl) ALSO(lockf64, lockf) ALSO(sendfile64, sendfile)
    ALSO(aio_suspend64, aio_suspend)
    /* glibc's internal names, used by glibc's other libraries and by old programs */
    ALSO(__connect, connect) ALSO(__fcntl, fcntl) ALSO(__nanosleep, nanosleep) ALSO(__open, open) ALSO(__open64, open)
    ALSO(__poll, poll) ALSO(__pread64, pread) ALSO(__pwrite64, pwrite) ALSO(__read, read) ALSO(__select, select)
    ALSO(__send, send) ALSO(__sigsuspend, sigsuspend) ALSO(__wait, wait) ALSO(__write, write)
    {0}
};
/* clang-format on */

static const struct bo_wrapper *const lists[] = {basic_wrappers,    bo_children_wrappers, bo_inside_wrappers,
                                                 bo_other_wrappers, bo_resolver_wrappers, bo_stream_wrappers};
enum { LISTS = sizeof lists / sizeof lists[0] };

/* The rows by the hashes of their symbols, because each slot of each object is looked up, after every dlopen(). Open
 * addressing; of two rows for one symbol the first one counts. */
enum { PLACES = 1024 };
static struct place {
    const struct bo_wrapper *_Atomic wrapper;
    _Atomic uintptr_t taken;
} wrapper_slots[PLACES];

/* A sanitizer's function checks the arguments and calls libc's. The stand-in may call that function instead of
 * libc's. */
static bool is_sanitizers(uintptr_t function)
{
    Dl_info info;
    if (!dladdr((void *)function, &info) || !info.dli_fname)
        return false;
    const char *slash = strrchr(info.dli_fname, '/');
    return fnmatch("lib*san.so*", slash ? slash + 1 : info.dli_fname, 0) == 0;
}

/* The function that the symbol has in the whole program, if it is not libc's. */
static uintptr_t find_other(const char *symbol, uintptr_t own)
{
    uintptr_t found = (uintptr_t)dlsym(RTLD_DEFAULT, symbol);
    return found == own || bo_patch_is_jump(symbol, found) ? 0 : found;
}

/* The symbol's place, or the empty place for it. */
static struct place *place_of(const char *symbol, uint32_t hash)
{
    for (uint32_t i = hash;; i++) {
        struct place *p = &wrapper_slots[i % PLACES];
        const struct bo_wrapper *w = bo_load_acquire(&p->wrapper);
        if (!w || strcmp(w->symbol, symbol) == 0)
            return p;
    }
}

/* Tries again if another thread has taken the place meanwhile, perhaps for the same row. */
static struct place *place_for(const struct bo_wrapper *w)
{
    struct place *p;
    const struct bo_wrapper *none;
    do {
        p = place_of(w->symbol, bo_symbol_hash(w->symbol));
        none = bo_load_acquire(&p->wrapper);
    } while (!none && !bo_cas_seq(&p->wrapper, &none, w));
    return p;
}

static void find_real(void *libc, const struct bo_wrapper *w)
{
    uintptr_t own = (uintptr_t)dlsym(libc, w->symbol), other = own ? find_other(w->symbol, own) : 0;
    bool sanitized = other && is_sanitizers(other);
    if (!*w->real)
        *w->real = sanitized ? other : own;
    bo_store_relaxed(&place_for(w)->taken, sanitized ? 0 : other);
}

/* Two threads may do this at the same time: they write the same values. Neither waits for the other, because the
 * waiting thread could hold the loader's lock, which the other one needs. */
int bo_wrappers_init(void)
{
    if (bo_libc_address())
        return 0;
    void *libc = bo_libc_open();
    if (!libc)
        return errno = ENOTSUP, -1;
    bo_eintr_init();
    for (int i = 0; i < LISTS; i++)
        for (const struct bo_wrapper *w = lists[i]; w->symbol; w++)
            find_real(libc, w);
    bo_libc_is_known(libc);
    return 0;
}

const struct bo_wrapper *bo_wrapper_of(const char *symbol, uint32_t hash)
{
    const struct bo_wrapper *w = bo_load_acquire(&place_of(symbol, hash)->wrapper);
    return w && *w->real ? w : NULL;
}

uintptr_t bo_wrapper_taken(const char *symbol, uint32_t hash)
{
    const struct place *p = place_of(symbol, hash);
    const struct bo_wrapper *w = bo_load_acquire(&p->wrapper);
    return w && *w->real ? bo_load_relaxed(&p->taken) : 0;
}
