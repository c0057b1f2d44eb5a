/* SPDX-License-Identifier: MIT */
/* The dump that rung 6 writes: it includes the stacks of running threads, which write them on request (rules 39 and
 * 41). */
#include <fcntl.h>
#include "../semantics/climber.h"
#include "../signals/program.h"
#include "dumps.h"

/* The functions are in separate sections, whose bounds the linker defines. */
#define IN_SECTION(name) __attribute__((noinline, section(name)))
extern const char __start_spins[], __stop_spins[], __start_calls[], __stop_calls[];

IN_SECTION("spins") static void spin_for_ever(void)
{
    while (!c_go)
        __asm__ volatile("");
}

IN_SECTION("calls") static int computes(void *unused)
{
    (void)unused;
    spin_for_ever();
    __asm__ volatile(""); /* no tail call */
    return 0;
}

static void never_returns(void)
{
    for (;;)
        pause();
}

/* The ladder has short steps, and enough time for the dump. */
static void climbs_to_the_kill(void *path)
{
    struct bough_ladder l = {.cap = BOUGH_SEC(600)};
    for (int rung = 1; rung < BOUGH_RUNG_KILL; rung++)
        l.time[rung] = BOUGH_MS(100);
    l.time[BOUGH_RUNG_KILL] = BOUGH_SEC(20);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    CHECK_EQ(bough_last_words(path, -1, 0), 0);
    atexit(never_returns);
    BOUGH_BRANCH(b) {
        struct bough_child_options o = {.name = "the computer"};
        CHECK(bough_add_with(b, computes, bough_arg(NULL), &o));
        CHECK(bough_post_event(b, &(struct bough_event){.kind = BOUGH_OPERATOR, .reason = "enough"}).record);
    }
}

/* The address of this program's file, as the dump gives it. */
static uintptr_t base_of(const char *text, const char *program)
{
    unsigned long base = 0;
    const char *line = strstr(text, "\ncode, for addr2line");
    while (line && (line = strchr(line + 1, '\n')))
        if (sscanf(line, "\n  0x%lx", &base) == 1 && strstr(line, program) < strchr(line + 1, '\n') &&
            strstr(line, program))
            return base;
    FAIL("%s is nowhere in:\n%s", program, text);
}

/* Checks that one of the frames lies between the bounds. The forked process has the same program at the same
 * address. */
static bool has_frame(const char *stack, const char *program, uintptr_t base, const char *low, const char *high)
{
    char before[64];
    unsigned long offset;
    snprintf(before, sizeof before, "      %s+", program);
    for (const char *at = stack; (at = strstr(at, before)); at++)
        if (sscanf(at + strlen(before), "0x%lx", &offset) == 1 && base + offset >= (uintptr_t)low &&
            base + offset <= (uintptr_t)high)
            return true;
    return false;
}

/* The text from the line of a thread that was asked for its stack to the next thread's line; the caller frees it. NULL
 * if no thread has answered. */
static char *stack_asked_for(char *text)
{
    char *begin = strstr(text, "when asked:\n");
    if (!begin)
        return NULL;
    char *end = begin;
    do
        end = strchr(end + 1, '\n');
    while (end && strncmp(end, "\n      ", 7) == 0);
    return strndup(begin, end ? (size_t)(end - begin) : strlen(begin));
}

static char *words_of_a_process(void)
{
    char path[32];
    int fd = memfd_create("words", 0);
    CHECK(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_KILLED(t_run_status(climbs_to_the_kill, path), SIGKILL);
    char *text = text_of(fd);
    check_whole(text);
    SAYS(text, "because: ", "enough");
    SAYS(text, "operator \"enough\", rung 6", "");
    return text;
}

static bool shows_its_frames(char *text)
{
    char *stack = stack_asked_for(text);
    uintptr_t base = base_of(text, "/inspect-words");
    bool shows = stack && says(text, "thread the computer", "running") &&
                 has_frame(stack, "inspect-words", base, __start_spins, __stop_spins) &&
                 has_frame(stack, "inspect-words", base, __start_calls, __stop_calls);
    free(stack);
    return shows;
}

/* A thread that gets no processor for 0.1 s does not answer, and a child may not have begun: it is enough if one of
 * some processes shows the frames. */
TEST_LIMIT(a_spinning_thread_shows_its_frames, 60)
{
    enum { TRIES = 10 };
    needs_threads_after_fork();
    for (int i = 1;; i++) {
        char *text = words_of_a_process();
        bool shows = shows_its_frames(text);
        if (!shows && i == TRIES)
            FAIL("not in %p, called in %p:\n%s", (const void *)__start_spins, (const void *)__start_calls, text);
        free(text);
        if (shows)
            break;
    }
}

/* Fixed bug: the dump was lost. */
TEST_LIMIT(words_that_their_file_does_not_take_go_to_standard_error, 60)
{
    static char text[1 << 16];
    needs_threads_after_fork();
    CHECK_KILLED(t_run_output(climbs_to_the_kill, (char[]){"/dev/full"}, text, sizeof text), SIGKILL);
    SAYS(text, "because: ", "enough");
    CHECK(strstr(text, "==== end ===="));
}
