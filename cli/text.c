/* SPDX-License-Identifier: MIT */
#include "text.h"
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/plain.h"

static bool coloured, utf8;

void choose_characters(void)
{
    setlocale(LC_CTYPE, "");
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool is_colour_wanted(void)
{
    const char *terminal = getenv("TERM"), *never = getenv("NO_COLOR");
    return !(never && *never) && terminal && strcmp(terminal, "dumb") != 0;
}

void choose_style(FILE *out)
{
    choose_characters();
    coloured = isatty(fileno(out)) && is_colour_wanted();
}

const char *colour(enum colour c)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[31m", "\033[32m", "\033[36m"};
    return coloured ? codes[c] : "";
}

const char *drawing(enum drawing d)
{
    static const char *const ascii[] = {"|  ", "|- ", "`- "}, *const drawn[] = {"│  ", "├─ ", "└─ "};
    return utf8 ? drawn[d] : ascii[d];
}

void put_text(FILE *out, const char *text)
{
    while (*text) {
        int n = bo_printable(text);
        if (n == 1 || (n && utf8))
            fwrite(text, 1, (size_t)n, out);
        else
            fprintf(out, "\\x%02x", (unsigned char)*text);
        text += n == 1 || (n && utf8) ? n : 1;
    }
}

void put_time(FILE *out, int64_t ns)
{
    int64_t ms = (ns > 0 ? ns : 0) / 1000000, s = ms / 1000;
    if (s < 60)
        fprintf(out, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 3600)
        fprintf(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        fprintf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else
        fprintf(out, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
}
