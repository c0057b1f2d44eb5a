/* SPDX-License-Identifier: MIT */
/* Rule 30: evidence (message, place, backtrace) is taken at the failure. */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "semantics/children.h"

int deep_inside(int depth);
int between(int depth);

static int line_of_failure;

/* Not static: dladdr() finds them. */
__attribute__((noinline)) int deep_inside(int depth)
{
    line_of_failure = __LINE__ + 1;
    int code = bough_fail(BOUGH_SELF, EIO, "connection %d", depth);
    __asm__ volatile("");
    return code;
}

__attribute__((noinline)) int between(int depth)
{
    int code = depth ? between(depth - 1) : deep_inside(7);
    __asm__ volatile("");
    return code;
}

static int fail_deep_inside(void *unused)
{
    (void)unused;
    return between(2);
}

static const bough_error *deep_error(void)
{
    struct bough_child_options o = {.name = "reader"};
    BOUGH_BRANCH(b, .label = "clients")
        CHECK(bough_add_with(b, fail_deep_inside, bough_arg(NULL), &o));
    return bough_last()->error;
}

TEST(a_failure_has_a_message_and_a_place)
{
    const bough_error *e = deep_error();
    CHECK_EQ(e->code, EIO);
    CHECK_STR(e->message, "connection 7");
    CHECK_STR(e->function, "deep_inside");
    CHECK_EQ(e->line, line_of_failure);
    CHECK(strstr(e->file, "rule_30_evidence.c"));
    CHECK_STR(e->who, "reader in clients");
}

static void need_backtrace(const bough_error *e)
{
    if (e->depth == 0)
        SKIP("built without an unwinder");
}

static const char *name_at(void *pc)
{
    Dl_info info;
    return dladdr((char *)pc - 1, &info) && info.dli_sname ? info.dli_sname : "";
}

/* Fixed bug: the number of library frames at the start depended on the compiler's inlining. */
TEST(the_backtrace_begins_at_the_call_of_bough_fail)
{
    const bough_error *e = deep_error();
    need_backtrace(e);
    CHECK(e->depth >= 5);
    CHECK_STR(name_at(e->trace[0]), "deep_inside");
    CHECK_STR(name_at(e->trace[1]), "between");
    CHECK_STR(name_at(e->trace[2]), "between");
    CHECK_STR(name_at(e->trace[3]), "between");
}

static char text[8192];

static const char *printed(const bough_error *e)
{
    int fd = (int)syscall(SYS_memfd_create, "text", 0);
    CHECK_EQ(bough_error_print(e, fd), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = '\0';
    close(fd);
    return text;
}

TEST(a_printed_failure_names_the_innermost_function)
{
    char expected[128];
    const bough_error *e = deep_error();
    snprintf(expected, sizeof expected, "reader in clients: %s: connection 7 (deep_inside, ", strerror(EIO));
    CHECK(strstr(printed(e), expected));
    need_backtrace(e);
    CHECK(strstr(text, "at deep_inside+0x"));
    CHECK(strstr(text, "at between+0x"));
}

TEST(a_printed_failure_shows_the_whole_tree)
{
    BOUGH_BRANCH(b)
        add(b, fail_twice, bough_arg(NULL));
    printed(bough_last()->error);
    CHECK(strstr(text, "\n    a child in b: "));
    CHECK(strstr(text, ": two ("));
    CHECK_ERR(bough_error_print(NULL, 1), EINVAL);
    CHECK_ERR(bough_error_print(bough_last()->error, -1), EBADF);
}

TEST(a_failure_by_return_value_alone_has_no_place)
{
    BOUGH_BRANCH(b)
        add(b, fail_with, number(EIO));
    const bough_error *e = bough_last()->error;
    CHECK(!e->file && !e->function);
    CHECK_STR(e->message, "");
    CHECK_STR(e->who, "a child in b");
    CHECK_EQ(e->depth, 0);
}

/* Fixed bug: the body was named by the innermost branch it had open. */
TEST(the_body_is_named_by_its_branch)
{
    BOUGH_BRANCH(outer)
        BOUGH_BRANCH(inner)
            bough_fail(outer, EIO, "test");
    CHECK_STR(bough_last()->error->who, "the body in outer");
}

static int end_early(void *unused)
{
    (void)unused;
    char *message = strdup("gone by then");
    bough_fail(BOUGH_SELF, EIO, "%s", message);
    memset(message, 'x', 4);
    free(message);
    return 0;
}

TEST(evidence_is_taken_when_bough_fail_is_called)
{
    BOUGH_BRANCH(b)
        add(b, end_early, bough_arg(NULL));
    CHECK_STR(bough_last()->error->message, "gone by then");
}

TEST(a_long_message_is_truncated)
{
    char message[2000];
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    BOUGH_BRANCH(b)
        bough_fail(b, EIO, "%s", message);
    CHECK_EQ(strlen(bough_last()->error->message), 511);
}

TEST(bough_fail_keeps_errno)
{
    BOUGH_BRANCH(b) {
        errno = EDOM;
        bough_fail(b, EIO, "test");
        CHECK_EQ(errno, EDOM);
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void kernel_name(char *name)
{
    CHECK_EQ(pthread_getname_np(pthread_self(), name, 16), 0);
}

static int look_at_names(void *unused)
{
    char name[64];
    (void)unused;
    kernel_name(name);
    CHECK_STR(name, "a name that is ");
    CHECK_EQ(bough_get_name(bough_self(), name, sizeof name), 31);
    CHECK_STR(name, "a name that is longer than the ");
    CHECK_EQ(bough_get_name(bough_self(), name, 4), 31);
    CHECK_STR(name, "a n");
    CHECK_EQ(bough_set_name("another"), 0);
    kernel_name(name);
    CHECK_STR(name, "another");
    return 1;
}

TEST(threads_and_branches_have_names)
{
    char name[64];
    struct bough_child_options o = {.name = "a name that is longer than the kernel's and ours"};
    BOUGH_BRANCH(some_branch, .collect = 1) {
        CHECK(bough_add_with(some_branch, look_at_names, bough_arg(NULL), &o));
        CHECK_EQ(bough_get_name(some_branch, name, sizeof name), 11);
        CHECK_STR(name, "some_branch");
        CHECK_ERR(bough_get_name(some_branch, NULL, 0), EINVAL);
        BOUGH_BRANCH(b, .label = "label") {
            bough_get_name(b, name, sizeof name);
            CHECK_STR(name, "label");
        }
    }
    CHECK_STR(bough_last()->children[0].name, "another");
    CHECK_STR(bough_last()->error->who, "another in some_branch");
    bough_get_name(BOUGH_ROOT, name, sizeof name);
    CHECK_STR(name, "root");
}
