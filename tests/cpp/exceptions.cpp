/* SPDX-License-Identifier: MIT */
/* Rules 19, 23, 26 and 28 for C++: an exception that leaves a block is a failure of its body. */
#include <bough.h>
#include <atomic>
#include <stdexcept>
#include "harness.h"

/* ---- children ---------------------------------------------------------------------------------------------------- */

static std::atomic<int> ended, stopped, inside;

/* A server's child: only an interrupt ends it. */
static int serve(void *)
{
    bough_event_flag never = BOUGH_EVENT_INIT;
    int error = bough_event_wait(&never, 0) == 0 ? 0 : errno;
    stopped += error == ECANCELED;
    ended++;
    return error;
}

static int fail_at_once(void *)
{
    return EIO;
}

static int succeed(void *)
{
    return 0;
}

static int finish(void *gate)
{
    t_gate_wait(static_cast<t_gate *>(gate));
    ended++;
    return bough_check() != 0 ? ECANCELED : 0;
}

static void *open_gate(void *gate)
{
    t_until_blocked(getpid());
    t_gate_open(static_cast<t_gate *>(gate));
    return nullptr;
}

static void add(bough_branch *branch, bough_fn *fn, void *value = nullptr)
{
    CHECK(bough_add(branch, fn, bough_arg(value)));
}

static std::atomic<int> reports;

/* Counts only reports that the test expects: a thread that had no processor for a while is reported as well. */
static void count_report(const char *line)
{
    reports += strstr(line, "has not acknowledged") == nullptr;
}

/* ---- a failure of the body --------------------------------------------------------------------------------------- */

TEST(an_exception_interrupts_and_joins_the_children)
{
    bool caught = false;
    int line = 0;
    try {
        line = __LINE__ + 1;
        BOUGH_BRANCH(b) {
            add(b, serve);
            add(b, serve);
            throw std::runtime_error("left");
        }
    } catch (const std::runtime_error &e) {
        CHECK_STR(e.what(), "left");
        CHECK_EQ(ended, 2);
        caught = true;
    }
    CHECK(caught);
    CHECK_EQ(stopped, 2);
    const bough_ending *last = bough_last();
    CHECK_EQ(last->result, EPROTO);
    CHECK_EQ(last->interrupted, 0);
    CHECK_EQ(last->tally.count[BOUGH_INTERRUPTED], 2);
    CHECK_EQ(last->error->code, EPROTO);
    CHECK_STR(last->error->message, "a C++ exception left the block");
    CHECK_STR(last->error->who, "the body in b");
    CHECK_EQ(last->error->line, line);
    CHECK(strstr(last->error->file, "exceptions.cpp") && last->error->function);
}

TEST(nested_blocks_are_left_from_the_inside_out)
{
    int inner_result = -1;
    try {
        BOUGH_BRANCH(outer) {
            add(outer, serve);
            try {
                BOUGH_BRANCH(inner) {
                    add(inner, serve);
                    throw 1;
                }
            } catch (int) {
                CHECK_EQ(ended, 1);
                inner_result = bough_last_result();
                throw;
            }
        }
    } catch (int) {
        CHECK_EQ(ended, 2);
    }
    CHECK_EQ(inner_result, EPROTO);
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK_STR(bough_last()->label, "outer");
}

static void leave_all_regions()
{
    BOUGH_BRANCH(b) {
        add(b, serve);
        BOUGH_CRITICAL(BOUGH_SEC(600))
            BOUGH_DEADLINE(BOUGH_SEC(600))
                BOUGH_CLEANUP(0)
                    throw 1;
    }
}

TEST(regions_and_deadlines_in_between_are_ended)
{
    try {
        leave_all_regions();
    } catch (int) {
        CHECK_EQ(ended, 1);
    }
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_deadline(), 0);
}

TEST(an_exception_that_is_caught_in_the_block_is_no_failure)
{
    t_gate gate = {0};
    t_thread opener;
    BOUGH_BRANCH(b) {
        add(b, finish, &gate);
        try {
            throw 1;
        } catch (int) {
        }
        t_spawn(&opener, open_gate, &gate);
    }
    CHECK_EQ(ended, 1);
    CHECK_EQ(bough_last_result(), 0);
    t_join(&opener);
}

/* ---- a block that runs while an exception is being thrown -------------------------------------------------------- */

/* The block in its destructor ends successfully while an exception is being thrown. */
struct waits {
    t_gate gate = {0};
    t_thread opener;
    ~waits()
    {
        BOUGH_BRANCH(b) {
            add(b, finish, &gate);
            t_spawn(&opener, open_gate, &gate);
        }
        CHECK_EQ(bough_last_result(), 0);
        t_join(&opener);
    }
};

TEST(a_block_in_a_destructor_that_an_exception_runs_ends_successfully)
{
    try {
        BOUGH_BRANCH(outer) {
            waits first;
            throw 1;
        }
    } catch (int) {
        CHECK_EQ(ended, 1);
    }
    CHECK_EQ(stopped, 0);
    CHECK_EQ(bough_last_result(), EPROTO);
}

/* An exception leaves the block in its destructor while another exception is being thrown. */
struct throws {
    ~throws()
    {
        try {
            BOUGH_BRANCH(b) {
                add(b, serve);
                throw 2;
            }
        } catch (int number) {
            CHECK_EQ(number, 2);
            CHECK_EQ(ended, 1);
        }
        CHECK_EQ(bough_last_result(), EPROTO);
    }
};

