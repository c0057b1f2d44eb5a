/* SPDX-License-Identifier: MIT */
/* `bough top`: a live view. The command's arguments, and the loop. */
#define _GNU_SOURCE
#include <curses.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "../command.h"
#include "../symbols.h"
#include "../text.h"
#include "draw.h"

enum { SHARE = 5 }; /* readings take at most 1/SHARE of a processor */

/* ---- the terminal ------------------------------------------------------------------------------------------------ */

static void begin_colours(void)
{
    if (!has_colors() || !is_colour_wanted())
        return;
    start_color();
    short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
    init_pair(PAIR_RED, COLOR_RED, background);
    init_pair(PAIR_GREEN, COLOR_GREEN, background);
}

/* NULL: the terminal's type is not known. */
static SCREEN *begin_screen(void)
{
    choose_characters();
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (!screen)
        return NULL;
    set_escdelay(50);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    begin_colours();
    return screen;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* If readings are expensive, the next one is delayed, so that they take at most a fifth of a processor. */
static bool read_if_due(struct top *t)
{
    if (*t->end || (t->paused && !t->reading) || top_clock() < t->next)
        return true;
    int64_t before = top_processor_time();
    bool read = top_collect(t);
    t->reading = false;
    t->cost = top_processor_time() - before;
    return read;
}

static void draw_frame(struct top *t, bool was_read)
{
    int64_t before = top_processor_time();
    draw_all(t);
    if (!was_read)
        return;
    t->cost += top_processor_time() - before;
    int64_t pause = t->interval > SHARE * t->cost ? t->interval : SHARE * t->cost;
    t->next = top_clock() + pause;
}

/* False: the terminal is gone. */
static bool wait_for_event(const struct top *t)
{
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = *t->end ? -1 : t->pidfd, .events = POLLIN}};
    int64_t left = (t->next - top_clock()) / 1000000 + 1;
    int ms = *t->end || t->paused ? -1 : left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
    if (poll(p, 2, ms) < 0 && errno != EINTR)
        return false;
    return !(p[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

static int watch(struct top *t)
{
    while (!t->leaving) {
        unsigned frame = t->frame;
        if (!read_if_due(t))
            return EXIT_FAILURE;
        draw_frame(t, t->frame != frame);
        if (!wait_for_event(t))
            return EXIT_FAILURE;
        watch_look(t);
        for (int key; !t->leaving && (key = getch()) != ERR;)
            top_key(t, key);
    }
    return *t->end ? EXIT_GONE : EXIT_SUCCESS;
}

static void release_all(struct top *t)
{
    view_free(t->view);
    strings_free(t->strings);
    stacks_free(&t->python);
    symbols_free(t->names);
    calls_free(&t->calls);
    free(t->rows.row);
    free(t->pane_text);
    if (t->pidfd >= 0)
        close(t->pidfd);
    detach(&t->arena);
}

static int show_process(struct top *t)
{
    watch_begin(t);
    if (!top_collect(t))
        return fail("out of memory");
    SCREEN *screen = begin_screen();
    if (!screen)
        return fail("this terminal's type is not known: set TERM, or use `watch bough tree %d`", (int)t->arena.pid);
    int status = watch(t);
    endwin();
    delscreen(screen);
    if (*t->end)
        fail("%s", t->end);
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static bool parse_interval(const char *text, int64_t *interval)
{
    char *end;
    double seconds = strtod(text, &end);
    *interval = seconds >= 0.1 && seconds <= 3600 ? (int64_t)(seconds * 1e9) : 0;
    return end != text && !*end && *interval;
}

int top_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"interval", required_argument, NULL, 'i'}, {"help", no_argument, NULL, 'h'}, {0}};
    static struct top t;
    t.interval = 1000000000;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'i' && !parse_interval(optarg, &t.interval))
            return usage_error("top", "--interval must be 0.1 to 3600 seconds, got '%s'", optarg);
        else if (o != 'i')
            return o == 'h' ? help("top") : misused("top");
    if (argc - optind != 1)
        return misused("top");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("top", "'%s' is not a process id", argv[optind]);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return fail("top needs a terminal: use `bough tree %d`", (int)pid);
    if (attach_process(&t.arena, pid) != ATTACHED)
        return fail("%s", t.arena.why);
    int status = show_process(&t);
    release_all(&t);
    return status;
}
