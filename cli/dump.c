/* SPDX-License-Identifier: MIT */
/* `bough dump`: what a process writes about itself when it is asked, or what can be seen of it from outside. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"
#include "dump.h"
#include "json.h"
#include "mailbox.h"
#include "memfd.h"
#include "proc.h"
#include "text.h"
#include "view.h"

enum { MOST = 64 << 20 }; /* bytes of a dump: a longer file is rejected */

/* Opens the file that the process names as its dump: only a file without a name, sealed because it is complete. */
static int open_dump(pid_t pid, int number)
{
    char text[16];
    struct stat is;
    snprintf(text, sizeof text, "%d", number);
    int fd = memfd_open(proc_alive(pid), text, MEMFD("bough-dump"), MEMFD_LENGTH | MEMFD_WRITTEN, O_RDONLY);
    if (fd < 0 || (fstat(fd, &is) == 0 && is.st_size <= MOST))
        return fd;
    close(fd);
    return -1;
}

/* The dump has the ids of the process's PID namespace. */
static void put_ids(const struct arena *a)
{
    struct pid_map ids;
    if (a->apart && pid_map_read(&ids, a->pid, true)) {
        printf("process %d is in a PID namespace of its own. The ids in its dump, and those here:", (int)a->pid);
        for (size_t i = 0; i < ids.count; i++)
            printf("%s%d = %d", i % 8 ? ", " : "\n  ", (int)ids.thread[i].own, (int)ids.thread[i].here);
        puts("\n");
        pid_map_free(&ids);
    }
}

static void copy_out(FILE *in)
{
    char line[4096];
    while (fgets(line, sizeof line, in)) {
        size_t n = strcspn(line, "\n");
        bool whole = line[n] == '\n';
        line[n] = '\0';
        put_text(stdout, line);
        if (whole)
            putchar('\n');
    }
}

FILE *dump_by_itself(struct arena *a)
{
    struct bo_request l = {.kind = BO_ASK_DUMP, .from = a->apart ? 0 : getpid()};
    int box = mailbox_send(a, &l);
    if (box < 0)
        return NULL;
    int fd = l.fd >= 0 ? open_dump(a->pid, l.fd) : -1;
    FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
    mailbox_done(a, box);
    if (fd >= 0 && !in)
        close(fd);
    if (!in)
        snprintf(a->why, sizeof a->why, "process %d could not write its dump: %s", (int)a->pid,
                 l.error ? strerror(l.error) : "its file can't be read");
    struct stat file;
    if (in && fstat(fileno(in), &file) == 0 && file.st_size == 0) {
        snprintf(a->why, sizeof a->why, "process %d gave an empty file as its dump", (int)a->pid);
        fclose(in);
        in = NULL;
    }
    return in;
}

static int from_outside(const struct arena *a)
{
    struct view *v = view_new(a);
    struct strings *strings = strings_new(a->pid);
    if (!v)
        return fail("out of memory");
    fail("%s; this is what can be seen from outside", a->why);
    choose_style(stdout);
    tree_as_text(stdout, v, strings);
    strings_free(strings);
    view_free(v);
    return EXIT_SUCCESS;
}

/* ---- for programs ------------------------------------------------------------------------------------------------ */

/* Reads the dump's lines, whatever they contain: names were made harmless, and can't look like other lines. */
static bool next_line(FILE *in, char *line, size_t size)
{
    if (!fgets(line, (int)size, in))
        return false;
    size_t n = strcspn(line, "\n");
    bool whole = line[n] == '\n';
    line[n] = '\0';
    for (int c = 0; !whole && c != '\n' && c != EOF;)
        c = getc(in); /* the rest of a long one */
    return true;
}

static unsigned depth_of(const char *line)
{
    return (unsigned)strspn(line, " ");
}

void dump_stack(FILE *in, pid_t own, FILE *out)
{
    char line[4096];
    bool wanted = false;
    rewind(in);
    while (next_line(in, line, sizeof line) && strncmp(line, "the process's threads", 21) != 0)
        ;
    while (next_line(in, line, sizeof line) && *line) {
        if (depth_of(line) == 2)
            wanted = strtol(line, NULL, 10) == own;
        if (wanted)
            put_text(out, line + 2), fputs("\n", out);
    }
}

/* A thread's line is indented by two spaces: its id and its activity. Lines with a deeper indentation: how its stack
 * was found, and its frames. */
static void write_threads(struct json *j, FILE *in, const struct view *v)
{
    char line[4096];
    bool open = false;
    rewind(in);
    while (next_line(in, line, sizeof line) && strncmp(line, "the process's threads", 21) != 0)
        ;
    json_begin(j, "threads", '[');
    while (next_line(in, line, sizeof line) && *line) {
        char *at = line + depth_of(line);
        if (depth_of(line) == 2) {
            if (open)
                json_end(j, ']'), json_end(j, '}');
            open = true;
            json_begin(j, NULL, '{');
            long own = strtol(at, &at, 10);
            json_number(j, "tid", view_tid(v, (pid_t)own));
            json_number(j, "ns_tid", own);
            json_string(j, "at", at + strspn(at, " "));
            json_begin(j, "stack", '[');
        } else if (depth_of(line) > 4 && open) {
            json_string(j, NULL, at);
        }
    }
    if (open)
        json_end(j, ']'), json_end(j, '}');
    json_end(j, ']');
}

static void write_text(struct json *j, FILE *in)
{
    char line[4096];
    rewind(in);
    json_begin(j, "text", '[');
    while (next_line(in, line, sizeof line))
        json_string(j, NULL, line);
    json_end(j, ']');
}

/* `in` is NULL where the process has not answered. */
static int as_json(const struct arena *a, FILE *in)
{
    static struct json j;
    struct view *v = view_new(a);
    struct strings *strings = strings_new(a->pid);
    if (!v)
        return strings_free(strings), fail("out of memory");
    j = (struct json){.out = stdout};
    json_begin(&j, NULL, '{');
    json_string(&j, "problem", in ? NULL : a->why);
    tree_as_json(&j, "process", v, strings);
    if (in) {
        write_threads(&j, in, v);
        write_text(&j, in);
    }
    json_end(&j, '}');
    strings_free(strings);
    view_free(v);
    return EXIT_SUCCESS;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int show_dump(struct arena *a, bool json)
{
    FILE *in = dump_by_itself(a);
    int status = EXIT_SUCCESS;
    if (json)
        status = as_json(a, in);
    else if (in)
        put_ids(a), copy_out(in);
    else
        status = from_outside(a);
    if (in)
        fclose(in);
    return status;
}

int dump_main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    struct arena a;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'j')
            json = true;
        else
            return o == 'h' ? help("dump") : misused("dump");
    if (argc - optind != 1)
        return misused("dump");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("dump", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = show_dump(&a, json);
    detach(&a);
    return status;
}
