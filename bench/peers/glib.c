/* SPDX-License-Identifier: MIT */
/* GLib: a GCancellable, tested by a call, and waited for by its descriptor. */
#include "../bench.h"

#include <gio/gio.h>

static void check(struct batch *batch)
{
    GCancellable *cancellable = g_cancellable_new();
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        if (G_UNLIKELY(g_cancellable_is_cancelled(cancellable)))
            bench_die("g_cancellable_is_cancelled() is true without a cancellation");
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
    g_object_unref(cancellable);
}

static gpointer reader(gpointer data)
{
    GCancellable *cancellable = data;
    GPollFD wait[2] = {{.fd = bench_empty(), .events = G_IO_IN}};
    if (!g_cancellable_make_pollfd(cancellable, &wait[1]))
        bench_die("g_cancellable_make_pollfd() failed");
    bench_blocking();
    while (!g_cancellable_is_cancelled(cancellable))
        g_poll(wait, 2, -1);
    g_cancellable_release_fd(cancellable);
    return NULL;
}

static void post(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        GCancellable *cancellable = g_cancellable_new();
        GThread *thread = g_thread_new("reader", reader, cancellable);
        bench_await_blocked();
        int64_t start = bench_now();
        g_cancellable_cancel(cancellable);
        g_thread_join(thread);
        bench_record(batch, bench_now() - start, 1);
        g_object_unref(cancellable);
    }
}

const struct contender bench_glib[] = {
    {BENCH_CHECK, "GCancellable", NULL, check, NULL},
    {BENCH_POST, "GCancellable, g_poll()", NULL, post, NULL},
    {0, NULL, NULL, NULL, NULL},
};
