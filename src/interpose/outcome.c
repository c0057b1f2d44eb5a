/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/outcome.h"
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include "interpose/eintr.h"
#include "state/clock.h"
#include "state/record.h"
#include "state/tree.h"
#include "thread/foreign.h"

/* The most time that a retry loop spends between two calls. It is the thread's processor time, because the time that a
 * thread waits for a processor depends on other threads. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { AT_ONCE_NS = 20000000 };
#else
enum { AT_ONCE_NS = 2000000 };
#endif
enum { POLLED = 8 };

BO_TLS bool bo_outcome_armed;

/* Identifies a call. */
struct key {
    const char *name; /* NULL: none */
    const void *caller;
    unsigned long count;
    int fd;
    uint32_t generation; /* of the thread: a worker's next child has another generation */
};

/*
 * The state that a thread keeps between an interrupted call and its next calls. Only the thread uses it. A signal
 * handler that makes calls in between may overwrite this state: then a retry is not recognised, and the call waits
 * until the grace period is over. A worker's next child has another generation, so it ignores these values.
 */
static BO_TLS struct {
    struct key call;                                     /* the last call that failed with EINTR */
    int64_t used;                                        /* the thread's processor time at the failure */
    enum { OTHER_ERROR, NO_OTHER_ERROR, NO_ERROR } next; /* how the call ends if it is repeated at once */
    uint64_t target; /* the last record delivered, and the generation that it was delivered to */
    bough_time since;
    uint32_t generation;
    int polled[POLLED]; /* the descriptors of a failed poll() or select() */
    int polled_count, polled_error;
    uint32_t polled_generation;
} memory;

/* ---- the caller ------------------------------------------------------------------------------------------ */

/* The path of the object that made the call, "" for the program; NULL: unknown code. Does not take the loader's lock:
 * another thread may hold it and wait for this call to end, and a signal handler that jumps out would not release
 * it. */
#ifdef DLFO_STRUCT_HAS_EH_DBASE /* glibc 2.35 */
static const char *object_of(const void *caller)
{
    struct dl_find_object found;
    void *address = (void *)(uintptr_t)caller;
    return _dl_find_object(address, &found) == 0 ? found.dlfo_link_map->l_name : NULL;
}
#else
static bool is_program(const void *base)
{
    uintptr_t headers = getauxval(AT_PHDR), low = (uintptr_t)base;
    return headers - low < 4096;
}

/* With older versions dladdr() takes the lock, so signals are blocked meanwhile: no handler jumps out. */
static const char *object_of(const void *caller)
{
    Dl_info info;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool found = dladdr(caller, &info) && info.dli_fname;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!found)
        return NULL;
    return is_program(info.dli_fbase) ? "" : info.dli_fname;
}
#endif

static bool takes_only_eintr(const struct bo_thread *t, const char *object)
{
    return t->ways.error == EINTR || (object && bo_eintr_only(object));
}

static int chosen_by_thread(const struct bo_thread *t, const struct bo_site *site)
{
    bough_choose_fn *choose = (bough_choose_fn *)t->ways.choose;
    int error = choose ? choose(t->ways.argument, site->name, site->caller) : 0;
    return error > 0 ? error : 0;
}

enum bo_foreign_step bo_outcome_weigh(struct bo_thread *t, const struct bo_site *site)
{
    if (chosen_by_thread(t, site))
        return BO_FOREIGN_CALL;
    bool silent = site->manner >= BO_EINTR_ALONE || takes_only_eintr(t, object_of(site->caller));
    return silent ? BO_FOREIGN_SILENT : BO_FOREIGN_CALL;
}

/* ---- reporting ------------------------------------------------------------------------------------------ */

static void note_outcome(struct bo_thread *t, const struct bo_site *site, const char *object, int error,
                         enum bo_outcome_note what)
{
    struct bo_outcome *o = &t->outcome;
    bo_store_relaxed(&o->call, site->name);
    bo_store_relaxed(&o->object, object);
    bo_store_relaxed(&o->error, error);
    bo_store_relaxed(&o->last, (uint8_t)what);
    bo_store_relaxed(&o->at, bo_now());
}

/* Calls the thread's `on_cut` outside of the call, so that bough's calls in `on_cut` fail as usual. Returns the error
 * number to fail with. */
