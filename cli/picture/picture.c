/* SPDX-License-Identifier: MIT */
/*
 * `bough picture`: reads a recording, and writes it in the format of the output's extension. The output appears only
 * when it is complete. Its mode is 0600, as that of the recording: both contain the same names and arguments.
 */
#include "picture.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "command.h"
#include "trace/read.h"

enum format { SVG, HTML, JSON, FORMATS };
static const char *const suffixes[FORMATS] = {".svg", ".html", ".json"};

struct wish {
    const char *trace, *output;
    enum format format;
    struct picture_options options;
};

/* ---- progress, on a terminal, if it takes long ------------------------------------------------------------------- */

static void progress(const char *doing, const char *file)
{
    static struct timespec begun;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!begun.tv_sec)
        begun = now;
    if (isatty(STDERR_FILENO) && (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 > 500)
        fail("%s %s ...", doing, file);
}

/* ---- the output -------------------------------------------------------------------------------------------------- */

static bool find_format(const char *output, enum format *format)
{
    size_t length = strlen(output);
    for (int i = 0; i < FORMATS; i++) {
        size_t suffix = strlen(suffixes[i]);
        if (length > suffix && strcasecmp(output + length - suffix, suffixes[i]) == 0) {
            *format = (enum format)i;
            return true;
        }
    }
    return false;
}

/* Only a regular file or a symbolic link is replaced; the link's target is not. False: reported. */
static bool may_replace(const struct wish *w)
{
    struct stat trace, output;
    if (lstat(w->output, &output) != 0)
        return true;
    if (S_ISDIR(output.st_mode) || (!S_ISREG(output.st_mode) && !S_ISLNK(output.st_mode))) {
        fail("%s is not a regular file: choose another name for the picture", w->output);
        return false;
    }
    if (stat(w->trace, &trace) == 0 && trace.st_dev == output.st_dev && trace.st_ino == output.st_ino) {
        fail("%s is the recording itself: choose another name for the picture", w->output);
        return false;
    }
    return true;
}

static bool write_picture(FILE *out, const struct trace *trace, const struct wish *w)
{
    if (w->format == JSON)
        return picture_json(out, trace);
    struct picture *p = picture_new(trace, &w->options, w->format == HTML);
    if (!p) {
        errno = ENOMEM;
        return false;
    }
    progress("writing", w->output);
    bool done = w->format == HTML ? picture_html(out, p) : picture_svg(out, p);
    picture_free(p);
    return done;
}

/* Writes to a new file beside the output, and then gives it the output's name. */
static int write_output(const struct trace *trace, const struct wish *w)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s.XXXXXX", w->output) >= (int)sizeof name)
        return fail("%s: %s", w->output, strerror(ENAMETOOLONG));
    int fd = mkostemp(name, O_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out)
        return fail("cannot create a file beside %s: %s", w->output, strerror(errno));
    bool done = write_picture(out, trace, w);
    int error = errno;
    if (fclose(out) != 0 && done) {
        error = errno;
        done = false;
    }
    if (done && rename(name, w->output) != 0) {
        error = errno;
        done = false;
    }
    if (done)
        return EXIT_SUCCESS;
    unlink(name);
    return fail("cannot write %s: %s", w->output, strerror(error ? error : EIO));
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool parse_time(const char *text, int64_t *ns)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0 && seconds < 1e9))
        return false;
    *ns = (int64_t)(seconds * 1e9);
    return true;
}

static bool parse_lanes(const char *text, int *lanes)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > MOST_LANES)
        return false;
    *lanes = (int)n;
    return true;
}

static int draw(const struct wish *w)
{
    struct trace trace = {0};
    if (!may_replace(w))
        return EXIT_FAILURE;
    progress("reading", w->trace);
    if (trace_read(w->trace, &trace) != 0)
        return EXIT_FAILURE; /* reported */
    progress("drawing", w->trace);
    int64_t length = trace.ended - trace.begun;
    int status = w->options.from > length ? fail("--from %.6g s is behind the end of %s, which is %.6g s long",
                                                 (double)w->options.from / 1e9, w->trace, (double)length / 1e9)
                                          : write_output(&trace, w);
    trace_free(&trace);
    return status;
}

int picture_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'}, {"from", required_argument, NULL, 'f'},
        {"to", required_argument, NULL, 't'},     {"lanes", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},         {0}};
    struct wish w = {0};
    for (int o; (o = getopt_long(argc, argv, "ho:", options, NULL)) != -1;)
        if (o == 'o')
            w.output = optarg;
        else if ((o == 'f' && !parse_time(optarg, &w.options.from)) ||
                 (o == 't' && !parse_time(optarg, &w.options.until)))
            return usage_error("picture", "--%s must be a time in seconds since the recording's start, got '%s'",
                               o == 'f' ? "from" : "to", optarg);
        else if (o == 'l' && !parse_lanes(optarg, &w.options.lanes))
            return usage_error("picture", "--lanes must be 1 to %d, got '%s'", MOST_LANES, optarg);
        else if (o == 'h' || o == '?')
            return o == 'h' ? help("picture") : misused("picture");
    if (argc - optind != 1)
        return misused("picture");
    w.trace = argv[optind];
    if (!w.output)
        return usage_error("picture", "no name for the picture: add `-o FILE.svg`, .html or .json");
    if (!find_format(w.output, &w.format))
        return usage_error("picture", "the form of '%s' is unknown: its name must end in .svg, .html or .json",
                           w.output);
    if (w.options.until && w.options.until <= w.options.from)
        return usage_error("picture", "--to must be later than --from");
    return draw(&w);
}
