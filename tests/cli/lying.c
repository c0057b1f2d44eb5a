/* SPDX-License-Identifier: MIT */
/* The child that finds names reads hostile files, so the command does not trust its answers, and waits for them for a
 * limited time. Here the child gives wrong answers. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness.h"
#include "symbols.h"

static const char dump[] = "the process's threads, as the kernel lists them\n"
                           "  1 it: S\n"
                           "    stack, found by scanning:\n"
                           "      first+0x11\n"
                           "      second+0x22\n"
                           "      second+0x33\n"
                           "\n"
                           "code, for addr2line: where it lies\n"
                           "  0x1000 1234 /first\n"
                           "  0x2000 5678 /second\n"
                           "==== end ====\n";

static enum { HONEST, ODD, CRASHES, WAITS, CLOSES } mood;

const bool has_resolver = true;

static void say(int out, enum problem problem, unsigned module, size_t frame, const char *function)
{
    struct answer a = {.problem = problem, .module = module, .frame = frame, .name = {.line = 7, .file = "f.c"}};
    strcpy(a.name.function, function);
    CHECK_EQ(write(out, &a, sizeof a), (ssize_t)sizeof a);
}

static void say_odd_things(int out)
{
    struct answer a;
    say(out, NO_PROBLEM, 0, 2, "another module's");
    say(out, NO_PROBLEM, 1, 3, "beyond the end");
    say(out, NO_PROBLEM, 1, (size_t)-1, "far beyond");
    say(out, NO_PROBLEM, ALL_DONE - 1, 0, "no module");
    say(out, TOO_LONG + 1, 0, 0, "no such problem");
    say(out, (enum problem) - 1, 0, 0, "nor this");
    memset(&a, 'x', sizeof a);
    a.problem = NO_PROBLEM;
    a.module = 1;
    a.frame = 1;
    CHECK_EQ(write(out, &a, sizeof a), (ssize_t)sizeof a);
}

void resolve_frames(const struct request *r, int out)
{
    if (mood == ODD)
        say_odd_things(out);
    if (mood == CLOSES)
        close(out);
    if (mood == WAITS || mood == CLOSES)
        for (;;)
            pause();
    for (size_t i = 0; i < r->frames && mood != ODD; i++) {
        if (mood == CRASHES && strcmp(r->module[r->frame[i]->module].path, "/first") == 0)
            raise(SIGKILL);
        say(out, NO_PROBLEM, r->frame[i]->module, i, "honest");
    }
    say(out, NO_PROBLEM, ALL_DONE, 0, "");
}

/* The dump's frames with their names, and the notes. */
static char *show(int ms)
{
    char *text = NULL, line[256], note[2048];
    size_t size;
    FILE *in = fmemopen((char *)dump, sizeof dump - 1, "r"), *out = open_memstream(&text, &size);
    struct symbols *s = symbols_new(0, NULL);
    CHECK(in && out && s);
    symbols_read(s, in, ms);
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        fputs(line, out);
        symbols_put(s, out, line);
        fputs("\n", out);
    }
    for (unsigned i = 0; symbols_note(s, i, note, sizeof note); i++)
        fprintf(out, "%s\n", note);
    fclose(in);
    fclose(out);
    symbols_free(s);
    return text;
}

static void shows(int ms, const char *first, const char *second, const char *note)
{
    char *text = show(ms);
    CHECK(strstr(text, first));
    CHECK(strstr(text, second));
    CHECK(!note || strstr(text, note));
    free(text);
}

TEST(names_come_from_the_child)
{
    mood = HONEST;
    shows(60000, "first+0x11 in honest at f.c:7\n", "second+0x33 in honest at f.c:7\n", NULL);
}

TEST(an_odd_answer_is_ignored_and_a_long_one_is_cut)
{
    mood = ODD;
    char *text = show(60000);
    CHECK(strstr(text, "first+0x11\n"));
    CHECK(strstr(text, "second+0x22 in xxxx"));
    CHECK(strstr(text, "second+0x33\n"));
    CHECK(!strstr(text, "another") && !strstr(text, "beyond") && !strstr(text, "such"));
    CHECK(strlen(text) < 3000);
    free(text);
}

TEST(a_crash_costs_only_the_names_of_one_module)
{
    mood = CRASHES;
    shows(60000, "first+0x11\n", "second+0x33 in honest at f.c:7\n", "no names for /first: libdw failed");
}

TEST(a_child_that_waits_is_not_waited_for)
{
    mood = WAITS;
    shows(200, "first+0x11\n", "second+0x33\n", "no names for /first: reading its file took too long");
    mood = CLOSES;
    shows(60000, "first+0x11\n", "second+0x33\n", "no names for /second: libdw failed");
}
