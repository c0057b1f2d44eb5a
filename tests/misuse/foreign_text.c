/* SPDX-License-Identifier: MIT */
/* Names, reasons, messages and file names are untrusted text. In the library's output they break no line, control no
 * terminal, change no text direction and are valid UTF-8. Fixed bug: a reason could forge lines of the log. */
#include <bough/ladder.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "semantics/children.h"

/* A line break, an escape sequence, the C1 code that starts one, a right-to-left override, a stray byte, half a
 * character. */
#define HOSTILE            \
    "a\nb\033[1mc\xc2\x9b" \
    "d\xe2\x80\xae"        \
    "e\xff"                \
    "f\xe2\x82"
#define HARMLESS "a\\x0ab\\x1b[1mc\\xc2\\x9bd\\xe2\\x80\\xaee\\xfff\\xe2\\x82"
#define SHORT "n\n\xe2\x80\xae\xff" /* for names, which are 31 bytes at most */
#define SHORTER "n\\x0a\\xe2\\x80\\xae\\xff"

/* a letter, a currency sign, a tree: written unchanged */
static const char *const good = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\xb3";

static int plain(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\n') || *text == '\x7f')
            return 0;
    return !strstr(text, "\xc2\x9b") && !strstr(text, "\xe2\x80\xae") && !strchr(text, '\xff');
}

static void *ignore_failure(void *unused)
{
    bough_set_name(SHORT);
    BOUGH_BRANCH(b, .label = SHORT)
        bough_fail(b, EIO, "%s %s", HOSTILE, good);
    return unused;
}

TEST(reports_escape_untrusted_text)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, ignore_failure, NULL);
    t_join(&thread);
    CHECK_EQ(reports_count_, 1);
    CHECK(reported(HARMLESS " \xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\xb3"));
    CHECK(reported("(" SHORTER ")"));
    CHECK(reported(SHORTER " in " SHORTER));
    CHECK(plain(reports_));
    CHECK_EQ(strchr(reports_, '\n')[1], '\0'); /* the line break that keep_report_() adds */
}

static char *text_of(int fd)
{
    static char text[1 << 16];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

TEST(printed_errors_escape_untrusted_text)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    BOUGH_BRANCH(b, .label = SHORT)
        bough_fail(b, EIO, "%s", HOSTILE);
    CHECK_EQ(bough_error_print(bough_last()->error, fd), 0);
    const char *text = text_of(fd);
    CHECK(strstr(text, HARMLESS));
    CHECK(strstr(text, SHORTER));
    CHECK(plain(text));
}

static struct t_gate begun, stepped;
static char place[160];

static int hang(void *gate)
{
    struct bough_region region;
    bough_allow_begin(&region, "/" HOSTILE, 7);
    t_gate_open(&begun);
    t_gate_wait(gate);
    return bough_region_end(&region);
}

static void on_step(const struct bough_transition *step, void *unused)
{
    (void)unused;
    if (!step->to)
        return;
    snprintf(place, sizeof place, "%s", step->place);
    t_gate_open(&stepped);
}

static void hangs_and_is_interrupted(void (*look)(void))
{
    struct t_gate gate = {0};
    struct bough_ladder l = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(10)}};
    BOUGH_BRANCH(b, .label = SHORT) {
        struct bough_child_options options = {.name = SHORT};
        CHECK_EQ(bough_ladder_set(b, &l), 0);
        bough_thread *child = bough_add_with(b, hang, bough_arg(&gate), &options);
        CHECK(child);
        t_gate_wait(&begun);
        CHECK_EQ(bough_interrupt(child, HOSTILE), 0);
        look();
        t_gate_open(&gate);
    }
    bough_last();
}

static void await_report(void)
{
    t_gate_wait(&stepped);
    t_until(reported(", posted "));
}

TEST(the_ladders_log_and_the_place_of_a_step_escape_untrusted_text)
{
    listen_to_reports();
    CHECK_EQ(bough_on_transition(on_step, NULL), 0);
    hangs_and_is_interrupted(await_report);
    CHECK(reported(SHORTER " in " SHORTER ": stop (" HARMLESS ")"));
    CHECK(plain(reports_));
    CHECK(plain(place));
    CHECK(strstr(place, SHORTER));
    bough_on_transition(NULL, NULL);
}

static void look_at_dump(void)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    CHECK_EQ(bough_dump(fd), 0);
    const char *text = text_of(fd);
    CHECK(strstr(text, "\"" HARMLESS "\""));
    CHECK(strstr(text, "thread " SHORTER " ("));
    CHECK(strstr(text, "branch " SHORTER " at"));
    CHECK(strstr(text, HARMLESS ":7"));
    CHECK(plain(text));
}

TEST(dumps_escape_untrusted_text)
{
    hangs_and_is_interrupted(look_at_dump);
}
