/* SPDX-License-Identifier: MIT */
/* Out of memory and out of threads: a clear error, the resource is destroyed once, and everything works afterwards. */
#include <stdbool.h>
#include <sys/prctl.h>
#include "scarce.h"

/* ---- an allocator that fails on request -------------------------------------------------------------------------- */

static __thread int fail_at;  /* the number of the allocation that fails: 1 is the next; 0: none */
static __thread int failed_;  /* whether an allocation has failed */
static __thread long blocks_; /* blocks that this thread has allocated and not freed while it counts */
static __thread int counts;

#if OWN_MALLOC
static int fails(void)
{
    if (fail_at == 0 || --fail_at > 0)
        return 0;
    failed_ = 1;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory)
{
    blocks_ += counts && memory;
    return memory;
}

void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    return old ? __libc_realloc(old, size) : counted(__libc_malloc(size));
}

void free(void *memory)
{
    blocks_ -= counts && memory;
    __libc_free(memory);
}
#endif

static void arm(int nth)
{
    failed_ = 0;
    blocks_ = 0;
    counts = 1;
    fail_at = nth;
}

/* Returns whether an allocation has failed. The memory that was allocated meanwhile must have been freed. */
static int disarm(void)
{
    fail_at = 0;
    counts = 0;
    return failed_;
}

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

/* The nth allocation of an add fails. Returns 0 if the add makes fewer. A branch that collects results notices the
 * failure only when the add has a thread, which frees itself. */
static int add_without(bough_branch *b, int nth, bool collects, const struct bough_child_options *options)
{
    static struct thing things[64];
    struct thing *thing = &things[nth];
    CHECK(nth < 64);
    arm(nth);
    bough_thread *child = bough_add_with(b, work, thing_of(thing), options);
    int error = errno, hit = disarm();
    if (!hit || child)
        return hit; /* libc does not need that allocation: the child runs */
    CHECK(error == ENOMEM || error == EAGAIN);
    CHECK(nth > 1 || error == ENOMEM);
    if (!collects)
        CHECK_EQ(blocks_, 0);
    CHECK_EQ(thing->destroyed, 1);
    CHECK_EQ(thing->by, t_tid());
    return 1;
}

static int allocations_of_an_add(const struct bough_branch_options *o, const struct bough_child_options *options)
{
    int nth = 1;
    bough_branch *b = bough_branch_open(o);
    CHECK(b);
    while (add_without(b, nth, o && o->collect, options))
        nth++;
    struct bough_tally tally;
    CHECK_EQ(bough_branch_tally(b, &tally), 0);
    CHECK_EQ(tally.added, nth);
    CHECK(tally.count[BOUGH_NOT_STARTED] >= 1);
    CHECK_EQ(bough_branch_end(b), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK] + bough_last()->tally.count[BOUGH_NOT_STARTED], nth);
    check_all_works();
    return nth - 1;
}

/* Memory is allocated for the child and for its worker. */
TEST(adding_fails_wherever_memory_runs_out)
{
    need_own_malloc();
    CHECK(allocations_of_an_add(NULL, &(struct bough_child_options){.fresh = 1}) >= 2);
}

/* Memory is also allocated for the child's result. */
TEST(adding_to_a_branch_that_collects_fails_wherever_memory_runs_out)
{
    need_own_malloc();
    struct bough_branch_options collects = {.collect = 1};
    CHECK(allocations_of_an_add(&collects, &(struct bough_child_options){.fresh = 1}) >= 3);
}

TEST(adding_for_a_parked_thread_fails_wherever_memory_runs_out)
{
    need_own_malloc();
    check_all_works();
    struct bough_branch_options collects = {.collect = 1};
    CHECK(allocations_of_an_add(&collects, NULL) >= 2);
}

