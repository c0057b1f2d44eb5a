/* SPDX-License-Identifier: MIT */
/* What a language binding needs: a hook on one of its symbols in one object, a chosen errno for each thread, and a
 * notification of each interrupted call, on the thread, before the foreign code continues. bough's patcher provides all
 * of that, also for objects that are loaded later: the extension module (extension.c) is loaded after everything is set
 * up. */
#include "victims.h"
#include <fcntl.h>
#include <poll.h>

/* ---- the interpreter --------------------------------------------------------------------------------------------- */

int host_check(void);

static _Thread_local int asked;

/* No signal has arrived: continue. */
int host_check(void)
{
    asked++;
    return 0;
}

/* ---- the binding ------------------------------------------------------------------------------------------------- */

static _Thread_local struct binding {
    int cuts, raised, checks; /* interrupted calls, exceptions that the hook has raised, calls of the hook */
    int pending;              /* an exception is to be raised */
    const char *call;
} binding;

static int (*original_check)(void);

/* The binding's code: makes an exception of the interpreter from the record. */
static int on_cut(void *argument, const struct bough_cut *cut)
{
    CHECK_EQ(*(int *)argument, 4711);
    CHECK_EQ(cut->error, EINTR);
    CHECK_EQ(cut->again, 0);
    CHECK_EQ(cut->fd, -1);
    CHECK(strstr(cut->object, "/libextension.so"));
    CHECK(cut->why);
    CHECK_STR(cut->why->reason, "test");
    CHECK_ERR(bough_check(), ECANCELED); /* the callback may call bough */
    binding.cuts++;
    binding.pending = 1;
    binding.call = cut->call;
    return 0;
}

static int check_instead(void)
{
    binding.checks++;
    if (!binding.pending)
        return original_check();
    binding.pending = 0;
    binding.raised++;
    return -1;
}

static bough_hook_t *bind_it(void)
{
    bough_code *original = NULL;
    bough_hook_t *hook = bough_hook("libextension.so", "host_check", (bough_code *)(uintptr_t)check_instead, &original);
    CHECK(hook);
    original_check = (int (*)(void))original;
    CHECK(original_check == host_check);
    CHECK(bough_interpose((const char *const[]){"libextension.so", "", NULL}, 0) > 0);
    return hook;
}

static void choose_errno(void)
{
    static int mine = 4711;
    struct bough_foreign ways = {.error = EINTR, .on_cut = on_cut, .argument = &mine};
    CHECK_EQ(bough_foreign_set(&ways), 0);
}

/* ---- a script ---------------------------------------------------------------------------------------------------- */

typedef int wait_fn(int fd);

static wait_fn *load_extension(void **object)
{
    *object = dlopen(VICTIMS "/libextension.so", RTLD_NOW);
    if (!*object)
        FAIL("%s", dlerror());
    return (wait_fn *)(uintptr_t)dlsym(*object, "extension_wait");
}

enum { ROUNDS = 200 };

static struct script {
    wait_fn *wait;
    int fds[2];
    struct t_sequence turns;
    struct t_gate known;
    bough_thread *self;
    struct t_thread thread;
} script;

/* Each wait is interrupted from outside and raises; the next one waits again. */
static void *run_script(void *unused)
{
    script.self = bough_self();
    choose_errno();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        t_turn(&script.turns, 2 * i);
        t_gate_open(&script.known);
        int result = 0;
        BOUGH_FOREIGN
        {
            result = script.wait(script.fds[0]);
        }
        CHECK_EQ(result, -1);
        CHECK_STR(binding.call, "poll");
        CHECK_EQ(bough_clear(NULL), 1); /* the exception carries the interrupt now */
    }
    CHECK_EQ(binding.cuts, ROUNDS);
    CHECK_EQ(binding.raised, ROUNDS);
    CHECK_EQ(binding.checks, ROUNDS);
    CHECK_EQ(asked, 0);
    t_over(&script.turns);
    return unused;
}

TEST(each_interrupted_call_becomes_an_exception_of_the_interpreter)
{
    void *object;
    bough_hook_t *hook = bind_it();
    script.wait = load_extension(&object); /* loaded after everything is set up */
    CHECK_EQ(pipe(script.fds), 0);
    t_spawn(&script.thread, run_script, NULL);
    t_gate_wait(&script.known);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        t_until(__atomic_load_n(&script.turns.turn, __ATOMIC_SEQ_CST) == 2 * i);
        t_until_blocked(script.thread.tid);
        CHECK_EQ(bough_interrupt(script.self, "test"), 0);
        t_turn(&script.turns, 2 * i + 1);
        t_over(&script.turns);
    }
    t_join(&script.thread);
    CHECK_EQ(slot_of("libextension", "host_check").state, BOUGH_SLOT_HOOKED);
    CHECK_EQ(slot_of("libextension", "poll").state, BOUGH_SLOT_INTERPOSED);
    CHECK_EQ(bough_unhook(hook), 0);
    CHECK_EQ(bough_interpose_undo(), 0);
    close(script.fds[0]);
    close(script.fds[1]);
    dlclose(object);
}

/* ---- other threads and objects ----------------------------------------------------------------------------------- */

/* A thread that has chosen no errno gets ECANCELED, and no callback runs. */
static void *run_plain(void *unused)
{
    int result = 0;
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
        result = script.wait(script.fds[0]);
    }
    CHECK_EQ(result, -2);
    CHECK_EQ(errno, ECANCELED);
    CHECK_EQ(binding.cuts, 0);
    return unused;
}

TEST(another_thread_keeps_the_default_errno)
{
    void *object;
    struct t_thread thread;
    bough_hook_t *hook = bind_it();
    script.wait = load_extension(&object);
    choose_errno();
    CHECK_EQ(pipe(script.fds), 0);
    t_spawn(&thread, run_plain, NULL);
    t_join(&thread);
    CHECK_EQ(binding.cuts, 0);
    CHECK_EQ(bough_unhook(hook), 0);
    close(script.fds[0]);
    close(script.fds[1]);
    dlclose(object);
}

TEST(other_objects_call_the_interpreter_and_the_hook_can_be_removed)
{
    void *object;
    bough_hook_t *hook = bind_it();
    wait_fn *wait = load_extension(&object);
    CHECK_EQ(host_check(), 0); /* the program's call, which is not hooked */
    CHECK_EQ(asked, 1);
    CHECK_EQ(binding.checks, 0);
    CHECK_EQ(bough_unhook(hook), 0);
    choose_errno();
    CHECK_EQ(pipe(script.fds), 0);
    CHECK_EQ(write(script.fds[1], "x", 1), 1);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
        CHECK_EQ(wait(script.fds[0]), 1); /* interrupted once; host_check() then lets the wait continue */
    }
    CHECK_EQ(binding.cuts, 1);
    CHECK_EQ(asked, 2);
    CHECK_EQ(binding.checks, 0);
    CHECK_EQ(bough_clear(NULL), 1);
    close(script.fds[0]);
    close(script.fds[1]);
    dlclose(object);
}
