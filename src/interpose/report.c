/* SPDX-License-Identifier: MIT */
/*
 * The report: the slots that were patched and those that were skipped. It is copied under the locks and delivered
 * without them, so the receiver may load objects, patch, fork, and take any time to write.
 */
#define _GNU_SOURCE
#include "interpose/report.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/plain.h"
#include "base/write.h"
#include "interpose/eintr.h"

struct list {
    struct entry {
        struct bough_slot slot; /* its strings are copies */
    } * entry;
    size_t count, room;
    const char *path, *object; /* the last entry's path, owned by the loader, and its copy */
    bool full;                 /* memory could not be allocated */
};

static const char *copy_name(struct list *list, const char *text)
{
    char *own = text ? strdup(text) : NULL;
    list->full |= text && !own;
    return own;
}

/* One copy for all entries of an object, which are consecutive. */
static const char *copy_object(struct list *list, const char *path)
{
    if (!list->object || path != list->path)
        list->object = copy_name(list, path);
    list->path = path;
    return list->object;
}

static bool grow_list(struct list *list)
{
    if (list->count < list->room)
        return true;
    size_t room = list->room ? 2 * list->room : 256;
    struct entry *larger = realloc(list->entry, room * sizeof *larger);
    if (!larger)
        return false;
    list->entry = larger;
    list->room = room;
    return true;
}

static void keep_slot(void *context, const struct bough_slot *slot)
{
    struct list *list = context;
    if (list->full || !grow_list(list)) {
        list->full = true;
        return;
    }
    const char *object = copy_object(list, slot->object);
    list->entry[list->count++].slot =
        (struct bough_slot){object, copy_name(list, slot->symbol), slot->at, slot->state, copy_name(list, slot->why)};
}

static void forget_list(struct list *list)
{
    const char *object = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct bough_slot *slot = &list->entry[i].slot;
        if (slot->object != object)
            free((char *)object);
        object = slot->object;
        free((char *)slot->symbol);
        free((char *)slot->why);
    }
    free((char *)object);
    free(list->entry);
}

int bough_interposed(void (*visit)(void *context, const struct bough_slot *slot), void *context)
{
    struct list list = {.count = 0};
    if (!visit)
        return errno = EINVAL, -1;
    int count = bo_interpose_visit(keep_slot, &list);
    for (size_t i = 0; count >= 0 && !list.full && i < list.count; i++)
        visit(context, &list.entry[i].slot);
    forget_list(&list);
    return list.full ? (errno = ENOMEM, -1) : count;
}

/* ---- as text ----------------------------------------------------------------------------------------------- */

struct page {
    int fd, error;
    const char *object; /* the object whose lines are being written */
};

static void write_part(struct page *p, const char *text, size_t size)
{
    if (!p->error && !bo_write_all(p->fd, text, size))
        p->error = errno;
}

/* Writes one line, which may contain names of objects. */
BOUGH_FORMAT(2, 3) static void line(struct page *p, const char *format, ...)
{
    char text[PATH_MAX + 256], plain[sizeof text];
    va_list arguments;
    if (p->error)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = bo_plain(plain, sizeof plain - 1, text);
    plain[length++] = '\n';
    write_part(p, plain, length);
}

static void print(void *context, const struct bough_slot *slot)
{
    static const char *const words[] = {"interposed", "hooked", "skipped"};
    struct page *p = context;
    if (p->object != slot->object)
        line(p, "%s", *slot->object ? slot->object : "(the program)");
    p->object = slot->object;
    line(p, "  %-24s %s%s%s", slot->symbol ? slot->symbol : "-", words[slot->state], slot->why ? ": " : "",
         slot->why ? slot->why : "");
}

static void print_eintr_only(void *context, const char *name, bool built_in)
{
    line(context, "  %-24s %s", *name ? name : "(the program)", built_in ? "built in" : "added");
}

static const char eintr_only[] = "calls of these objects fail with no error but EINTR, because they abort on others:\n";
static const char ignorant[] =
    "waits that no error ends, because the library ignores the failure and waits again: libdbus's blocking calls, GDBus's, "
    "GLib's main loop, Boost.Asio's io_context::run()\n";
static const char standing[] =
    "not reached, in any object: calls inside libc itself, system calls made by hand (syscall(), io_uring), addresses got "
    "from dlsym() or kept in data\n";

int bough_interpose_report(int fd)
{
    struct page p = {.fd = fd};
    if (bough_interposed(print, &p) < 0)
        return -1;
    write_part(&p, eintr_only, sizeof eintr_only - 1);
    bo_eintr_visit(print_eintr_only, &p);
    write_part(&p, ignorant, sizeof ignorant - 1);
    write_part(&p, standing, sizeof standing - 1);
    return p.error ? (errno = p.error, -1) : 0;
}
