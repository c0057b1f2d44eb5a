/* SPDX-License-Identifier: MIT */
#include "base/plain.h"
#include <stdbool.h>
#include <string.h>

/* ---- UTF-8 --------------------------------------------------------------------------------------- */

static int length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Whether the encoding is the shortest one, and the code is no surrogate and not above U+10FFFF. */
static bool well_formed(uint32_t code, int length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

int bo_character(const char *text, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text;
    int length = length_of(s[0]);
    *code = length < 2 ? s[0] : s[0] & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (s[i] & 0x3fu);
    }
    return length && well_formed(*code, length) ? length : 0;
}

size_t bo_cut(const char *text, size_t most)
{
    size_t length = strnlen(text, most), first = length;
    if (!text[length]) /* the whole text fits */
        return length;
    while (first && length - first < 3 && (text[first - 1] & 0xc0) == 0x80)
        first--;
    bool is_part = first && length_of((unsigned char)text[first - 1]) > (int)(length - first + 1);
    return is_part ? first - 1 : length;
}

/* ---- characters that are shown unchanged ---------------------------------------------------------------------- */

/* These ranges are control characters (C0, DEL, C1), line and paragraph separators, characters that set or override a
 * direction, and invisible characters. */
static const struct {
    uint32_t first, last;
} escaped[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},   {0x200e, 0x200f},
    {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
};

int bo_printable(const char *text)
{
    uint32_t code;
    int length = bo_character(text, &code);
    for (size_t i = 0; length && i < sizeof escaped / sizeof *escaped; i++)
        if (code >= escaped[i].first && code <= escaped[i].last)
            return 0;
    return length;
}

/* Escapes byte by byte. That escapes whole characters, because no character begins with a continuation byte. */
size_t bo_plain(char *to, size_t size, const char *from)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    while (*from && size) {
        int length = bo_printable(from);
        if (size - used <= (length ? (size_t)length : BO_ESCAPE))
            break;
        if (length) {
            memcpy(to + used, from, (size_t)length);
            used += (size_t)length;
        } else {
            const char escape[BO_ESCAPE] = {'\\', 'x', digits[(unsigned char)*from >> 4], digits[*from & 15]};
            memcpy(to + used, escape, BO_ESCAPE);
            used += BO_ESCAPE;
        }
        from += length ? length : 1;
    }
    if (size)
        to[used] = '\0';
    return used;
}
