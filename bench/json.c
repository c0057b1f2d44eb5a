/* SPDX-License-Identifier: MIT */
/* The parts that both JSON files have in common: fields, and the machine. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('"', out);
}

void json_field(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\": ", key);
    json_text(out, text);
    fputs(", ", out);
}

/* Writes null for NAN, which JSON does not have. */
void json_number(FILE *out, const char *key, double value)
{
    if (isfinite(value))
        fprintf(out, "\"%s\": %.6g, ", key, value);
    else
        fprintf(out, "\"%s\": null, ", key);
}

FILE *json_open(const char *path, const struct facts *facts)
{
    FILE *out = fopen(path, "we");
    if (!out)
        bench_die("%s: %s", path, strerror(errno));
    fputs("{\"machine\": {", out);
    json_field(out, "cpu", facts->cpu);
    json_field(out, "kernel", facts->kernel);
    json_field(out, "virtualized", facts->virtualized);
    json_field(out, "compiler", facts->compiler);
    json_field(out, "libc", facts->libc);
    json_field(out, "clock", facts->clock);
    fprintf(out, "\"cores\": %ld, \"usable\": %ld, \"load\": %.2f}", facts->cores, facts->usable, facts->load);
    return out;
}

void json_close(FILE *out, const char *path)
{
    fputs("}\n", out);
    if (fclose(out) != 0)
        bench_die("%s: %s", path, strerror(errno));
}
