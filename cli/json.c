/* SPDX-License-Identifier: MIT */
#include "json.h"
#include <inttypes.h>
#include <string.h>
#include "base/plain.h"

/* Characters that are not shown to people are valid nevertheless: programs get them unchanged. */
static void escaped(FILE *out, uint32_t code)
{
    if (code > 0xffff)
        fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)), (unsigned)(0xdc00 + (code & 0x3ff)));
    else
        fprintf(out, "\\u%04x", (unsigned)code);
}

static void quoted(FILE *out, const char *text)
{
    putc('"', out);
    while (*text) {
        uint32_t code = 0;
        int length = bo_character(text, &code), n = bo_printable(text);
        if (n == 1 && (*text == '"' || *text == '\\'))
            putc('\\', out);
        if (n)
            fwrite(text, 1, (size_t)n, out);
        else if (length)
            escaped(out, code);
        else
            fputs("\\ufffd", out);
        text += length ? length : 1;
    }
    putc('"', out);
}

/* Writes the text that comes before a value. */
static void lead(struct json *j, const char *key)
{
    if (j->filled[j->depth])
        putc(',', j->out);
    j->filled[j->depth] = true;
    if (j->depth)
        fprintf(j->out, "\n%*s", 2 * (j->depth < 40 ? j->depth : 40), "");
    if (key) {
        quoted(j->out, key);
        fputs(": ", j->out);
    }
}

void json_begin(struct json *j, const char *key, char open)
{
    lead(j, key);
    putc(open, j->out);
    if (j->depth < JSON_DEPTH - 1)
        j->depth++;
    j->filled[j->depth] = false;
}

void json_end(struct json *j, char close)
{
    bool filled = j->filled[j->depth];
    j->depth--;
    if (filled)
        fprintf(j->out, "\n%*s", 2 * (j->depth < 40 ? j->depth : 40), "");
    putc(close, j->out);
    if (!j->depth)
        putc('\n', j->out);
}

void json_string(struct json *j, const char *key, const char *text)
{
    lead(j, key);
    if (text)
        quoted(j->out, text);
    else
        fputs("null", j->out);
}

void json_number(struct json *j, const char *key, int64_t number)
{
    lead(j, key);
    fprintf(j->out, "%" PRId64, number);
}

void json_seconds(struct json *j, const char *key, int64_t ns)
{
    lead(j, key);
    if (ns < 0)
        fputs("null", j->out);
    else
        fprintf(j->out, "%" PRId64 ".%06" PRId64, ns / 1000000000, ns % 1000000000 / 1000);
}

void json_micros(struct json *j, const char *key, int64_t ns)
{
    lead(j, key);
    fprintf(j->out, "%" PRId64 ".%03" PRId64, ns > 0 ? ns / 1000 : 0, ns > 0 ? ns % 1000 : 0);
}

void json_bool(struct json *j, const char *key, bool value)
{
    lead(j, key);
    fputs(value ? "true" : "false", j->out);
}