TEST(opening_a_branch_fails_wherever_memory_runs_out)
{
    need_own_malloc();
    bough_self();
    check_all_works();
    int nth = 0, hit;
    do {
        arm(++nth);
        bough_branch *b = bough_branch_open(NULL);
        int error = errno;
        hit = disarm();
        CHECK_EQ(!b, hit);
        if (hit)
            CHECK_EQ(error, ENOMEM);
        if (hit)
            CHECK_EQ(blocks_, 0);
        else
            CHECK_EQ(bough_branch_end(b), 0);
    } while (hit);
    CHECK_EQ(nth, 4); /* the branch's state, its ending and a spare failure */
    CHECK_EQ(bough_deadline(), 0);
    check_all_works();
}

/* The block is skipped, and bough_last_result() reports the failure. */
TEST(a_block_that_cant_be_opened_reports_the_failure)
{
    need_own_malloc();
    BOUGH_BRANCH(b)
        add(b, work, number(0));
    CHECK_EQ(bough_last_result(), 0);
    for (int nth = 1; nth <= 3; nth++) {
        int entered = 0;
        arm(nth);
        BOUGH_BRANCH(b)
            entered = 1;
        CHECK(disarm());
        CHECK_EQ(entered, 0);
        CHECK_EQ(bough_last_result(), ENOMEM);
    }
    BOUGH_BRANCH(b)
        add(b, work, number(0));
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_block_with_an_invalid_deadline_reports_the_failure)
{
    BOUGH_BRANCH(b, .timeout = -1)
        FAIL("this branch should not have been opened");
    CHECK_EQ(bough_last_result(), EINVAL);
}

/* A failure needs memory for its evidence; without memory the failure is counted and its code is kept. */
static int fails_without_memory(void *nth)
{
    arm((int)(intptr_t)nth);
    int code = bough_fail(BOUGH_SELF, EIO, "lost words");
    CHECK(disarm());
    return code;
}

TEST(a_failure_without_memory_keeps_its_code)
{
    need_own_malloc();
    BOUGH_BRANCH(b)
        add(b, fails_without_memory, number(1));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK(bough_last()->error);
    CHECK_EQ(bough_last()->error->code, EIO);
    CHECK(strstr(bough_last()->error->message, "no memory"));
}

TEST(a_bodys_failure_without_memory_stops_the_children)
{
    need_own_malloc();
    BOUGH_BRANCH(b) {
        add(b, until_stopped, number(0));
        arm(1);
        CHECK_EQ(bough_fail(b, EIO, "lost words"), EIO);
        CHECK(disarm());
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    CHECK_EQ(bough_last()->error->code, EIO);
}

/* 100 children fail by their return value, and no memory is left from the first return on. */
static int fails_and_has_none(void *unused)
{
    (void)unused;
    arm(1);
    return EIO;
}

TEST(failures_of_all_children_without_memory_are_counted)
{
    need_own_malloc();
    BOUGH_BRANCH(b, .collect = 1)
        for (int i = 0; i < 100; i++)
            if (!bough_add_with(b, fails_and_has_none, number(0), &(struct bough_child_options){.fresh = 1}))
                CHECK_EQ(errno, ECANCELED);
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->code, EIO);
    CHECK(bough_last()->tally.count[BOUGH_ERROR] >= 1);
    CHECK_EQ(bough_last()->count + bough_last()->tally.count[BOUGH_NOT_STARTED], 100);
}

/* The memory for a branch's end was allocated when the branch was opened. */
TEST(ending_needs_no_memory)
{
    need_own_malloc();
    struct thing thing = {0};
    bough_branch *b = bough_branch_open(&(struct bough_branch_options){.collect = 1});
    add(b, work, thing_of(&thing));
    add(b, fail_with, number(EDOM));
    arm(1);
    int result = bough_branch_end(b);
    CHECK(!disarm());
    CHECK_EQ(result, EDOM);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_last()->count, 2);
    CHECK_EQ(bough_last()->error->code, EDOM);
}