TEST(a_block_in_a_destructor_that_an_exception_runs_is_left_by_another_exception)
{
    int number = 0;
    try {
        throws first;
        throw 1;
    } catch (int caught) {
        number = caught;
    }
    CHECK_EQ(number, 1);
    CHECK_EQ(stopped, 1);
}

TEST(an_exception_that_is_thrown_again_in_a_block_leaves_it)
{
    try {
        try {
            throw 1;
        } catch (int) {
            BOUGH_BRANCH(b) {
                add(b, serve);
                throw;
            }
        }
    } catch (int) {
        CHECK_EQ(stopped, 1);
    }
    CHECK_EQ(bough_last_result(), EPROTO);
}

TEST(a_stored_exception_that_is_thrown_again_leaves_its_block)
{
    std::exception_ptr kept;
    try {
        throw 1;
    } catch (int) {
        kept = std::current_exception();
    }
    try {
        BOUGH_BRANCH(b) {
            add(b, serve);
            std::rethrow_exception(kept);
        }
    } catch (int) {
        CHECK_EQ(stopped, 1);
    }
    CHECK_EQ(bough_last_result(), EPROTO);
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

/* Throws an exception if a call fails, as a C++ program may do. */
static void wait_or_throw()
{
    bough_event_flag never = BOUGH_EVENT_INIT;
    if (bough_event_wait(&never, 0) != 0)
        throw errno;
}

TEST(the_body_leaves_because_its_deadline_has_passed)
{
    int error = 0;
    try {
        BOUGH_DEADLINE(BOUGH_MS(10)) {
            wait_or_throw();
        }
    } catch (int caught) {
        error = caught;
    }
    CHECK_EQ(error, ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    CHECK(!bough_last()->error);
}

static int leave_by_interrupt(void *)
{
    try {
        BOUGH_BRANCH(b) {
            add(b, serve);
            inside = 1;
            wait_or_throw();
        }
    } catch (int error) {
        CHECK_EQ(bough_last_result(), ECANCELED);
        return error;
    }
    return 0;
}

TEST(the_body_leaves_because_it_was_interrupted_from_further_out)
{
    BOUGH_BRANCH(b) {
        add(b, leave_by_interrupt);
        t_until(inside);
        bough_interrupt(b, "enough");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

TEST(the_body_leaves_because_a_child_has_failed)
{
    try {
        BOUGH_BRANCH(b) {
            add(b, serve);
            add(b, fail_at_once);
            wait_or_throw();
        }
    } catch (int error) {
        CHECK_EQ(error, ECANCELED);
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, 0);
}

/* ---- reading the failure ----------------------------------------------------------------------------------------- */

static int catch_it(void *fn)
{
    try {
        BOUGH_BRANCH(b) {
            add(b, reinterpret_cast<bough_fn *>(fn));
            if (fn == reinterpret_cast<void *>(fail_at_once))
                wait_or_throw();
            throw 1;
        }
    } catch (int) {
    }
    return 0;
}

TEST(the_catcher_of_the_exception_has_read_the_failure)
{
    bough_set_report(count_report);
    BOUGH_BRANCH(b)
        add(b, catch_it, reinterpret_cast<void *>(serve));
    CHECK_EQ(bough_last_result(), 0);
    catch_it(reinterpret_cast<void *>(serve));
    BOUGH_BRANCH(b)
        add(b, succeed);
    CHECK(bough_release() == 0); /* a release reports failures that main has not read */
    CHECK_EQ(reports, 0);
}

TEST(the_failure_of_a_child_remains_to_be_read)
{
    BOUGH_BRANCH(b)
        add(b, catch_it, reinterpret_cast<void *>(fail_at_once));
    CHECK_EQ(bough_last_result(), EIO);
}

/* ---- the block form in C++ --------------------------------------------------------------------------------------- */

TEST(options_are_given_as_a_variable)
{
    bough_branch_options options = {};
    options.timeout = BOUGH_SEC(600);
    options.supervisor = 1;
    BOUGH_BRANCH(b, options) {
        CHECK(bough_deadline() > 0);
        add(b, fail_at_once);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_STR(bough_last()->label, "b");
}

#if __cplusplus > 201703L
TEST(options_are_given_as_a_list)
{
    BOUGH_BRANCH(b, .label = "workers", .timeout = BOUGH_SEC(600), .supervisor = 1) {
        CHECK(bough_deadline() > 0);
        add(b, fail_at_once);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_STR(bough_last()->label, "workers");
}
#endif

TEST(a_block_that_cannot_be_opened_is_skipped)
{
    bough_branch_options options = {};
    options.timeout = -1;
    BOUGH_BRANCH(b, options)
        FAIL("the block runs");
    CHECK_EQ(bough_last_result(), EINVAL);
}

static int by_return()
{
    BOUGH_BRANCH(b)
        return 3;
    return 0;
}

TEST(a_block_runs_once_and_is_left_by_each_statement_that_leaves_a_loop)
{
    int runs = 0;
    BOUGH_BRANCH(b) {
        runs++;
        errno = EDOM;
    }
    CHECK_EQ(errno, EDOM);
    BOUGH_BRANCH(b) {
        runs++;
        if (b)
            break;
        FAIL("the block goes on");
    }
    BOUGH_BRANCH(b) {
        runs++;
        if (b)
            continue;
        FAIL("the block goes on");
    }
    CHECK_EQ(by_return(), 3);
    CHECK_EQ(runs, 3);
    CHECK(bough_release() == 0); /* no branch is open */
}
