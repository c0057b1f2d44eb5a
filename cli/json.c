/* SPDX-License-Identifier: MIT */
#include "json.h"
#include <inttypes.h>
#include <string.h>

/* No longer ones than needed, no surrogates, nothing beyond U+10FFFF, no C1 controls. */
int printable(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    int more = s[0] >= 0xc2 && s[0] <= 0xdf ? 1 : (s[0] & 0xf0) == 0xe0 ? 2 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 3 : 0;
    for (int i = 1; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return more ? more + 1 : 0;
}

static void quoted(FILE *out, const char *text)
{
    putc('"', out);
    while (*text) {
        int n = printable(text);
        if (n == 1 && (*text == '"' || *text == '\\'))
            putc('\\', out);
        if (n)
            fwrite(text, 1, (size_t)n, out);
        else if ((unsigned char)*text < 0x80)
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputs("\\ufffd", out);
        text += n ? n : 1;
    }
    putc('"', out);
}

/* What comes before a value. */
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

void json_bool(struct json *j, const char *key, bool value)
{
    lead(j, key);
    fputs(value ? "true" : "false", j->out);
}
