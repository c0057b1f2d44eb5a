/* SPDX-License-Identifier: MIT */
/* Rules 2, 5 and 6: a thread that recomputes its word or adopts itself overlooks no post. Hooks separate two steps
 * where needed. */
#include <signal.h>
#include "state/arena.h"
#include "hooks.h"

static _Atomic int handled;

/* ---- while the word is recomputed -------------------------------------------------------------------------------- */

#if BO_HOOKS
static int nested_result, nested_error, nested_fd;

static void read_on_top(int signo)
{
    int saved = errno;
    char byte;
    (void)signo;
    nested_result = (int)bough_read(nested_fd, &byte, 1);
    nested_error = errno;
    errno = saved;
}

static void call_while_settling(void)
{
    bo_hook_settling = NULL;
    raise(SIGUSR1);
}

TEST(a_call_of_a_handler_fails_while_the_word_is_recomputed)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    nested_fd = fds[0];
    catch_signal(SIGUSR1, read_on_top, SA_RESTART, 0);
    CHECK_EQ(bough_interrupt(bough_self(), "it stands"), 0);
    bo_hook_settling = call_while_settling;
    bough_clear_kind(NULL, BOUGH_OPERATOR); /* clears nothing, and recomputes the word */
    CHECK_EQ(nested_result, -1);
    CHECK_EQ(nested_error, ECANCELED);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    close(fds[0]);
    close(fds[1]);
}

/* The step that ends a critical section makes the interrupt due: a handler may call directly after that step. */
static void call_where_a_section_has_ended(void)
{
    bo_hook_region_left = NULL;
    raise(SIGUSR1);
}

TEST(a_call_of_a_handler_fails_as_soon_as_a_section_has_ended)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    nested_fd = fds[0];
    catch_signal(SIGUSR1, read_on_top, SA_RESTART, 0);
    BOUGH_CRITICAL(BOUGH_SEC(3600)) {
        CHECK_EQ(bough_interrupt(bough_self(), "during the section"), 0);
        bo_hook_region_left = call_where_a_section_has_ended;
    }
    CHECK_EQ(nested_result, -1);
    CHECK_EQ(nested_error, ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    close(fds[0]);
    close(fds[1]);
}

/* A post that finds the word due changes no bit of it. If it comes after the records were read, only the count of
 * changes shows it to the thread that is recomputing the word. */
static bough_thread *settler;

static void post_while_settling(void)
{
    bo_hook_settled = NULL;
    struct bough_event event = {.kind = BOUGH_OPERATOR};
    CHECK(bough_post_event(settler, &event).record);
}

TEST(a_thread_that_recomputes_its_word_sees_a_post_to_a_word_that_is_due)
{
    settler = bough_self();
    CHECK_EQ(bough_interrupt(settler, "to be cleared"), 0);
    bo_hook_settled = post_while_settling;
    CHECK_EQ(bough_clear_kind(NULL, BOUGH_STOP), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
}
#endif

/* ---- adoption ---------------------------------------------------------------------------------------------------- */

static void call_in_handler(int signo)
{
    int saved = errno;
    (void)signo;
    bough_usleep(0);
    handled++;
    errno = saved;
}

static _Atomic int enough;

static void *adopts_itself_often(void *unused)
{
    while (!enough) {
        bough_release();
        bough_self();
    }
    return unused;
}

TEST(a_thread_is_adopted_once_even_if_a_handler_calls_in_between)
{
    struct t_thread thread;
    bough_self();
    catch_signal(SIGUSR1, call_in_handler, SA_RESTART, 0);
    t_spawn(&thread, adopts_itself_often, NULL);
    int64_t enough_time = t_now() + 5000000000;
    for (int i = 0; i < 300 && t_now() < enough_time; i++) {
        int before = handled;
        pthread_kill(thread.handle, SIGUSR1);
        t_until(handled != before);
    }
    enough = 1;
    t_join(&thread);
    CHECK_EQ(bough_interrupt_all("no thread is left"), 0);
}

/* ---- a call of a handler where a generation ends ----------------------------------------------------------------- */

#if BO_HOOKS
static void interrupted_by_a_handler(void)
{
    bo_hook_retired = NULL;
    raise(SIGUSR1);
}

TEST(a_thread_is_released_once_even_if_a_handler_calls_in_between)
{
    bough_self();
    catch_signal(SIGUSR1, call_in_handler, SA_RESTART, 0);
    bo_hook_retired = interrupted_by_a_handler;
    CHECK_EQ(bough_release(), 0);
    CHECK_EQ(handled, 1);
    CHECK_EQ(bough_release(), 0); /* the handler ran after the release: its call has adopted the thread again */
    CHECK_EQ(bough_interrupt_all("no thread is left"), 0);
}

static int raises_when_it_has_ended(void *unused)
{
    (void)unused;
    bo_hook_retired = interrupted_by_a_handler;
    return 0;
}

TEST(a_child_that_has_ended_runs_no_handler)
{
    catch_signal(SIGUSR1, call_in_handler, SA_RESTART, 0);
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 2; i++) {
            bough_thread *t = bough_add(b, raises_when_it_has_ended, bough_arg(NULL));
            CHECK(t);
            CHECK_EQ(bough_join(t), 0);
        }
    }
    CHECK_EQ(handled, 0);
}
#endif