TEST(bounded_branches_and_queues_fail_with_enomem)
{
    need_own_malloc();
    BOUGH_BRANCH(b) {
        for (int nth = 1; nth <= 2; nth++) {
            arm(nth);
            bough_bounded *two = bough_bounded_new(b, 2);
            CHECK(disarm());
            CHECK(!two);
            CHECK_EQ(blocks_, 0);
        }
        bough_bounded *one = bough_bounded_new(b, 1);
        for (int nth = 1; nth <= 2; nth++) {
            struct thing thing = {0};
            arm(nth);
            bough_thread *child = bough_bounded_add(one, never_started, thing_of(&thing));
            CHECK(disarm());
            CHECK(!child);
            CHECK_EQ(thing.destroyed, 1);
        }
        CHECK(bough_bounded_add(one, work, number(0))); /* the place was released */
    }
    CHECK_EQ(bough_last_result(), 0);
    arm(1);
    bough_queue *q = bough_queue_new(4);
    CHECK(disarm());
    CHECK(!q);
}

/* ---- out of threads ---------------------------------------------------------------------------------------------- */

static const struct bough_child_options fresh = {.fresh = 1};

/* Adding fails with EAGAIN, whichever limit was set; children that run are not affected. */
static void cant_start(bough_branch *b)
{
    for (int i = 0; i < 10; i++) {
        struct thing thing = {0};
        CHECK_ERR(bough_add_with(b, never_started, thing_of(&thing), &fresh), EAGAIN);
        CHECK_EQ(thing.destroyed, 1);
        CHECK_EQ(thing.by, t_tid());
    }
}

static void run_out(int resource, rlim_t most)
{
    struct t_gate gate = {0};
    BOUGH_BRANCH(b) {
        add(b, wait_for_gate, bough_arg(&gate));
        add(b, until_stopped, number(0));
        rlim_t before = limit_to(resource, most);
        cant_start(b);
        struct bough_tally tally;
        CHECK_EQ(bough_branch_tally(b, &tally), 0);
        CHECK_EQ(tally.count[BOUGH_RUNNING], 2);
        CHECK_EQ(tally.count[BOUGH_NOT_STARTED], 10);
        limit_to(resource, before);
        CHECK(bough_add_with(b, work, number(0), &fresh));
        t_gate_open(&gate);
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_NOT_STARTED], 10);
    check_all_works();
}

/* The limit does not apply to root, so the test becomes the user nobody. libc changes the user id in each thread,
 * including the library's threads. */
static void without_threads(void *unused)
{
    (void)unused;
    check_all_works();
    if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        _exit(77);
    prctl(PR_SET_DUMPABLE, 1);
    run_out(RLIMIT_NPROC, 1);
}

TEST(an_add_without_threads_fails_with_eagain)
{
    int status = t_run_status(without_threads, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("can't become nobody here");
    CHECK_EXITED(status, 0);
}

static rlim_t size_now(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Leaves no room for a stack. Stacks have 64 MiB, so that no cached stack fits. */
static void without_room(void *unused)
{
    (void)unused;
    struct bough_child_options large = {.stack = 64 << 20};
    check_all_works();
    BOUGH_BRANCH(b) {
        add(b, until_stopped, number(0));
        rlim_t before = limit_to(RLIMIT_AS, size_now() + (8 << 20));
        struct thing thing = {0};
        CHECK_ERR(bough_add_with(b, never_started, thing_of(&thing), &large), EAGAIN);
        CHECK_EQ(thing.destroyed, 1);
        limit_to(RLIMIT_AS, before);
        CHECK(bough_add_with(b, work, number(0), &large));
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    check_all_works();
}

TEST(an_add_without_room_for_a_stack_fails_with_eagain)
{
    if (T_ASAN || T_TSAN)
        SKIP("sanitizers need additional address space");
    CHECK_EXITED(t_run_status(without_room, NULL), 0);
}
