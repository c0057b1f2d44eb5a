/* SPDX-License-Identifier: MIT */
/* The machine on which the numbers were measured. */
#include "bench.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The rest, after the colon, of the first line of `path` that begins with `key`; or the whole first line. */
static void line_of(const char *path, const char *key, char *text, size_t size)
{
    char line[1024];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        if (key && strncmp(line, key, strlen(key)) != 0)
            continue;
        char *value = key ? strchr(line, ':') : line;
        if (!value)
            continue;
        value += key != NULL;
        value += strspn(value, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(text, size, "%s", value);
        break;
    }
    fclose(file);
}

static int in_flags(const char *flag)
{
    char flags[8192] = "";
    FILE *file = fopen("/proc/cpuinfo", "re");
    int found = 0;
    if (!file)
        return 0;
    while (!found && fgets(flags, sizeof flags, file))
        found = strncmp(flags, "flags", 5) == 0 && strstr(flags, flag);
    fclose(file);
    return found;
}

void facts_take(struct facts *facts)
{
    memset(facts, 0, sizeof *facts);
    line_of("/proc/cpuinfo", "model name", facts->cpu, sizeof facts->cpu);
    if (!facts->cpu[0])
        line_of("/proc/cpuinfo", "CPU part", facts->cpu, sizeof facts->cpu);
    if (!facts->cpu[0])
        strcpy(facts->cpu, "unknown");

    struct utsname name;
    if (uname(&name) == 0)
        snprintf(facts->kernel, sizeof facts->kernel, "%s %s %s", name.sysname, name.release, name.machine);
    snprintf(facts->libc, sizeof facts->libc, "glibc %s", gnu_get_libc_version());
#ifdef __clang__
    snprintf(facts->compiler, sizeof facts->compiler, "%s", __VERSION__);
#else
    snprintf(facts->compiler, sizeof facts->compiler, "gcc %s", __VERSION__);
#endif
    line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL, facts->clock,
            sizeof facts->clock);
    strcpy(facts->virtualized, in_flags(" hypervisor") ? "virtual machine" : "no hypervisor seen");

    cpu_set_t set;
    facts->cores = sysconf(_SC_NPROCESSORS_ONLN);
    facts->usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : facts->cores;
    if (getloadavg(&facts->load, 1) != 1)
        facts->load = 0;
}

void facts_print(const struct facts *facts, FILE *out)
{
    fprintf(out, "cpu       %s, %ld cores, %ld usable, %s\n", facts->cpu, facts->cores, facts->usable,
            facts->virtualized);
    fprintf(out, "kernel    %s, clock %s\n", facts->kernel, facts->clock);
    fprintf(out, "compiler  %s, %s\n", facts->compiler, facts->libc);
    fprintf(out, "load      %.2f before the start\n", facts->load);
}
