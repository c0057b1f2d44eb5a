/* SPDX-License-Identifier: MIT */
/* `bough dump` shows what a process writes about itself on request, or what can be seen of it from outside. `bough
 * resolve` shows a saved dump, with names. */
#define _GNU_SOURCE
#include <errno.h>
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
#include "python/show.h"
#include "symbols.h"
#include "text.h"
#include "view.h"

enum { MOST = 64 << 20, NAMES_MS = 20000 }; /* bytes of a dump: a longer file is rejected; time for names */

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

static bool begins_threads(const char *line)
{
    return strncmp(line, "the process's threads", 21) == 0;
}

/* The id of a thread whose lines follow; 0: it is another line. */
static pid_t thread_of(const char *line)
{
    return line[0] == ' ' && line[1] == ' ' && line[2] != ' ' ? (pid_t)strtol(line, NULL, 10) : 0;
}

/* A line that is longer than the buffer is read in parts, none of which is a frame. A thread's Python frames are among
 * its lines, or after them. Returns at a dump's end. */
static bool copy_dump(FILE *in, struct symbols *names, struct mixed *python)
{
    char line[4096];
    bool in_threads = false, begins = true;
    while (fgets(line, sizeof line, in)) {
        size_t n = strcspn(line, "\n");
        bool whole = line[n] == '\n';
        line[n] = '\0';
        if (begins && in_threads && (thread_of(line) || !*line)) {
            python_put_left(stdout, python, 4);
            mixed_begin(python, thread_of(line));
            in_threads = *line;
        } else if (begins && begins_threads(line))
            in_threads = true;
        if (begins && in_threads)
            python_put_before(stdout, python, line, 4);
        begins = whole;
        put_text(stdout, line);
        symbols_put(names, stdout, line);
        if (whole)
            putchar('\n');
        if (strncmp(line, "==== end", 8) == 0)
            return true;
    }
    return false;
}

static void put_notes(struct symbols *names)
{
    char text[2048];
    for (unsigned n = 0; names && symbols_note(names, n, text, sizeof text); n++)
        fail("%s", text);
}

