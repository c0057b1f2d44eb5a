/* SPDX-License-Identifier: MIT */
/*
 * `bough run`: becomes a program whose threads can be interrupted. The package runs a Python program, by `python -m
 * bough run`, which has the same options; any other program gets libbough-preload.so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"
#include "python.h"

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 }; /* as in env(1) */

static const char preload[] = "libbough-preload.so";

struct wish {
    const char *grace, *dump, *trace;
    bool report;
};

/* ---- a program that is not in Python ---------------------------------------------------------------------------- */

/* Finds the library where it was installed or built. */
static bool find_preload(char *path)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *folders[] = {"", "/../src"};
    if (snprintf(path, PATH_MAX, "%s/%s", BO_LIBDIR, preload) < PATH_MAX && access(path, R_OK) == 0)
        return true;
    if (length <= 0)
        return false;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (snprintf(path, PATH_MAX, "%s%s/%s", self, folders[i], preload) < PATH_MAX && access(path, R_OK) == 0)
            return true;
    return false;
}

/* Removes the object from LD_PRELOAD, and puts `with` first if it is not NULL. */
static int set_preload(const char *with)
{
    const char *given = getenv("LD_PRELOAD");
    char *rest = given ? strdup(given) : NULL, *at = rest, *name;
    size_t size = (given ? strlen(given) : 0) + PATH_MAX + 2;
    char *list = calloc(1, size);
    if (!list || (given && !rest)) {
        free(list);
        free(rest);
        return fail("out of memory");
    }
    if (with)
        strcpy(list, with);
    while ((name = strsep(&at, ": ")))
        if (*name && !strstr(name, preload))
            snprintf(list + strlen(list), size - strlen(list), "%s%s", *list ? ":" : "", name);
    int done = *list ? setenv("LD_PRELOAD", list, 1) : unsetenv("LD_PRELOAD");
    free(list);
    free(rest);
    return done == 0 ? EXIT_SUCCESS : fail("cannot set LD_PRELOAD: %s", strerror(errno));
}

static int become(char **argv)
{
    execvp(argv[0], argv);
    int error = errno;
    fail("cannot execute %s: %s", argv[0], strerror(error));
    return error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* The library reads this variable when it is loaded, in a Python program, too. */
static bool set_trace(const char *file)
{
    return !file || setenv("BOUGH_TRACE", file, 1) == 0;
}

static int run_native(const struct wish *wish, char **argv)
{
    char object[PATH_MAX];
    if (!find_preload(object))
        return fail(
            "there is no %s/%s, which ends the threads of %s: install the C library (a Python program needs none)",
            BO_LIBDIR, preload, argv[0]);
    int status = set_preload(object);
    if (status != EXIT_SUCCESS)
        return status;
    if ((wish->grace && setenv("BOUGH_GRACE", wish->grace, 1) != 0) ||
        (wish->dump && setenv("BOUGH_DUMP", wish->dump, 1) != 0) || !set_trace(wish->trace) ||
        (wish->report && setenv("BOUGH_PRELOAD", "report", 1) != 0))
        return fail("cannot set the environment: %s", strerror(errno));
    return become(argv);
}

/* ---- a Python program -------------------------------------------------------------------------------------------- */

/* The package replaces the preloaded object. */
static int run_python(const struct wish *wish, const struct python *p)
{
    char **argv = calloc(p->options + p->arguments + 12, sizeof *argv);
    size_t n = 0;
    if (!argv)
        return fail("out of memory");
    argv[n++] = (char *)p->interpreter;
    for (size_t i = 0; i < p->options; i++)
        argv[n++] = p->option[i];
    for (size_t i = 0; i < 3; i++)
        argv[n++] = (char *)(const char *[]){"-m", "bough", "run"}[i];
    if (wish->grace)
        argv[n++] = (char *)"--grace", argv[n++] = (char *)wish->grace;
    if (wish->dump)
        argv[n++] = (char *)"--dump", argv[n++] = (char *)wish->dump;
    if (wish->report)
        argv[n++] = (char *)"--report";
    if (p->how)
        argv[n++] = (char *)p->how;
    else
        argv[n++] = (char *)"--";
    for (size_t i = 0; i < p->arguments; i++)
        argv[n++] = p->argument[i];
    int status = set_trace(wish->trace) ? set_preload(NULL) : fail("cannot set the environment: %s", strerror(errno));
    if (status == EXIT_SUCCESS)
        status = become(argv);
    free(argv);
    return status;
}

/* ---- the arguments ----------------------------------------------------------------------------------------------- */

static bool is_grace(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    return end != text && !*end && seconds > 0 && seconds < 25 * 24 * 3600.0;
}

int run_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"grace", required_argument, NULL, 'g'}, {"dump", required_argument, NULL, 'd'},
        {"report", no_argument, NULL, 'r'},      {"trace", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},        {0}};
    struct wish wish = {0};
    struct python p = {.interpreter = "python3"};
    for (int o; !p.how && (o = getopt_long(argc, argv, "+hm:c:", options, NULL)) != -1;)
        if (o == 'g' && !is_grace(optarg))
            return usage_error(
                "run", "--grace must be a number of seconds, more than 0 and less than 25 days, got '%s'", optarg);
        else if (o == 'g')
            wish.grace = optarg;
        else if (o == 'd')
            wish.dump = optarg;
        else if (o == 't')
            wish.trace = optarg;
        else if (o == 'r')
            wish.report = true;
        else if (o == 'm' || o == 'c')
            p.how = o == 'm' ? "-m" : "-c", argv[--optind] = optarg; /* the value, which may be a part of the word */
        else
            return o == 'h' ? help("run") : misused("run");
    if (optind == argc)
        return usage_error("run", "no program is given");
    if (p.how)
        p.argument = argv + optind, p.arguments = (size_t)(argc - optind);
    else if (!find_python(&p, argv + optind))
        return run_native(&wish, argv + optind);
    return run_python(&wish, &p);
}