static int announce_outcome(struct bo_thread *t, const struct bo_site *site, const char *object, int error, bool again,
                            const struct bough_record *why)
{
    bough_cut_fn *fn = (bough_cut_fn *)t->ways.on_cut;
    const struct bough_cut cut = {.call = site->name,
                                  .object = object ? object : "",
                                  .site = site->caller,
                                  .fd = site->on.fd,
                                  .error = error,
                                  .again = again,
                                  .why = why && why->kind < BOUGH_KINDS ? why : NULL};
    int instead = fn ? fn(t->ways.argument, &cut) : 0;
    return instead > 0 ? instead : error;
}

static int wanted_error(const struct bo_thread *t)
{
    return t->ways.error ? t->ways.error : ECANCELED;
}

/* ---- remembering ---------------------------------------------------------------------------------------- */

static int64_t processor_time(void)
{
    struct timespec used;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0 ? (int64_t)used.tv_sec * 1000000000 + used.tv_nsec : 0;
}

static struct key key_of(const struct bo_thread *t, const struct bo_site *site)
{
    bool by_first = site->on.polled && site->on.count;
    return (struct key){.name = site->name,
                        .caller = site->caller,
                        .count = site->on.count,
                        .fd = by_first ? site->on.polled[0].fd : site->on.fd,
                        .generation = bo_word_generation(bo_load_relaxed(&t->t.word))};
}

/* A compiler that peels a loop makes two call sites of one. Then the first retry is not recognised: the call waits
 * until the grace period is over. Neighbouring call sites do not count as the same, because one of them may belong to
 * the library's cleanup. */
static bool is_same(const struct key *a, const struct key *b)
{
    return a->name == b->name && a->caller == b->caller && a->count == b->count && a->fd == b->fd &&
           a->generation == b->generation;
}

static void forget_call(void)
{
    memory.call.name = NULL;
    bo_outcome_armed = memory.polled_count > 0;
}

static void forget_polled(void)
{
    memory.polled_count = 0;
    bo_outcome_armed = memory.call.name != NULL;
}

static void remember_call(const struct bo_thread *t, const struct bo_site *site, int next)
{
    memory.call = key_of(t, site);
    memory.used = processor_time();
    memory.next = next;
    bo_outcome_armed = true;
}

static void add_polled(int fd)
{
    if (fd >= 0 && memory.polled_count < POLLED)
        memory.polled[memory.polled_count++] = fd;
}

/* A failed select() leaves its sets as they were. */
static void remember_polled(const struct bo_thread *t, const struct bo_site *site, int error)
{
    memory.polled_generation = bo_word_generation(bo_load_relaxed(&t->t.word));
    memory.polled_count = 0;
    memory.polled_error = error;
    for (unsigned long i = 0; site->on.polled && i < site->on.count; i++)
        add_polled(site->on.polled[i].fd);
    bool selects = site->on.in || site->on.out;
    for (unsigned long i = 0; selects && i < site->on.count && i < FD_SETSIZE; i++)
        if ((site->on.in && FD_ISSET(i, site->on.in)) || (site->on.out && FD_ISSET(i, site->on.out)))
            add_polled((int)i);
    bo_outcome_armed |= memory.polled_count > 0;
}

static bool polls(const struct bo_site *site)
{
    return site->on.polled || site->on.in || site->on.out;
}

/* ---- the next call -------------------------------------------------------------------------------------- */

/* Is the delivered record still pending and suppressed? If another record is due, that begins with EINTR, too; if no
 * record is due, the call is made. */
static bool still_suppressed(const struct bo_thread *t)
{
    uint64_t w = bo_load_seq(&t->t.word), again = memory.next == NO_ERROR ? BO_SILENT_DUE : BO_FOREIGN_DUE;
    return (w & BO_DUE) && !(w & again);
}

static bool came_back(const struct bo_thread *t, const struct bo_site *site)
{
    struct key now = key_of(t, site);
    int64_t used = processor_time() - memory.used;
    return is_same(&memory.call, &now) && still_suppressed(t) && used < AT_ONCE_NS;
}

static int fail_again(struct bo_thread *t, const struct bo_site *site)
{
    struct bough_record why = {.kind = BOUGH_KINDS};
    const struct bo_record *r = bo_pending_record(t, true);
    const char *object = object_of(site->caller);
    if (r)
        bo_record_describe(r, &why);
    int error = announce_outcome(t, site, object, wanted_error(t), true, &why);
    if (polls(site))
        remember_polled(t, site, error);
    t->call.last_was_cut = 1;
    note_outcome(t, site, object, error, BO_RETRIED);
    return error;
}

/* The caller tolerates no other error, so its call is made, and the interrupt stays due for calls of other code. */
static int go_on_waiting(struct bo_thread *t, const struct bo_site *site)
{
    note_outcome(t, site, object_of(site->caller), EINTR, BO_TOOK_NO_OTHER);
    bo_foreign_take_back(t);
    return 0;
}