/* `python` is NULL if there is only a dump, and no process. */
static void copy_out(FILE *in, struct symbols *names, struct mixed *python)
{
    do {
        if (names)
            symbols_read(names, in, NAMES_MS);
        put_notes(names);
    } while (copy_dump(in, names, python));
    if (python)
        python_put_problem(stdout, python->python);
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

/* The reason why the process has written no dump, what is missing therefore, and what to do. */
static const char *missing(const struct arena *a, char *text, size_t size)
{
    snprintf(
        text, size,
        "%s. This is what can be seen from outside: without the stacks of C code, which the process itself would have to "
        "write. `gdb -p %d -batch -ex 'thread apply all backtrace'` shows them, and stops the process meanwhile",
        a->why, (int)a->pid);
    return text;
}

static int from_outside(const struct arena *a, const struct stacks *python)
{
    char text[1024];
    struct view *v = view_new(a);
    struct strings *strings = strings_new(a->pid);
    if (!v)
        return fail("out of memory");
    fail("%s", missing(a, text, sizeof text));
    choose_style(stdout);
    tree_as_text(stdout, v, strings);
    python_put_all(stdout, python);
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
        c = getc(in); /* skips the rest of a long line */
    return true;
}

static unsigned depth_of(const char *line)
{
    return (unsigned)strspn(line, " ");
}

static bool find_threads(FILE *in, char *line, size_t size)
{
    rewind(in);
    while (next_line(in, line, size))
        if (begins_threads(line))
            return true;
    return false;
}

void dump_stack(FILE *in, pid_t own, struct symbols *names, struct mixed *python, FILE *out)
{
    char line[4096];
    bool wanted = false;
    mixed_begin(python, own);
    for (bool more = find_threads(in, line, sizeof line); more && next_line(in, line, sizeof line) && *line;) {
        if (depth_of(line) == 2)
            wanted = strtol(line, NULL, 10) == own;
        if (!wanted)
            continue;
        python_put_before(out, python, line, 2);
        put_text(out, line + 2);
        symbols_put(names, out, line);
        fputs("\n", out);
    }
    python_put_left(out, python, 2);
}

/* The names of one stack, which follow the list of its frames. */
enum { FRAMES = 64 };
struct stack {
    bool open;
    size_t frames;
    const struct name *name[FRAMES];
    size_t python[FRAMES]; /* how many Python frames each frame executes */
};

static void begin_thread(struct json *j, const char *at, const struct view *v)
{
    char *end;
    long own = strtol(at, &end, 10);
    json_begin(j, NULL, '{');
    json_number(j, "tid", view_tid(v, (pid_t)own));
    json_number(j, "ns_tid", own);
    json_string(j, "at", end + strspn(end, " "));
    json_begin(j, "stack", '[');
}

static void end_thread(struct json *j, struct stack *s)
{
    if (!s->open)
        return;
    json_end(j, ']');
    json_begin(j, "names", '[');
    for (size_t i = 0; i < s->frames; i++) {
        const struct name *name = s->name[i];
        json_begin(j, NULL, '{');
        json_string(j, "function", name ? name->function : NULL);
        json_string(j, "file", name && name->line ? name->file : NULL);
        json_number(j, "line", name ? name->line : 0);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_begin(j, "python_frames", '[');
    for (size_t i = 0; i < s->frames; i++)
        json_number(j, NULL, (long)s->python[i]);
    json_end(j, ']');
    json_end(j, '}');
    *s = (struct stack){0};
}

/* A thread's line is indented by two spaces: its id and its activity. Lines with a deeper indentation: how its stack
 * was found, and its frames. */
static void write_threads(struct json *j, FILE *in, const struct view *v, struct symbols *names, struct mixed *python)
{
    char line[4096];
    struct stack s = {0};
    json_begin(j, "threads", '[');
    for (bool more = find_threads(in, line, sizeof line); more && next_line(in, line, sizeof line) && *line;) {
        const struct name *name = symbols_find(names, line);
        char *at = line + depth_of(line);
        if (depth_of(line) == 2) {
            end_thread(j, &s);
            s.open = true;
            begin_thread(j, at, v);
            mixed_begin(python, thread_of(line));
        } else if (depth_of(line) > 4 && s.open && s.frames < FRAMES) {
            size_t before = mixed_before(python, line);
            if (before)
                s.python[s.frames - 1] = before;
            json_string(j, NULL, at);
            s.name[s.frames++] = name;
        }
    }
    end_thread(j, &s);
    json_end(j, ']');
}

static void write_notes(struct json *j, struct symbols *names)
{
    char text[2048];
    json_begin(j, "notes", '[');
    for (unsigned n = 0; names && symbols_note(names, n, text, sizeof text); n++)
        json_string(j, NULL, text);
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

/* `in` is NULL if the process has not answered. */
static int as_json(const struct arena *a, FILE *in, struct symbols *names, const struct stacks *python,
                   struct mixed *mixed)
{
    static struct json j;
    char text[1024];
    struct view *v = view_new(a);
    struct strings *strings = strings_new(a->pid);
    if (!v)
        return strings_free(strings), fail("out of memory");
    j = (struct json){.out = stdout};
    json_begin(&j, NULL, '{');
    json_string(&j, "problem", in ? NULL : missing(a, text, sizeof text));
    tree_as_json(&j, "process", v, strings);
    python_as_json(&j, "python", python, v);
    if (in) {
        rewind(in);
        if (names)
            symbols_read(names, in, NAMES_MS);
        write_threads(&j, in, v, names, mixed);
        write_notes(&j, names);
        write_text(&j, in);
    }
    json_end(&j, '}');
    strings_free(strings);
    view_free(v);
    return EXIT_SUCCESS;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int show_dump(struct arena *a, bool json, const char *folder)
{
    FILE *in = dump_by_itself(a);
    struct symbols *names = in ? symbols_new(proc_alive(a->pid), folder) : NULL;
    struct stacks python = {0};
    int status = EXIT_SUCCESS;
    choose_characters();
    stacks_read(&python, proc_alive(a->pid));
    struct mixed *mixed = in ? mixed_new(a, &python, in) : NULL;
    if (in && !mixed)
        status = fail("out of memory");
    else if (json)
        status = as_json(a, in, names, &python, mixed);
    else if (in)
        put_ids(a), copy_out(in, names, mixed);
    else
        status = from_outside(a, &python);
    symbols_free(names);
    mixed_free(mixed);
    stacks_free(&python);
    if (in)
        fclose(in);
    return status;
}

int dump_main(int argc, char **argv)
{
    static const struct option options[] = {{"debug", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *folder = NULL;
    bool json = false;
    struct arena a;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'j')
            json = true;
        else if (o == 'd')
            folder = optarg;
        else
            return o == 'h' ? help("dump") : misused("dump");
    if (argc - optind != 1)
        return misused("dump");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("dump", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = show_dump(&a, json, folder);
    detach(&a);
    return status;
}

/* ---- a saved dump ------------------------------------------------------------------------------------------------ */

static bool has_dump(FILE *in)
{
    char line[4096];
    bool found = false;
    while (!found && next_line(in, line, sizeof line))
        found = strncmp(line, "==== bough", 10) == 0;
    rewind(in);
    return found;
}

/* Log lines around the dumps, and several dumps in one file, are copied as they come. */
static int show_saved(FILE *in, const char *path, const char *folder)
{
    if (!has_dump(in))
        return fail("%s contains no dump", path);
    struct symbols *names = symbols_new(0, folder);
    if (!names)
        return fail("out of memory");
    copy_out(in, names, NULL);
    symbols_free(names);
    return EXIT_SUCCESS;
}

static FILE *open_saved(const char *path)
{
    struct stat is;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail("cannot open %s: %s", path, strerror(errno)), NULL;
    if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_size <= MOST)
        return fdopen(fd, "r");
    close(fd);
    fail(S_ISREG(is.st_mode) ? "%s is longer than a dump, 64 MiB" : "%s is not a regular file: save the dump in one",
         path);
    return NULL;
}

int resolve_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"debug", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *folder = NULL;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'd')
            folder = optarg;
        else
            return o == 'h' ? help("resolve") : misused("resolve");
    if (argc - optind != 1)
        return misused("resolve");
    FILE *in = open_saved(argv[optind]);
    if (!in)
        return EXIT_FAILURE;
    int status = show_saved(in, argv[optind], folder);
    fclose(in);
    return status;
}
