/* SPDX-License-Identifier: MIT */
/* Text in columns: a character takes 0, 1 or 2 columns. */
#define _GNU_SOURCE
#include "draw.h"
#include <curses.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void sink_begin(struct sink *s)
{
    *s = (struct sink){0};
    s->out = open_memstream(&s->text, &s->size);
    if (!s->out)
        s->out = fopen("/dev/null", "we");
    if (!s->out)
        abort();
}

void sink_drop(struct sink *s)
{
    fclose(s->out);
    free(s->text);
}

void sink_draw(struct sink *s, int width)
{
    fclose(s->out);
    draw_text(s->text ? s->text : "", width);
    free(s->text);
}

/* The length of the first character, and its width; a character without a known width is replaced. */
static size_t next(const char *text, int *width)
{
    wchar_t c;
    mbstate_t state = {0};
    size_t n = mbrtowc(&c, text, strlen(text), &state);
    if (n == 0 || n > strlen(text) || wcwidth(c) < 0) {
        *width = -1;
        return n && n <= strlen(text) ? n : 1;
    }
    *width = wcwidth(c);
    return n;
}

void draw_text(const char *text, int width)
{
    while (*text && width > 0) {
        int columns;
        size_t n = next(text, &columns);
        if (columns > width)
            break;
        if (columns < 0)
            addch('?');
        else
            addnstr(text, (int)n);
        width -= columns < 0 ? 1 : columns;
        text += n;
    }
    while (width-- > 0)
        addch(' ');
}

void put_short_time(FILE *out, int64_t ns)
{
    int64_t ms = (ns > 0 ? ns : 0) / 1000000, s = ms / 1000;
    if (s < 60)
        fprintf(out, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (s < 3600)
        fprintf(out, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        fprintf(out, "%" PRId64 "h%02" PRId64 "m", s / 3600, s % 3600 / 60);
    else
        fprintf(out, "%" PRId64 "d%02" PRId64 "h", s / 86400, s % 86400 / 3600);
}
