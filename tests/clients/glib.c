/* SPDX-License-Identifier: MIT */
/* GLib's threads, loop and condition variables, GIO's sockets, and GDBus with a service that never answers. */
#include "wait.h"
#include <gio/gio.h>
#include <sys/socket.h>

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static int join_thread(void)
{
    g_thread_join(g_thread_new("worker", gate_thread, NULL));
    return 0;
}

WAIT(g_thread_join, .library = "GLib", .call = "g_thread_join()", .run = join_thread, .release = gate_open,
     .why = "a join", .line = "glib/gthread-posix.c:1370", .dumped = "joins thread")

static GMutex mutex;
static GCond cond;
static bool done;

static int wait_for_cond(void)
{
    g_mutex_lock(&mutex);
    while (!done)
        g_cond_wait(&cond, &mutex);
    done = false;
    g_mutex_unlock(&mutex);
    return 0;
}

static void signal_cond(void)
{
    g_mutex_lock(&mutex);
    done = true;
    g_cond_signal(&cond);
    g_mutex_unlock(&mutex);
}

WAIT(g_cond_wait, .library = "GLib", .call = "g_cond_wait()", .run = wait_for_cond, .release = signal_cond,
     .why = "a condition wait with a predicate; makes the system call itself", .line = "glib/gthread-posix.c:1580",
     .dumped = "futex")

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static GMainLoop *volatile loop;

static int run_loop(void)
{
    GMainContext *own = g_main_context_new();
    GMainLoop *l = g_main_loop_new(own, FALSE);
    loop = l;
    g_main_loop_run(l);
    g_main_loop_unref(l);
    g_main_context_unref(own);
    return 0;
}

/* Makes a warning abort the process, as G_DEBUG=fatal-warnings and g_test_init() do. */
static void make_warnings_fatal(void)
{
    g_log_set_always_fatal((GLogLevelFlags)(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING));
}

static void quit_loop(void)
{
    g_main_loop_quit(loop);
}

WAIT(g_main_loop_run, .library = "GLib", .call = "g_main_loop_run()", .prepare = make_warnings_fatal, .run = run_loop,
     .release = quit_loop, .why = "retries on EINTR, warns of other errors; g_main_loop_quit() ends it",
     .line = "glib/gmain.c:4555", .dumped = "poll() called by libglib-2.0.so.0 failed with EINTR")

/* ---- GIO --------------------------------------------------------------------------------------------------------- */

static int pair[2];

static void make_pair(void)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static GSocket *silent_socket(void)
{
    GSocket *s = g_socket_new_from_fd(dup(pair[0]), NULL);
    CHECK(s);
    return s;
}

static int is_failure(GError *error)
{
    int wrong = !error || error->domain != G_IO_ERROR;
    g_clear_error(&error);
    return wrong;
}

static int receive(void)
{
    char byte;
    GError *error = NULL;
    GSocket *s = silent_socket();
    gssize n = g_socket_receive(s, &byte, 1, NULL, &error);
    g_object_unref(s);
    return n != -1 || is_failure(error);
}

WAIT(g_socket_receive, .library = "GIO", .call = "g_socket_receive()", .prepare = make_pair, .run = receive,
     .finish = close_pair)

static int read_stream(void)
{
    char byte;
    GError *error = NULL;
    GSocket *s = silent_socket();
    GSocketConnection *c = g_socket_connection_factory_create_connection(s);
    gssize n = g_input_stream_read(g_io_stream_get_input_stream(G_IO_STREAM(c)), &byte, 1, NULL, &error);
    g_object_unref(c);
    g_object_unref(s);
    return n != -1 || is_failure(error);
}

WAIT(g_input_stream_read, .library = "GIO", .call = "g_input_stream_read() of a connection", .prepare = make_pair,
     .run = read_stream, .finish = close_pair)

static GCancellable *cancel;

static void make_cancellable(void)
{
    make_pair();
    cancel = g_cancellable_new();
}

static void unref_cancellable(void)
{
    g_object_unref(cancel);
    close_pair();
}

/* With a cancellable GIO polls two descriptors. */
static int receive_cancellable(void)
{
    char byte;
    GError *error = NULL;
    GSocket *s = silent_socket();
    gssize n = g_socket_receive(s, &byte, 1, cancel, &error);
    g_object_unref(s);
    return n != -1 || is_failure(error);
}

WAIT(g_socket_receive_cancellable, .library = "GIO", .call = "g_socket_receive() with a GCancellable",
     .prepare = make_cancellable, .run = receive_cancellable, .finish = unref_cancellable)

/* ---- GDBus ------------------------------------------------------------------------------------------------------- */

static GDBusConnection *service, *caller;
static char *name;

/* The service takes every message and never answers. */
static GDBusMessage *swallow(GDBusConnection *c, GDBusMessage *message, gboolean incoming, gpointer unused)
{
    (void)c, (void)unused;
    if (!incoming || g_dbus_message_get_message_type(message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
        return message;
    g_object_unref(message);
    return NULL;
}

static GDBusConnection *connect_to_bus(void)
{
    GError *error = NULL;
    GDBusConnection *c = g_dbus_connection_new_for_address_sync(getenv("DBUS_SESSION_BUS_ADDRESS"),
                                                                G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                                    G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                                                NULL, NULL, &error);
    if (!c)
        FAIL("%s", error->message);
    return c;
}

/* GLib and GDBus each keep a thread with an eventfd until the process ends. */
static void begin_bus(void)
{
#ifndef ALONE
    static const char *const kept[] = {"gmain", "gdbus", NULL};
    t_expect_threads(kept);
    t_expect_descriptors(3);
#endif
    make_warnings_fatal();
    service = connect_to_bus();
    caller = connect_to_bus();
    name = g_strdup(g_dbus_connection_get_unique_name(service));
    g_dbus_connection_add_filter(service, swallow, NULL, NULL);
    cancel = g_cancellable_new();
}

static void end_bus(void)
{
    g_dbus_connection_close_sync(caller, NULL, NULL);
    g_dbus_connection_close_sync(service, NULL, NULL);
    g_object_unref(caller);
    g_object_unref(service);
    g_object_unref(cancel);
    g_free(name);
}

static int call(void)
{
    GError *error = NULL;
    GVariant *answer = g_dbus_connection_call_sync(caller, name, "/silent", "test.Silent", "Ask", NULL, NULL,
                                                   G_DBUS_CALL_FLAGS_NONE, G_MAXINT, cancel, &error);
    return answer || is_failure(error);
}

static void cancel_call(void)
{
    GCancellable *own = cancel;
    g_cancellable_cancel(own);
    cancel = g_cancellable_new();
    g_object_unref(own);
}

WAIT(g_dbus_connection_call_sync, .library = "GDBus", .call = "g_dbus_connection_call_sync()", .prepare = begin_bus,
     .run = call, .release = cancel_call, .finish = end_bus,
     .why = "runs a main loop, and another thread does the input and output; a GCancellable ends it",
     .line = "gio/gdbusconnection.c:2316", .dumped = "poll() called by libglib-2.0.so.0 failed with EINTR")
