/* SPDX-License-Identifier: MIT */
/* Nothing in the recorded bytes is trusted. */
#include "trace/argument.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static const char *internet_text(struct builder *b, const void *address, int family, in_port_t port)
{
    char host[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family, address, host, sizeof host);
    return build_format(b, family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, ntohs(port));
}

static const char *unix_text(struct builder *b, const char *path, size_t length)
{
    if (length && !*path)
        return build_format(b, "@%s", build_text(b, path + 1, length - 1));
    return build_text(b, path, length);
}

static const char *address_text(struct builder *b, const char *text, size_t length)
{
    struct sockaddr_storage s = {0};
    memcpy(&s, text, length < sizeof s ? length : sizeof s);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&s;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&s;
    const size_t before = offsetof(struct sockaddr_un, sun_path);
    if (s.ss_family == AF_INET && length >= sizeof *v4)
        return internet_text(b, &v4->sin_addr, AF_INET, v4->sin_port);
    if (s.ss_family == AF_INET6 && length >= offsetof(struct sockaddr_in6, sin6_scope_id))
        return internet_text(b, &v6->sin6_addr, AF_INET6, v6->sin6_port);
    if (s.ss_family == AF_UNIX && length > before)
        return unix_text(b, text + before, length - before);
    return build_format(b, "address family %d", (int)s.ss_family);
}

/* ---- the kinds --------------------------------------------------------------------------------------------------- */

static const char *with_timeout(struct builder *b, const char *what, uint64_t value)
{
    uint32_t timeout = (uint32_t)(value >> 32);
    return timeout ? build_format(b, "%s, at most %" PRIu32 " ms", what, timeout - 1) : what;
}

static const char *count_text(struct builder *b, unsigned call, uint32_t count)
{
    const char *what = call == BO_TRACE_IN_AIO ? "operation" : "descriptor";
    return build_format(b, "%" PRIu32 " %s%s", count, what, count == 1 ? "" : "s");
}

static const char *time_text(struct builder *b, uint64_t ns)
{
    return ns % 1000000 ? build_format(b, "%.3f ms", (double)ns / 1e6)
                        : build_format(b, "%" PRIu64 " ms", ns / 1000000);
}

static const char *path_text(struct builder *b, int32_t folder, const char *text, size_t length)
{
    const char *path = build_text(b, text, length);
    bool is_whole = *path == '/' || strncmp(path, BO_TRACE_CUT, strlen(BO_TRACE_CUT)) == 0;
    return is_whole || folder == AT_FDCWD ? path : build_format(b, "%s in fd %" PRId32, path, folder);
}

static const char *socket_text(struct builder *b, int32_t fd, const char *text, size_t length)
{
    const char *address = address_text(b, text, length);
    return fd == -1 ? address : build_format(b, "fd %" PRId32 ", %s", fd, address);
}

static const char *child_text(struct builder *b, int32_t pid)
{
    if (pid > 0)
        return build_format(b, "process %" PRId32, pid);
    if (pid == -1)
        return "any child";
    return pid ? build_format(b, "process group %" PRId64, -(int64_t)pid) : "the same process group";
}

static const char *branch_text(struct builder *b, uint32_t process, uint64_t handle)
{
    int branch =
        handle_is_branch(handle) && !handle_is_root(handle) ? build_branch(b, process, handle, "") : TRACE_NONE;
    return branch == TRACE_NONE ? "" : b->trace->branches[branch].name;
}

static const char *signal_name(int signal)
{
    static const char *const names[32] = {
        [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",   [SIGABRT] = "SIGABRT",
        [SIGUSR1] = "SIGUSR1", [SIGUSR2] = "SIGUSR2", [SIGPIPE] = "SIGPIPE",   [SIGALRM] = "SIGALRM",
        [SIGTERM] = "SIGTERM", [SIGCHLD] = "SIGCHLD", [SIGCONT] = "SIGCONT",   [SIGTSTP] = "SIGTSTP",
        [SIGTTIN] = "SIGTTIN", [SIGTTOU] = "SIGTTOU", [SIGWINCH] = "SIGWINCH", [SIGIO] = "SIGIO",
    };
    return signal < 32 ? names[signal] : NULL;
}

static const char *signals_text(struct builder *b, uint64_t signals)
{
    char text[512] = "";
    size_t used = 0;
    for (int i = 1; i <= 64 && used < sizeof text - 16; i++) {
        const char *name = signal_name(i);
        if (!(signals >> (i - 1) & 1))
            continue;
        used += (size_t)(name ? snprintf(text + used, sizeof text - used, " %s", name)
                              : snprintf(text + used, sizeof text - used, " signal %d", i));
    }
    return build_format(b, "%s", used ? text + 1 : "no signal");
}

const char *argument_text(struct builder *b, const struct argument *a)
{
    switch (a->kind) {
    case BO_TRACE_FD:
        return with_timeout(b, build_format(b, "fd %" PRId32, (int32_t)a->value), a->value);
    case BO_TRACE_ADDRESS:
        return build_format(b, "0x%" PRIx64, a->value);
    case BO_TRACE_TIME:
        return time_text(b, a->value);
    case BO_TRACE_ID:
        return build_format(b, "id %" PRId32, (int32_t)a->value);
    case BO_TRACE_COUNT:
        return with_timeout(b, count_text(b, a->call, (uint32_t)a->value), a->value);
    case BO_TRACE_BELOW:
        return with_timeout(b, build_format(b, "descriptors below %" PRIu32, (uint32_t)a->value), a->value);
    case BO_TRACE_PATH:
        return path_text(b, (int32_t)a->value, a->text, a->length);
    case BO_TRACE_SOCKET:
        return socket_text(b, (int32_t)a->value, a->text, a->length);
    case BO_TRACE_CHILD:
        return child_text(b, (int32_t)a->value);
    case BO_TRACE_THREAD:
        return (int32_t)a->value > 0 ? build_format(b, "thread %" PRId32, (int32_t)a->value)
                                     : "a thread that has ended";
    case BO_TRACE_BRANCH:
        return branch_text(b, a->process, a->value);
    case BO_TRACE_SIGNALS:
        return signals_text(b, a->value);
    case BO_TRACE_NAME_OF:
        return build_text(b, a->text, a->length);
    default:
        return "";
    }
}
