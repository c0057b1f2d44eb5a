/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trace/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/held.h"
#include "base/plain.h"
#include "base/raw.h"
#include "upcalls.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { BATCH = 256 /* chunks that get blocks together */, TRIES = 100 };

static struct bo_held trace_file = {.fd = -1};
static _Atomic(const char *) complaint;

static size_t bytes_of(uint32_t chunks)
{
    return ((size_t)chunks + 1) * BO_TRACE_PAGE;
}

__attribute__((format(printf, 4, 5))) static int refused(int error, char *why, unsigned size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, size, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Allocates blocks: 0 or an error number. The file's size does not change, because a thread may still have the settings
 * of another recording. */
static int get_blocks(int fd, uint64_t from, uint64_t to)
{
    int error;
    do
        error = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) == 0 ? 0 : errno;
    while (error == EINTR);
    return error;
}

/* The fallback for file systems without fallocate(), in a new file, which no thread writes to yet. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[BO_TRACE_PAGE];
    for (; from < to; from += sizeof zeros)
        if (pwrite(fd, zeros, sizeof zeros, (off_t)from) != (ssize_t)sizeof zeros)
            return errno ? errno : ENOSPC;
    return 0;
}

/* Allocates the first blocks, without which there is no recording. */
static int first_blocks(int fd, struct bo_trace_recording *r)
{
    uint32_t room = bo_load_relaxed(&r->chunks);
    uint32_t first = room < BATCH ? room : BATCH;
    int error = get_blocks(fd, 0, bytes_of(first));
    if (error == EOPNOTSUPP || error == ENOSYS)
        error = write_zeros(fd, 0, bytes_of(room)), first = room;
    bo_store_relaxed(&r->room, first);
    return error;
}

/* Allocates blocks for a whole batch, so that this is seldom needed. Two threads or processes may do it at once. */
bool bo_trace_file_grow(struct bo_trace_recording *r, uint32_t chunk)
{
    int saved = errno;
    uint32_t room = bo_load_relaxed(&r->room), chunks = bo_load_relaxed(&r->chunks);
    uint32_t to = chunk / BATCH * BATCH + BATCH;
    if (to > chunks)
        to = chunks;
    bool is_open = bo_held_is(&trace_file);
    int error = is_open ? get_blocks(trace_file.fd, bytes_of(room), bytes_of(to)) : EBADF;
    if (error == EOPNOTSUPP || error == ENOSYS)
        error = 0; /* the process that made the file has written zeros to all of it */
    if (!error) {
        while (room < to && !bo_cas_seq(&r->room, &room, to))
            ;
    } else {
        bo_store_seq(&r->chunks, room);
        bo_store_relaxed(&r->head->is_full, room);
        bo_store_seq(&complaint,
                     is_open ? "the recording (BOUGH_TRACE) does not grow any more, because there is no room on "
                               "the disk: its oldest events are overwritten"
                             : "the recording (BOUGH_TRACE) does not grow any more, because the program has "
                               "closed its descriptor: its oldest events are overwritten");
        bo_trace_limited();
    }
    errno = saved;
    return !error;
}

const char *bo_trace_file_complaint(void)
{
    return bo_load_relaxed(&complaint) ? bo_swap_seq(&complaint, NULL) : NULL;
}

/* ---- locks
 * ----------------------------------------------------------------------------------------------------------- */

/*
 * Each process that records holds a shared lock, which belongs to the open file: forked children share it. A process
 * that finds no lock replaces the file. The process that makes the file holds an exclusive lock until the header is
 * complete, and converts it to a shared lock in one step.
 */
static bool lock_file(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool lock_in_time(int fd, short type)
{
    const struct timespec moment = {0, 10000000};
    for (int i = 0; i < TRIES; i++) {
        if (lock_file(fd, type))
            return true;
        nanosleep(&moment, NULL);
    }
    return false;
}

/* ---- a new file
 * ------------------------------------------------------------------------------------------------------- */

/* The magic is written last. The function is not instrumented, because the thread sanitizer supports no fences. */
__attribute__((no_sanitize("thread"))) static void begin_header(struct bo_trace_head *h,
                                                                const struct bo_trace_wish *wish, uint32_t chunks)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    h->version = BO_TRACE_VERSION;
    h->page = BO_TRACE_PAGE;
    h->units = BO_TRACE_UNITS;
    h->chunks = chunks;
    h->flags = (wish->without_arguments ? BO_TRACE_WITHOUT_ARGUMENTS : 0u) | (wish->file ? 0u : BO_TRACE_IN_MEMORY);
    h->pid = getpid();
    h->threshold = wish->threshold;
    h->begun = bo_clock();
    h->wall_at_begun = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
    snprintf(h->library, sizeof h->library, "%s", BO_VERSION);
    atomic_thread_fence(memory_order_release);
    memcpy(h->magic, BO_TRACE_MAGIC, sizeof h->magic);
}

