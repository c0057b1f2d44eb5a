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
#include "letter.h"
#include "memfd.h"
#include "proc.h"
#include "text.h"
#include "view.h"

enum { MOST = 64 << 20 }; /* bytes of a dump: what is longer is none */

/* What the process says is its dump: a file without a name, sealed because it is whole, and nothing else. */
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

static bool copy_out(int fd)
{
    FILE *in = fdopen(fd, "r");
    char line[4096];
    if (!in) {
        close(fd);
        return false;
    }
    while (fgets(line, sizeof line, in)) {
        size_t n = strcspn(line, "\n");
        bool whole = line[n] == '\n';
        line[n] = '\0';
        put_text(stdout, line);
        if (whole)
            putchar('\n');
    }
    fclose(in);
    return true;
}

static bool by_itself(struct arena *a)
{
    struct bo_letter l = {.kind = BO_ASK_DUMP, .from = getpid()};
    int box = letter_send(a, &l);
    if (box < 0)
        return false;
    int fd = l.fd >= 0 ? open_dump(a->pid, l.fd) : -1;
    bool shown = fd >= 0 && copy_out(fd);
    letter_done(a, box);
    if (!shown)
        snprintf(a->why, sizeof a->why, "process %d could not write its dump: %s", (int)a->pid,
                 l.error ? strerror(l.error) : "its file can't be read");
    return shown;
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

int dump_main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct arena a;
    int o = getopt_long(argc, argv, "h", options, NULL);
    if (o != -1)
        return o == 'h' ? help("dump") : misused("dump");
    if (argc - optind != 1)
        return misused("dump");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("dump", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = by_itself(&a) ? EXIT_SUCCESS : from_outside(&a);
    detach(&a);
    return status;
}
