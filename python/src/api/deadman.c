/* SPDX-License-Identifier: MIT */
/*
 * The dead man's switch of the pytest plugin (_pytest.py). It acts when a test stays in C code that holds the GIL, so
 * that no Python code can run.
 *
 *      deadman_set(pokes_in, ends_in, ...) ... deadman_set() again, deadman_move() or deadman_off()
 *
 * After `pokes_in` seconds the switch sends a signal to the thread that has set it, main, ten times a second. The
 * signal interrupts a system call of the C code. The signal's handler, which is Python code, runs as soon as the C code
 * returns or checks for signals, as a long match of the module re does. After `ends_in` seconds the switch writes a
 * report and ends the process.
 *
 * The switch is a thread that never needs the GIL. It takes no lock but a mutex that is held for a few instructions.
 */
#include "base/base.h"
#include "api/module.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* BETWEEN (ns) two signals. At LEAST so many signals come before the end: if the process was stopped (SIGSTOP), both
 * times may be over when it continues, but Python code must get a chance to run first. */
enum { BETWEEN = 100000000, LEAST = 10, SECOND = 1000000000 };

static struct deadman {
    int64_t pokes_at, ends_at; /* ns of CLOCK_MONOTONIC; ends_at 0: off */
    int pokes;                 /* the number of signals since the switch was set */
    int signo, fd, status;
    char *text;
    PyThreadState *ts; /* of the thread that has set the switch */
    pthread_t thread;  /* the thread that has set the switch */
} switched;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pid_t runs_in; /* the process in which the switch's thread runs: a forked process has no such thread */

static int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)SECOND + t.tv_nsec;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void put_bytes(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, text, size);
        if (put < 0 && errno != EINTR)
            return;
        text += put > 0 ? put : 0;
        size -= put > 0 ? (size_t)put : 0;
    }
}

static void put_text(int fd, const char *text)
{
    put_bytes(fd, text, strlen(text));
}

/* Writes the test's output, if pytest captures it: then the descriptor refers to a file that has been unlinked. */
static void put_captured(int fd, int captured, const char *title)
{
    char path[32], piece[4096];
    struct stat is;
    if (fstat(captured, &is) != 0 || !S_ISREG(is.st_mode) || is.st_nlink != 0 || is.st_size == 0)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", captured);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    put_text(fd, title);
    for (ssize_t size; (size = read(file, piece, sizeof piece)) > 0;)
        put_bytes(fd, piece, (size_t)size);
    close(file);
}

static _Noreturn void end_process(const struct deadman *d)
{
    char line[512];
    put_text(d->fd, d->text);
    if (bp_innermost_line(d->ts, line, sizeof line)) {
        put_text(d->fd, "The test is stuck at:\n  ");
        put_text(d->fd, line);
        put_text(d->fd, "\n");
    }
    put_captured(d->fd, STDOUT_FILENO, "---- captured stdout ----\n");
    put_captured(d->fd, STDERR_FILENO, "---- captured stderr ----\n");
    bough_dump(d->fd);
    put_text(d->fd, d->text); /* again, because a dump is long */
    _exit(d->status);
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* Does the step that is due now. Returns the time of the next step. */
static int64_t look(struct deadman *d)
{
    int64_t at = clock_now();
    if (at < d->pokes_at)
        return d->pokes_at;
    if (at >= d->ends_at && d->pokes >= LEAST)
        end_process(d);
    d->pokes++;
    if (d->signo)
        pthread_kill(d->thread, d->signo); /* the thread is alive: it calls deadman_off() before it ends */
    return at + BETWEEN;
}

static void *deadman_thread(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-deadman");
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!switched.ends_at)
            pthread_cond_wait(&changed, &mutex);
        int64_t again = look(&switched);
        struct timespec until = {again / SECOND, again % SECOND};
        pthread_cond_timedwait(&changed, &mutex, &until);
    }
    return NULL;
}

static int start(void)
{
    pthread_condattr_t clock;
    pthread_t thread;
    sigset_t all, before;
    if (runs_in == getpid())
        return 0;
    pthread_mutex_init(&mutex, NULL); /* after a fork a thread that does not exist here may hold it */
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &clock);
    pthread_condattr_destroy(&clock);
    switched = (struct deadman){0};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, deadman_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return errno = error, -1;
    pthread_detach(thread);
    runs_in = getpid();
    return 0;
}

/* ---- methods ----------------------------------------------------------------------------------------------------- */

static int64_t in_seconds(double seconds)
{
    return clock_now() + (seconds < 1e9 ? (int64_t)(seconds * SECOND) : (int64_t)SECOND * SECOND);
}

/* Returns the previous text, which the caller frees. */
static char *set(const struct deadman *d)
{
    pthread_mutex_lock(&mutex);
    bool sooner = !switched.ends_at || d->pokes_at < switched.pokes_at;
    char *before = switched.text;
    switched = *d;
    if (sooner)
        pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
    return before;
}

static PyObject *deadman_set(PyObject *module, PyObject *args)
{
    struct deadman d = {.ts = PyThreadState_Get(), .thread = pthread_self()};
    double pokes_in, ends_in;
    const char *text;
    (void)module;
    if (!PyArg_ParseTuple(args, "ddiiis:deadman_set", &pokes_in, &ends_in, &d.signo, &d.fd, &d.status, &text))
        return NULL;
    d.pokes_at = in_seconds(pokes_in);
    d.ends_at = in_seconds(ends_in);
    if (start() != 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (!(d.text = strdup(text)))
        return PyErr_NoMemory();
    free(set(&d));
    Py_RETURN_NONE;
}

static PyObject *deadman_move(PyObject *module, PyObject *args)
{
    double pokes_in, ends_in;
    (void)module;
    if (!PyArg_ParseTuple(args, "dd:deadman_move", &pokes_in, &ends_in))
        return NULL;
    if (runs_in != getpid())
        Py_RETURN_NONE;
    pthread_mutex_lock(&mutex);
    if (switched.ends_at) {
        switched.pokes_at = in_seconds(pokes_in);
        switched.ends_at = in_seconds(ends_in);
        switched.pokes = 0;
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&mutex);
    Py_RETURN_NONE;
}

/* Does not wake the switch's thread, which would cost time here: the thread notices at the end of its present wait. */
static PyObject *deadman_off(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    if (runs_in == getpid()) {
        pthread_mutex_lock(&mutex);
        switched.ends_at = 0;
        pthread_mutex_unlock(&mutex);
    }
    Py_RETURN_NONE;
}

PyMethodDef bp_deadman_methods[] = {
    {"deadman_set", deadman_set, METH_VARARGS,
     PyDoc_STR("deadman_set(pokes_in, ends_in, signo, fd, status, text): times in seconds; signo 0: send no signal.")},
    {"deadman_move", deadman_move, METH_VARARGS,
     PyDoc_STR("deadman_move(pokes_in, ends_in): change the times, if the switch is set.")},
    {"deadman_off", deadman_off, METH_NOARGS, PyDoc_STR("deadman_off(): send no signal and do not end the process.")},
    {0},
};
