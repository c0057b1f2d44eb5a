/* SPDX-License-Identifier: MIT */
/* Values of Python objects: strings, and the table of a code object's lines. */
#include <limits.h>
#include "stacks.h"

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static size_t put_character(uint32_t c, char *to)
{
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    if (c < 0x80)
        return to[0] = (char)c, 1;
    if (c < 0x800)
        return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63)), to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

static bool read_character(struct memory *m, uint64_t at, unsigned width, uint32_t *c)
{
    unsigned char byte;
    uint16_t pair;
    if (width == 1)
        return memory_get(m, at, &byte, 1) && (*c = byte, true);
    if (width == 2)
        return memory_get(m, at, &pair, 2) && (*c = pair, true);
    return memory_get(m, at, c, 4);
}

/* Bits of the state, from the lowest: 2 interned, 3 the width of a character, 1 compact, 1 ASCII. */
bool stacks_string(struct memory *m, const struct layout *l, uint64_t object, char *text, size_t size)
{
    uint64_t length;
    int32_t state;
    size_t used = 0;
    text[0] = '\0';
    if (!memory_word(m, object, l->text_length, &length) || !memory_int(m, object, l->text_state, &state))
        return false;
    unsigned width = (unsigned)state >> 2 & 7;
    bool is_compact = state >> 5 & 1, is_ascii = state >> 6 & 1;
    if (!is_compact || (width != 1 && width != 2 && width != 4) || length > INT_MAX)
        return false;
    uint64_t at = object + (is_ascii ? l->text_ascii : l->text_compact);
    for (uint64_t i = 0; i < length && used + 4 < size; i++, at += width) {
        uint32_t c;
        if (!read_character(m, at, width, &c))
            return text[0] = '\0', false;
        used += put_character(c, text + used);
    }
    text[used] = '\0';
    return true;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The table's bytes, in their order. */
struct table {
    struct memory *memory;
    uint64_t at, end;
};

static bool next_byte(struct table *t, unsigned *byte)
{
    unsigned char c;
    if (t->at >= t->end || !memory_get(t->memory, t->at, &c, 1))
        return false;
    t->at++;
    *byte = c;
    return true;
}

/* Each byte has six bits of the number, the lowest bits first; bit 6: more bytes follow. */
static bool next_number(struct table *t, unsigned *number)
{
    unsigned byte, shift = 0;
    *number = 0;
    do {
        if (shift > 30 || !next_byte(t, &byte))
            return false;
        *number |= (byte & 63) << shift;
        shift += 6;
    } while (byte & 64);
    return true;
}

enum { HAS_NO_COLUMNS = 13, IS_LONG = 14, HAS_NO_LINE = 15 };

/* How many lines the entry of this sort is after the last entry. The caller skips the entry's other bytes, whose
 * highest bit is 0. */
static bool next_delta(struct table *t, unsigned sort, int64_t *delta)
{
    unsigned number;
    *delta = 0;
    if (sort >= 10 && sort < HAS_NO_COLUMNS)
        *delta = sort - 10;
    else if (sort == HAS_NO_COLUMNS || sort == IS_LONG) {
        if (!next_number(t, &number))
            return false;
        *delta = number & 1 ? -(int64_t)(number >> 1) : (int64_t)(number >> 1);
    }
    return true;
}

/* The first byte of an entry has the highest bit set, the entry's sort, and the number of instructions minus 1. */
static int find_line(struct table *t, int64_t line, int64_t at)
{
    unsigned byte;
    int64_t delta, end = 0;
    while (next_byte(t, &byte)) {
        if (!(byte & 128))
            continue;
        unsigned sort = byte >> 3 & 15;
        if (!next_delta(t, sort, &delta))
            return 0;
        line += delta;
        end += 2 * ((int64_t)(byte & 7) + 1);
        if (at < end)
            return sort != HAS_NO_LINE && line > 0 && line <= INT_MAX ? (int)line : 0;
    }
    return 0;
}

int stacks_line(struct memory *m, const struct layout *l, uint64_t code, int64_t at)
{
    uint64_t object, size;
    int32_t first;
    if (at < 0 || !memory_word(m, code, l->code_lines, &object) || !memory_int(m, code, l->code_first_line, &first) ||
        !memory_word(m, object, l->bytes_size, &size) || size > INT_MAX)
        return 0;
    uint64_t begin = object + l->bytes_data;
    struct table t = {m, begin, begin + size};
    return find_line(&t, first, at);
}