/* A call that cannot block is ignored: event loops make such calls between two waits. */
int bo_outcome_compare(struct bo_thread *t, const struct bo_site *site, bool may_block)
{
    if (!may_block)
        return 0;
    bool again = memory.call.name && came_back(t, site);
    forget_call();
    if (polls(site))
        forget_polled();
    if (!again)
        return 0;
    switch (memory.next) {
    case OTHER_ERROR:
        return fail_again(t, site);
    case NO_OTHER_ERROR:
        return go_on_waiting(t, site);
    default:
        return BO_OVER;
    }
}

static bool was_polled(const struct bo_thread *t, int fd)
{
    if (memory.polled_generation != bo_word_generation(bo_load_relaxed(&t->t.word)))
        return false;
    for (int i = 0; i < memory.polled_count; i++)
        if (memory.polled[i] == fd)
            return fd >= 0;
    return false;
}

static bool sends(const struct bo_site *site)
{
    return strncmp(site->name, "send", 4) == 0 || strncmp(site->name, "write", 5) == 0;
}

/* Has the caller written to a descriptor that it had waited for? Then it is not in a retry loop: it sends a last
 * message, as cleanup, or another request. */
static bool goes_on(const struct bo_thread *t, const struct bo_site *site, ssize_t result)
{
    return result > 0 && sends(site) && site->on.fd >= 0 &&
           (site->on.fd == memory.call.fd || was_polled(t, site->on.fd));
}

ssize_t bo_outcome_after(struct bo_thread *t, const struct bo_site *site, ssize_t result)
{
    if (goes_on(t, site, result))
        forget_call();
    if (!was_polled(t, site->on.fd))
        return result;
    forget_polled();
    if (result != -1 || (errno != EAGAIN && errno != EWOULDBLOCK) || !(bo_load_relaxed(&t->t.word) & BO_DUE))
        return result;
    int error = errno;
    const char *object = object_of(site->caller);
    if (!takes_only_eintr(t, object)) {
        error = memory.polled_error;
        t->call.last_was_cut = 1;
        note_outcome(t, site, object, error, BO_IGNORED_POLL);
    }
    errno = error;
    return -1;
}

/* ---- the call that was interrupted ----------------------------------------------------------------------- */

static int end_silently(struct bo_thread *t, const struct bo_site *site)
{
    int error = site->manner == BO_SPURIOUS ? 0 : EINTR;
    bo_foreign_silence(t);
    note_outcome(t, site, object_of(site->caller), error, BO_ENDED_SILENTLY);
    if (site->manner == BO_PAUSE)
        remember_call(t, site, NO_ERROR); /* last, because from here on the caller's time counts */
    return error;
}

/* Was this record delivered before? Then EINTR has not ended the thread's operation. */
static bool was_delivered(const struct bo_thread *t, const struct bough_record *why)
{
    uint64_t target = (uint64_t)(uintptr_t)why->target;
    uint32_t generation = bo_word_generation(bo_load_relaxed(&t->t.word));
    bool delivered = memory.target == target && memory.since == why->since && memory.generation == generation;
    memory.target = target;
    memory.since = why->since;
    memory.generation = generation;
    return delivered;
}

static int error_of(const struct bo_thread *t, const struct bo_site *site, const struct bough_record *why, bool alone)
{
    bool again = was_delivered(t, why);
    if (alone)
        return EINTR;
    return again || site->manner != BO_EINTR_FIRST ? wanted_error(t) : EINTR;
}

int bo_outcome_of(struct bo_thread *t, const struct bo_site *site)
{
    struct bough_record why;
    int chosen = chosen_by_thread(t, site);
    if (!chosen && site->manner >= BO_SPURIOUS)
        return end_silently(t, site);
    const char *object = object_of(site->caller);
    bool alone = site->manner == BO_EINTR_ALONE || takes_only_eintr(t, object);
    bo_foreign_deliver(t, &why);
    int error = chosen ? chosen : error_of(t, site, &why, alone);
    int announced = announce_outcome(t, site, object, error, false, &why);
    note_outcome(t, site, object, announced, BO_REPORTED);
    if (polls(site) && !alone && !chosen)
        remember_polled(t, site, wanted_error(t));
    if (announced == EINTR && error == EINTR)
        remember_call(t, site, alone ? NO_OTHER_ERROR : OTHER_ERROR); /* last: the caller's time counts now */
    return announced;
}
