/* SPDX-License-Identifier: MIT */
/* `bough record`: the process records to a file in memory. This command keeps the file open, and saves it when the
 * recording is over, or when the process has ended or was killed meanwhile. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "attach.h"
#include "command.h"
#include "mailbox.h"
#include "memfd.h"
#include "pid_ns.h"
#include "proc.h"
#include "trace/layout.h"

#define DEFAULT_SIZE ((uint64_t)64 << 20)
#define DEFAULT_THRESHOLD INT64_C(1000000)

struct wish {
    const char *file;
    double seconds; /* 0: until it is interrupted */
    uint64_t size;
    int64_t threshold;
    bool is_private;
};

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
    (void)signo;
    interrupted = 1;
}

static const int signals[] = {SIGHUP, SIGINT, SIGTERM};

/* The signals are delivered only while the command waits, with the mask `waiting`. */
static void catch_signals(sigset_t *waiting)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, waiting);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigdelset(waiting, signals[i]);
}

static int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits until a signal comes, the time is over, or the process has ended. Without a pidfd it polls ten times a
 * second. */
static void wait_for_end(pid_t pid, double seconds, const sigset_t *waiting)
{
    int fd = pid_ns_pidfd(pid);
    int64_t until = seconds > 0 ? clock_now() + (int64_t)(seconds * 1e9) : INT64_MAX;
    while (!interrupted && proc_alive(pid)) {
        int64_t left = until == INT64_MAX ? INT64_C(3600000000000) : until - clock_now();
        if (left <= 0)
            break;
        if (fd < 0 && left > 100000000)
            left = 100000000;
        struct timespec t = {(time_t)(left / 1000000000), left % 1000000000};
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (ppoll(&p, fd >= 0, &t, waiting) > 0)
            break;
    }
    if (fd >= 0)
        close(fd);
}

/* ---- the recording ----------------------------------------------------------------------------------------------- */

/* The lock shows the process that the recording is still wanted; without the lock the process ends the recording. */
static int open_recording(const struct arena *a, int number)
{
    char text[16];
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    snprintf(text, sizeof text, "%d", number);
    int fd = memfd_open(proc_alive(a->pid), text, MEMFD("bough-trace"), MEMFD_LENGTH | MEMFD_WRITTEN, O_RDONLY);
    if (fd >= 0)
        fcntl(fd, F_OFD_SETLK, &lock);
    return fd;
}

static int begin_recording(struct arena *a, const struct wish *w)
{
    struct bo_request l = {.kind = BO_ASK_RECORDING,
                           .from = a->apart ? 0 : getpid(),
                           .recording_flags = w->is_private ? BO_TRACE_WITHOUT_ARGUMENTS : 0,
                           .recording_size = w->size,
                           .threshold = w->threshold};
    int box = mailbox_send(a, &l);
    if (box < 0)
        return fail("%s", a->why), -1;
    int fd = l.error == 0 && l.fd >= 0 ? open_recording(a, l.fd) : -1;
    mailbox_done(a, box);
    if (l.error == EBUSY)
        fail("process %d records already: it was started with BOUGH_TRACE, or another `bough record` is at work",
             (int)a->pid);
    else if (l.error)
        fail("process %d can't record: %s", (int)a->pid, strerror(l.error));
    else if (fd < 0)
        fail("the recording of process %d can't be read", (int)a->pid);
    return fd;
}

/* If the process has ended, or hangs, the recording is saved as it is. */
static void end_recording(struct arena *a)
{
    struct bo_request l = {.kind = BO_ASK_RECORDING_END, .from = a->apart ? 0 : getpid()};
    int box = proc_alive(a->pid) ? mailbox_send(a, &l) : -1;
    if (box >= 0)
        mailbox_done(a, box);
}

/* ---- saving it --------------------------------------------------------------------------------------------------- */

static bool is_recording(int fd)
{
    char magic[sizeof BO_TRACE_MAGIC];
    return pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
           memcmp(magic, BO_TRACE_MAGIC, sizeof magic) == 0;
}

