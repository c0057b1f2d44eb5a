/* SPDX-License-Identifier: MIT */
/* A table of text, aligned by spaces. */
#include "bench.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_begin(struct table *table, const char *const *titles, const char *align)
{
    memset(table, 0, sizeof *table);
    table->titles = titles;
    table->align = align;
    table->columns = strlen(align);
}

void table_cell(struct table *table, const char *format, ...)
{
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 128;
        table->cells = realloc(table->cells, table->room * sizeof *table->cells);
        if (!table->cells)
            bench_die("out of memory");
    }
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&table->cells[table->count++], format, arguments) < 0)
        bench_die("out of memory");
    va_end(arguments);
}

static void print_cell(FILE *out, const char *text, char align, size_t width, int last)
{
    int pad = (int)(width - strlen(text));
    if (align == '>')
        fprintf(out, "%*s%s", pad, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", out);
}

void table_print(const struct table *table, FILE *out)
{
    size_t columns = table->columns, width[32];
    if (columns == 0)
        return;
    for (size_t c = 0; c < columns; c++)
        width[c] = strlen(table->titles[c]);
    for (size_t i = 0; i < table->count; i++)
        if (strlen(table->cells[i]) > width[i % columns])
            width[i % columns] = strlen(table->cells[i]);

    for (size_t c = 0; c < columns; c++)
        print_cell(out, table->titles[c], table->align[c], width[c], c + 1 == columns);
    for (size_t c = 0; c < columns; c++) {
        for (size_t i = 0; i < width[c]; i++)
            fputc('-', out);
        fputs(c + 1 == columns ? "\n" : "  ", out);
    }
    for (size_t i = 0; i < table->count; i++)
        print_cell(out, table->cells[i], table->align[i % columns], width[i % columns], (i + 1) % columns == 0);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    memset(table, 0, sizeof *table);
}

static char *ring(void)
{
    static char buffers[16][32];
    static unsigned next;
    return buffers[next++ % 16];
}

const char *text_ns(double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    char *text = ring();
    size_t unit = 0;
    if (isnan(ns))
        return "-";
    while (ns >= 1000 && unit < 3) {
        ns /= 1000;
        unit++;
    }
    snprintf(text, 32, ns < 10 ? "%.2f %s" : ns < 100 ? "%.1f %s" : "%.0f %s", ns, units[unit]);
    return text;
}

const char *text_bytes(double bytes)
{
    char *text = ring();
    if (isnan(bytes))
        return "-";
    snprintf(text, 32, "%.1f KiB", bytes / 1024);
    return text;
}
