/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/maps.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/raw.h"
#include "inspect/build_id.h"

/* ---- reading -------------------------------------------------------------------------------------- */

static uintptr_t hex_value(const char **at)
{
    uintptr_t n = 0;
    for (;; (*at)++) {
        char c = **at;
        if (c >= '0' && c <= '9')
            n = n << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return n;
    }
}

static const char *skip_fields(const char *at, int count)
{
    while (count-- > 0) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    return at;
}

/* The mappings of a file are consecutive, so its name is stored once. */
static uint32_t keep_name(struct bo_maps *m, const char *name)
{
    size_t size = strlen(name) + 1;
    if (m->names_used + size > sizeof m->names)
        return 0;
    memcpy(m->names + m->names_used, name, size);
    m->names_used += size;
    return (uint32_t)(m->names_used - size);
}

/* `first`: where the mappings of the current line's file begin. */
struct reading {
    uintptr_t first;
    uint32_t name;
};

/* "55fc7fcd9000-55fc7fcdb000 r-xp 00002000 fe:00 247498          /usr/bin/head" */
static void take_line(struct bo_maps *m, struct reading *r, const char *line)
{
    const char *at = line;
    uintptr_t low = hex_value(&at);
    at++;
    uintptr_t high = hex_value(&at);
    const char *rights = at + 1, *name = skip_fields(rights, 4);
    if (strlen(rights) < 4)
        return;
    bool same = *name && strcmp(name, m->names + r->name) == 0;
    if (!same) {
        r->first = low;
        r->name = 0;
    }
    if (*name && !same)
        r->name = keep_name(m, name);
    if (rights[2] == 'x' && m->count < BO_MODULES)
        m->module[m->count++] = (struct bo_module){low, high, r->first, r->name};
}

static void take_chunk(struct bo_maps *m, struct reading *r, size_t *used, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (m->chunk[i] != '\n') {
            if (*used < sizeof m->line - 1)
                m->line[(*used)++] = m->chunk[i];
            continue;
        }
        m->line[*used] = '\0';
        take_line(m, r, m->line);
        *used = 0;
    }
}

void bo_maps_read(struct bo_maps *m)
{
    struct reading r = {0};
    size_t used = 0;
    m->count = 0;
    m->names[0] = '\0'; /* name 0 is the empty name */
    m->names_used = 1;
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), n;
    if (fd < 0)
        return;
    while ((n = bo_raw3(SYS_read, fd, (long)m->chunk, sizeof m->chunk)) > 0 || n == -EINTR)
        take_chunk(m, &r, &used, n > 0 ? (size_t)n : 0);
    bo_raw1(SYS_close, fd);
}

/* ---- queries -------------------------------------------------------------------------------------- */

const struct bo_module *bo_maps_find(const struct bo_maps *m, uintptr_t code)
{
    unsigned low = 0, high = m->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (code >= m->module[middle].high)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->count && code >= m->module[low].low ? &m->module[low] : NULL;
}

void bo_put_code(struct bo_out *o, const struct bo_maps *m, uintptr_t code)
{
    const struct bo_module *module = bo_maps_find(m, code);
    const char *path = module ? m->names + module->name : "", *last = strrchr(path, '/');
    if (!*path) {
        bo_put(o, "0x%lx", (unsigned long)code);
        return;
    }
    bo_put_name(o, last ? last + 1 : path);
    bo_put(o, "+0x%lx", (unsigned long)(code - module->base));
}

static void put_build_id(struct bo_out *o, uintptr_t base)
{
    unsigned char id[BO_BUILD_ID];
    size_t length = bo_build_id(base, id);
    for (size_t i = 0; i < length; i++)
        bo_put(o, "%02x", id[i]);
    bo_put(o, length ? " " : "- ");
}

void bo_put_modules(struct bo_out *o, const struct bo_maps *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct bo_module *module = &m->module[i];
        if (!module->name || (i && m->module[i - 1].name == module->name))
            continue;
        bo_put(o, "  0x%lx ", (unsigned long)module->base);
        put_build_id(o, module->base);
        bo_put_name(o, m->names + module->name);
        bo_put(o, "\n");
    }
}