/* The number of chunks is limited by RLIMIT_FSIZE: the kernel sends SIGXFSZ for a larger file. */
static uint32_t chunks_for(uint64_t size)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY && most.rlim_cur < size)
        size = most.rlim_cur;
    uint64_t pages = size / BO_TRACE_PAGE;
    if (pages < BO_TRACE_CHUNKS_LEAST + 1)
        return 0;
    return pages - 1 < BO_TRACE_CHUNKS_MOST ? (uint32_t)(pages - 1) : (uint32_t)BO_TRACE_CHUNKS_MOST;
}

static int map_recording(int fd, struct bo_trace_recording *r, uint32_t chunks)
{
    void *p = mmap(NULL, bytes_of(chunks), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return errno;
    r->head = p;
    r->chunk = (struct bo_trace_chunk *)((char *)p + BO_TRACE_PAGE);
    return 0;
}

static int fill_file(int fd, struct bo_trace_wish *wish, struct bo_trace_recording *r)
{
    uint32_t chunks = chunks_for(wish->size);
    if (!chunks)
        return EFBIG;
    bo_store_relaxed(&r->chunks, chunks);
    if (ftruncate(fd, (off_t)bytes_of(chunks)) != 0)
        return errno;
    int error = first_blocks(fd, r);
    if (!error)
        error = map_recording(fd, r, chunks);
    if (!error)
        begin_header(r->head, wish, chunks);
    return error;
}

static int open_memory(struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why, unsigned size)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    long fd = bo_raw2(SYS_memfd_create, (long)"bough-trace", flags | MFD_NOEXEC_SEAL);
    if (fd == -EINVAL)
        fd = bo_raw2(SYS_memfd_create, (long)"bough-trace", flags); /* before Linux 6.3 */
    if (fd < 0)
        return refused((int)-fd, why, size, "memfd_create() failed: %s", strerror((int)-fd));
    int error = fchmod((int)fd, 0600) == 0 ? fill_file((int)fd, wish, r) : errno;
    if (!error && fcntl((int)fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
        error = errno;
        munmap(r->head, bytes_of(bo_load_relaxed(&r->chunks)));
    }
    if (error) {
        bo_raw1(SYS_close, fd);
        return refused(error, why, size, "its memory can't be allocated: %s", strerror(error));
    }
    bo_held_keep(&trace_file, (int)fd);
    return 0;
}

/* ---- a file that exists ------------------------------------------------------------------------------------------ */

static const char *unfit(const struct stat *is)
{
    if (!S_ISREG(is->st_mode))
        return "it is not a regular file";
    if (is->st_uid != geteuid())
        return "it belongs to another user";
    if (is->st_nlink > 1)
        return "it has another name, too (a hard link)";
    return NULL;
}

static bool is_recording(int fd, struct bo_trace_head *head)
{
    return pread(fd, head, sizeof *head, 0) == (ssize_t)sizeof *head &&
           memcmp(head->magic, BO_TRACE_MAGIC, sizeof head->magic) == 0;
}

/* If another process records to the file, and so holds a lock, this process joins that recording and takes its settings
 * over. The header is read once. */
static int join_recording(int fd, struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why, unsigned size)
{
    struct bo_trace_head head;
    struct stat is;
    if (!lock_in_time(fd, F_RDLCK))
        return refused(EAGAIN, why, size, "another process has locked it");
    if (!is_recording(fd, &head) || fstat(fd, &is) != 0)
        return refused(EEXIST, why, size, "another process uses it, and it is not a recording");
    if (head.version != BO_TRACE_VERSION || head.page != BO_TRACE_PAGE || head.units != BO_TRACE_UNITS ||
        head.chunks < 1 || head.chunks > BO_TRACE_CHUNKS_MOST || (uint64_t)is.st_size != bytes_of(head.chunks))
        return refused(EEXIST, why, size, "another version of bough records to it");
    if ((is.st_mode & 077) != 0)
        return refused(EPERM, why, size, "other users have rights to it");
    int error = map_recording(fd, r, head.chunks);
    if (error)
        return refused(error, why, size, "it can't be mapped: %s", strerror(error));
    uint32_t most = bo_load_relaxed(&head.is_full);
    bo_store_relaxed(&r->chunks, most && most < head.chunks ? most : head.chunks);
    wish->threshold = head.threshold;
    wish->without_arguments = head.flags & BO_TRACE_WITHOUT_ARGUMENTS;
    wish->joined = 1;
    return 0;
}

enum { AGAIN = -1 };

static int64_t ns_by(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* When this process was started, on CLOCK_MONOTONIC; INT64_MAX: there is no /proc. An exec does not change it. */
static int64_t process_started(void)
{
    enum { FIELDS_BETWEEN = 20 }; /* the state is field 3, the time 22; the name may contain any character */
    char text[1024];
    bo_read_file("/proc/self/stat", text, sizeof text);
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < FIELDS_BETWEEN; i++)
        at = strchr(at + 1, ' ');
    int64_t ticks = at ? strtoll(at, NULL, 10) : 0, per_second = sysconf(_SC_CLK_TCK);
    if (ticks <= 0 || per_second <= 0)
        return INT64_MAX;
    return ticks * (1000000000 / per_second) - (ns_by(CLOCK_BOOTTIME) - ns_by(CLOCK_MONOTONIC));
}

/* Whether this process has begun the recording before it executed this program. The clocks show whether the recording
 * is of this boot. */
static bool is_of_this_process(int fd)
{
    const int64_t close_by = BO_SEC(5);
    struct bo_trace_head h;
    if (!is_recording(fd, &h) || bo_load_relaxed(&h.first_ended) || h.pid != getpid() || h.begun < process_started())
        return false;
    int64_t apart = (ns_by(CLOCK_REALTIME) - h.wall_at_begun) - (ns_by(CLOCK_MONOTONIC) - h.begun);
    return apart > -close_by && apart < close_by;
}

/* A recording that no process writes to is replaced by a new file; a process that has the old file mapped keeps it.
 * Other files are not replaced. */
static int replace(int fd, const char *path, char *why, unsigned size)
{
    struct bo_trace_head head;
    struct stat is, named;
    if (fstat(fd, &is) != 0 || lstat(path, &named) != 0 || is.st_ino != named.st_ino || is.st_dev != named.st_dev)
        return AGAIN;
    if (is.st_size != 0 && !is_recording(fd, &head))
        return refused(EEXIST, why, size, "it exists, and is not a recording: remove it, or name another file");
    return unlink(path) == 0 || errno == ENOENT
               ? AGAIN
               : refused(errno, why, size, "it can't be replaced: %s", strerror(errno));
}

static int use_old_file(const char *path, struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why,
                        unsigned size)
{
    struct stat is;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT  ? AGAIN
               : errno == ELOOP ? refused(ELOOP, why, size, "it is a symbolic link")
                                : refused(errno, why, size, "%s", strerror(errno));
    const char *reason = fstat(fd, &is) == 0 ? unfit(&is) : strerror(errno);
    int error = reason                                              ? refused(EPERM, why, size, "%s", reason)
                : is_of_this_process(fd) || !lock_file(fd, F_WRLCK) ? join_recording(fd, wish, r, why, size)
                                                                    : replace(fd, path, why, size);
    if (error)
        bo_raw1(SYS_close, fd);
    else
        bo_held_keep(&trace_file, fd);
    return error;
}

static int make_file(const char *path, struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why,
                     unsigned size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return errno == EEXIST ? use_old_file(path, wish, r, why, size)
                               : refused(errno, why, size, "%s", strerror(errno));
    if (!lock_file(fd, F_WRLCK)) /* another process has already found the new file, and replaces it */
        return bo_raw1(SYS_close, fd), AGAIN;
    int error = fchmod(fd, 0600) == 0 ? fill_file(fd, wish, r) : errno;
    if (!error) {
        lock_file(fd, F_RDLCK);
        bo_held_keep(&trace_file, fd);
        return 0;
    }
    unlink(path);
    bo_raw1(SYS_close, fd);
    return error == EFBIG ? refused(error, why, size,
                                    "files may not be as large (RLIMIT_FSIZE) as the least size of a recording, %d KiB",
                                    (BO_TRACE_CHUNKS_LEAST + 1) * BO_TRACE_PAGE / 1024)
                          : refused(error, why, size, "%s", strerror(error));
}

/* "%p" in the name is the process's id, "%%" a percent sign. */
static bool expand(char *path, size_t room, const char *name)
{
    size_t n = 0;
    for (; *name && n + 16 < room; name++)
        if (name[0] == '%' && name[1] == 'p')
            n += (size_t)snprintf(path + n, room - n, "%d", (int)getpid()), name++;
        else
            path[n++] = *name, name += name[0] == '%' && name[1] == '%';
    path[n] = '\0';
    return !*name;
}

int bo_trace_file_open(struct bo_trace_wish *wish, struct bo_trace_recording *r, char *why, unsigned size)
{
    char path[4096], shown[512], reason[256] = "";
    bo_held_forget(&trace_file);
    if (!wish->file)
        return open_memory(wish, r, why, size);
    int error = expand(path, sizeof path, wish->file)
                    ? AGAIN
                    : refused(ENAMETOOLONG, reason, sizeof reason, "its name is too long");
    for (int i = 0; error == AGAIN && i < TRIES; i++)
        error = make_file(path, wish, r, reason, sizeof reason);
    if (error == AGAIN)
        error = refused(EAGAIN, reason, sizeof reason, "other processes replace it again and again");
    if (error) {
        bo_plain(shown, sizeof shown, wish->file);
        refused(error, why, size, "cannot record to %s: %s", shown, reason);
    }
    return error;
}

int bo_trace_file_descriptor(void)
{
    return bo_held_is(&trace_file) ? trace_file.fd : -1;
}

bool bo_trace_file_is_locked(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return bo_held_is(&trace_file) && fcntl(trace_file.fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void bo_trace_file_forget(void)
{
    int saved = errno;
    bo_held_forget(&trace_file);
    errno = saved;
}

/* A thread may be writing at this moment, so the addresses stay valid: memory without a file replaces the mapping. */
void bo_trace_file_close(struct bo_trace_recording *r)
{
    (void)!mmap(r->head, bytes_of(r->head->chunks), PROT_READ | PROT_WRITE,
                MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bo_held_forget(&trace_file);
}
