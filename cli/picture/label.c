/* SPDX-License-Identifier: MIT */
#include "label.h"
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include "base/plain.h"

/* XML does not allow these characters, not even escaped. */
static bool is_forbidden(uint32_t code)
{
    return (code & 0xfffe) == 0xfffe;
}

static const char *escape(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void xml_put(FILE *out, const char *text)
{
    while (*text) {
        uint32_t code;
        int length = bo_character(text, &code);
        if (escape(*text))
            fputs(escape(*text), out);
        else if (length && bo_printable(text) && !is_forbidden(code))
            fwrite(text, 1, (size_t)length, out);
        else
            fputs("\xef\xbf\xbd", out);
        text += length ? length : 1;
    }
}

/* ---- widths ------------------------------------------------------------------------------------------------------ */

/* In percent of the font's size: of DejaVu Sans, which is wider than Helvetica, Arial and Inter. */
static const unsigned char widths[] = {
    32, 40, 46, 84, 64, 95, 78, 28, 39,  39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 56, 102, 69, 69, 72, 77, 67, 61, 78, 75, 29, 50, 67, 56, 86, 75, 79,
    67, 79, 72, 67, 61, 73, 68, 99, 69,  67, 69, 39, 34, 39, 84, 56, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63,  63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
};

static double width_of(uint32_t code)
{
    if (code >= ' ' && code <= '~')
        return widths[code - ' '] / 100.0;
    if (code == 0x2026 || code >= 0x2e80) /* the ellipsis; ideographs, and pictures */
        return code >= 0x1f000 ? 1.4 : 1.0;
    return code < 0x250 ? 0.8 : 1.0;
}

double label_width(const char *text, double size)
{
    double width = 0;
    while (*text) {
        uint32_t code;
        int length = bo_character(text, &code);
        width += width_of(length ? code : 0xfffd);
        text += length ? length : 1;
    }
    return width * size;
}

/* How many bytes of the text fit. */
static size_t bytes_in(const char *text, double size, double room, size_t most)
{
    size_t at = 0;
    while (text[at]) {
        uint32_t code;
        int length = bo_character(text + at, &code);
        room -= width_of(length ? code : 0xfffd) * size;
        if (room < 0 || at + (size_t)(length ? length : 1) > most)
            return at;
        at += (size_t)(length ? length : 1);
    }
    return at;
}

const char *label_fit(char *to, size_t size, const char *text, double font, double room)
{
    size_t whole = bytes_in(text, font, room, size - 4);
    if (!text[whole]) {
        memcpy(to, text, whole + 1);
        return to;
    }
    size_t part = bytes_in(text, font, room - width_of(0x2026) * font, size - 4);
    while (part && text[part - 1] == ' ')
        part--;
    if (part < 3) /* fewer letters are no help to the reader */
        part = 0;
    memcpy(to, text, part);
    strcpy(to + part, part ? "…" : "");
    return to;
}

const char *label_fit_call(char *to, size_t size, const char *text, double font, double room)
{
    char name[LABEL];
    size_t length = strcspn(text, "(");
    label_fit(to, size, text, font, room);
    if (!length || length >= sizeof name || !text[length] || !strcmp(to, text) || strlen(to) >= length + 5)
        return to;
    memcpy(name, text, length);
    name[length] = '\0';
    return label_fit(to, size, name, font, room);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void drop_zeros(char *text)
{
    char *end = text + strlen(text);
    while (strchr(text, '.') && end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        end[-1] = '\0';
}

const char *label_time(char *to, size_t size, int64_t ns)
{
    static const struct {
        int64_t unit;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    char number[48];
    int64_t s = ns / 1000000000;
    int k = 0;
    if (ns >= 120 * INT64_C(1000000000)) {
        snprintf(to, size, "%" PRId64 " min %" PRId64 ".%" PRId64 " s", s / 60, s % 60, ns / 100000000 % 10);
        return to;
    }
    while (k < 3 && ns < units[k].unit)
        k++;
    double value = (double)ns / (double)units[k].unit;
    snprintf(number, sizeof number, "%.*f", value < 10 ? 3 : value < 100 ? 2 : 1, value);
    drop_zeros(number);
    snprintf(to, size, "%s %s", ns ? number : "0", ns ? units[k].name : "s");
    return to;
}

const char *label_number(char *to, size_t size, uint64_t n)
{
    char digits[24], *out = to;
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < length && (size_t)(out - to) + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return to;
}
