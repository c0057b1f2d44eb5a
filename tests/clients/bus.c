/* SPDX-License-Identifier: MIT */
/* libdbus with a real dbus-daemon, and a service that never answers. */
#include "wait.h"
#include <dbus/dbus.h>

static DBusConnection *service, *caller;

static DBusConnection *connect_to_bus(void)
{
    DBusError error = DBUS_ERROR_INIT;
    DBusConnection *c = dbus_bus_get_private(DBUS_BUS_SESSION, &error);
    if (!c)
        FAIL("%s", error.message);
    dbus_connection_set_exit_on_disconnect(c, FALSE);
    return c;
}

static void begin(void)
{
    CHECK(dbus_threads_init_default());
    service = connect_to_bus();
    caller = connect_to_bus();
}

static void close_connection(DBusConnection *c)
{
    dbus_connection_close(c);
    dbus_connection_unref(c);
}

static void end(void)
{
    close_connection(caller);
    close_connection(service);
    dbus_shutdown();
}

static int call(void)
{
    DBusError error = DBUS_ERROR_INIT;
    DBusMessage *message =
        dbus_message_new_method_call(dbus_bus_get_unique_name(service), "/silent", "test.Silent", "Ask");
    DBusMessage *answer = dbus_connection_send_with_reply_and_block(caller, message, DBUS_TIMEOUT_INFINITE, &error);
    dbus_message_unref(message);
    if (answer)
        dbus_message_unref(answer);
    int wrong = answer || !dbus_error_is_set(&error);
    dbus_error_free(&error);
    return wrong;
}

static bool answered(void)
{
    dbus_connection_read_write(service, 0);
    DBusMessage *message = dbus_connection_pop_message(service);
    if (!message)
        return false;
    bool is_call = dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_METHOD_CALL;
    if (is_call) {
        DBusMessage *answer = dbus_message_new_error(message, DBUS_ERROR_FAILED, "enough");
        CHECK(dbus_connection_send(service, answer, NULL));
        dbus_message_unref(answer);
        dbus_connection_flush(service);
    }
    dbus_message_unref(message);
    return is_call;
}

/* Answers the call, because the library has no function that ends a blocked call. */
static void answer(void)
{
    while (!answered())
        ;
}

WAIT(dbus_connection_send_with_reply_and_block, .library = "libdbus",
     .call = "dbus_connection_send_with_reply_and_block()", .prepare = begin, .run = call, .release = answer,
     .finish = end, .why = "ignores a failed poll() and polls again; its own timeout or the answer ends it",
     .line = "dbus/dbus-transport-socket.c:1195", .dumped = "poll() called by libdbus-1.so.3")