/* Makes a new file. Replaces an older recording, but no other file. */
static int make_file(const char *file)
{
    for (int i = 0; i < 2; i++) {
        int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : (fail("cannot create %s: %s", file, strerror(errno)), -1);
        int old = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        bool replace = old >= 0 && is_recording(old);
        if (old >= 0)
            close(old);
        if (!replace || unlink(file) != 0)
            break;
    }
    return fail("%s exists, and is not a recording: remove it, or name another file", file), -1;
}

static bool copy_range(int from, int to, off_t at, off_t end)
{
    char buffer[64 * 1024];
    while (at < end) {
        size_t most = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
        ssize_t n = pread(from, buffer, most, at);
        if (n <= 0 || pwrite(to, buffer, (size_t)n, at) != n)
            return false;
        at += n;
    }
    return true;
}

/* Copies the holes as holes, because most of a recording may be unused. */
static bool copy_file(int from, int to)
{
    struct stat is;
    if (fstat(from, &is) != 0 || ftruncate(to, is.st_size) != 0)
        return false;
    for (off_t at = 0; at < is.st_size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO;
        off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0 || !copy_range(from, to, data, hole))
            return false;
        at = hole;
    }
    return true;
}

static int record(struct arena *a, const struct wish *w)
{
    sigset_t waiting;
    int to = make_file(w->file);
    if (to < 0)
        return EXIT_FAILURE;
    catch_signals(&waiting);
    int from = begin_recording(a, w);
    if (from < 0) {
        unlink(w->file);
        close(to);
        return EXIT_FAILURE;
    }
    fprintf(stderr, w->seconds > 0 ? "recording process %d\n" : "recording process %d, until Ctrl-C\n", (int)a->pid);
    wait_for_end(a->pid, w->seconds, &waiting);
    end_recording(a);
    bool done = copy_file(from, to);
    int error = errno;
    close(from);
    if (close(to) != 0)
        done = false, error = errno;
    if (!done)
        return fail("cannot write %s: %s", w->file, strerror(error));
    fprintf(stderr, "recorded to %s: show it by `bough trace %s`\n", w->file, w->file);
    return EXIT_SUCCESS;
}

/* ---- the arguments ----------------------------------------------------------------------------------------------- */

static bool parse_number(const char *text, double most, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && *number >= 0 && *number <= most;
}

/* Reads a number of bytes, such as "64M". */
static bool parse_size(const char *text, uint64_t *size)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    int shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || *text == '-' || end[shift != 0] || n == 0 || n > ((uint64_t)1 << 30) >> shift)
        return false;
    *size = (uint64_t)n << shift;
    return true;
}

int record_main(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"size", required_argument, NULL, 'z'},
                                            {"threshold", required_argument, NULL, 't'},
                                            {"private", no_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct wish w = {.size = DEFAULT_SIZE, .threshold = DEFAULT_THRESHOLD};
    struct arena a;
    double number;
    for (int o; (o = getopt_long(argc, argv, "ho:", options, NULL)) != -1;)
        if (o == 'o')
            w.file = optarg;
        else if (o == 'n')
            w.is_private = true;
        else if (o == 's' && parse_number(optarg, 1e9, &number) && number > 0)
            w.seconds = number;
        else if (o == 's')
            return usage_error("record", "--seconds must be a number of seconds, got '%s'", optarg);
        else if (o == 't' && parse_number(optarg, 1e9, &number))
            w.threshold = (int64_t)(number * 1e6);
        else if (o == 't')
            return usage_error("record", "--threshold must be a number of ms, got '%s'", optarg);
        else if (o == 'z' && !parse_size(optarg, &w.size))
            return usage_error("record", "--size must be a number of bytes, up to 1G, got '%s'", optarg);
        else if (o != 'z')
            return o == 'h' ? help("record") : misused("record");
    if (argc - optind != 1 || !w.file)
        return usage_error("record", argc - optind != 1 ? "one process is wanted" : "no file is given: -o FILE");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("record", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = record(&a, &w);
    detach(&a);
    return status;
}
