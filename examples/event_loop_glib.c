/* SPDX-License-Identifier: MIT */
/* A thread that lives in GLib's main loop: bough_event_fd() is a source that ends it. */
#include <bough.h>
#include <glib-unix.h>
#include <stdio.h>

static gboolean tick(gpointer unused)
{
    (void)unused;
    puts("tick");
    return G_SOURCE_CONTINUE;
}

static gboolean interrupted(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    if (bough_check() == 0)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static void add_source(GSource *source, GSourceFunc function, GMainLoop *loop)
{
    g_source_set_callback(source, function, loop, NULL);
    g_source_attach(source, g_main_loop_get_context(loop));
    g_source_unref(source);
}

static int run_loop(void *unused)
{
    GMainContext *context = g_main_context_new();
    GMainLoop *loop = g_main_loop_new(context, FALSE);
    add_source(g_unix_fd_source_new(bough_event_fd(), G_IO_IN), G_SOURCE_FUNC(interrupted), loop);
    add_source(g_timeout_source_new(50), tick, loop);
    g_main_loop_run(loop);
    puts("the loop ends");
    g_main_loop_unref(loop);
    g_main_context_unref(context);
    (void)unused;
    return ECANCELED;
}

int main(void)
{
    bough_signals(0);
    BOUGH_BRANCH(loops) {
        bough_add(loops, run_loop, bough_arg(NULL));
        bough_usleep(300000);
        bough_interrupt(loops, "a few ticks are enough");
    }
    return bough_last_result();
}
