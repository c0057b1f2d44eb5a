/* SPDX-License-Identifier: MIT */
/* Interposition while processes are created, and where memory can't be made writable. This program's calls play the
 * part of foreign code. */
#define _GNU_SOURCE
#include <bough.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "harness.h"
#include "../sync/not_under.h"

static const char *const program[] = {"", NULL};

/* ---- vfork() and fork() ------------------------------------------------------------------------------------------ */

/* The child runs in its parent's memory, where the parent's word is due. */
TEST(a_child_of_vfork_is_not_interrupted_by_its_parents_record)
{
    needs_calls_of_libc();
    if (under_qemu())
        SKIP("under qemu-user the parent of a vfork() does not wait");
    int fds[2], status;
    static volatile ssize_t got;
    CHECK(bough_interpose(program, 0) > 0);
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        pid_t child = vfork();
        if (child == 0) {
            char byte;
            got = read(fds[0], &byte, 1);
            _exit(got == 1 ? 0 : 1);
        }
        CHECK(child > 0);
        CHECK_ERR(t_poll_silent(1000), EINTR); /* the parent's call fails */
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EXITED(status, 0);
    }
    close(fds[0]);
    close(fds[1]);
}

static _Atomic bool over;

static void *patches(void *unused)
{
    while (!over) {
        CHECK(bough_interpose(NULL, 0) > 0);
        CHECK_EQ(bough_interpose_undo(), 0);
    }
    return unused;
}

static void be_a_child(void *unused)
{
    (void)unused;
    CHECK(bough_interpose(program, 0) > 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(t_poll_silent(1000), EINTR);
    }
    CHECK_EQ(bough_interpose_undo(), 0);
}

TEST_LIMIT(a_child_forked_while_another_thread_patches_can_patch, 60)
{
    needs_calls_of_libc();
    struct t_thread thread;
    needs_threads_after_fork();
    t_spawn(&thread, patches, NULL);
    for (int i = 0; i < 50; i++)
        CHECK_EXITED(t_run_status(be_a_child, NULL), 0);
    over = true;
    t_join(&thread);
}

/* ---- no right to make a page writable ---------------------------------------------------------------------------- */

/* mprotect() that asks for PROT_WRITE fails. */
static void forbid_writable(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    if (under_qemu())
        SKIP("qemu-user makes pages writable in its own way");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        SKIP("no seccomp filters here: %s", strerror(errno));
}

static bool is_cut(void)
{
    int n = 0;
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        n = poll(NULL, 0, 1);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    return n < 0;
}

static int refused, interposed;

static void count(void *unused, const struct bough_slot *slot)
{
    (void)unused;
    if (!slot->symbol)
        return;
    interposed += slot->state == BOUGH_SLOT_INTERPOSED;
    refused += slot->state == BOUGH_SLOT_SKIPPED && strstr(slot->why, "writable") != NULL;
}

TEST(where_pages_stay_read_only_nothing_is_changed_and_the_report_names_the_reason)
{
    forbid_writable();
    CHECK_EQ(bough_interpose(program, 0), 0);
    CHECK(bough_interposed(count, NULL) > 0);
    CHECK_EQ(interposed, 0);
    CHECK(refused > 0);
    CHECK_EQ(is_cut(), false);
    CHECK_EQ(bough_interpose_undo(), 0);
}

TEST(an_undo_that_fails_is_reported_and_the_functions_keep_working)
{
    needs_calls_of_libc();
    CHECK(bough_interpose(program, 0) > 0);
    CHECK_EQ(is_cut(), true);
    forbid_writable();
    CHECK_ERR(bough_interpose_undo(), EACCES);
    CHECK_EQ(is_cut(), true);
    CHECK_ERR(bough_interpose_undo(), EACCES); /* the slot is still known to be patched */
}

/* ---- no right to protect a page again ---------------------------------------------------------------------------- */

/* mprotect() that does not ask for PROT_WRITE fails, in the calling thread. */
static void *patch_where_nothing_is_protected(void *unused)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return NULL;
    CHECK(bough_interpose(program, 0) > 0);
    return unused;
}

static int still_open;

static void count_open(void *unused, const struct bough_slot *slot)
{
    (void)unused;
    still_open += slot->state == BOUGH_SLOT_INTERPOSED && slot->why && strstr(slot->why, "protected") != NULL;
}

TEST(a_page_that_cannot_be_protected_again_is_reported_and_retried)
{
    struct t_thread thread;
    if (under_qemu())
        SKIP("qemu-user makes pages writable in its own way");
    t_spawn(&thread, patch_where_nothing_is_protected, &still_open);
    if (!t_join(&thread))
        SKIP("no seccomp filters here");
    CHECK(bough_interposed(count_open, NULL) > 0);
    CHECK(still_open > 0);
    CHECK_EQ(is_cut(), true);
    CHECK(bough_interpose_rescan() > 0); /* this thread can protect it */
    still_open = 0;
    CHECK(bough_interposed(count_open, NULL) > 0);
    CHECK_EQ(still_open, 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}
