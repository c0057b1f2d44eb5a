/* SPDX-License-Identifier: MIT */
/* Threads that hold a lock that the rest of the process needs: of the program, the allocator, the loader, stdio. */
#include "program.h"
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>

/* ---- a lock that is never released ------------------------------------------------------------------------------- */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static int waits_for_a_lock(void *unused)
{
    (void)unused;
    in_place();
    pthread_mutex_lock(&held);
    return 0;
}

WAY(foreign_lock)
{
    bough_signals(0);
    pthread_mutex_lock(&held);
    with_child(waits_for_a_lock);
}

/* ---- inside malloc ----------------------------------------------------------------------------------------------- */

static void *volatile kept;

static void stay_here(int signo)
{
    (void)signo;
    in_place();
    hang();
}

/* This thread's next brk() or mmap() raises a signal, whose handler does not return: it has interrupted malloc(), whose
 * lock stays held. */
static void trap_memory(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    signal(SIGSYS, stay_here);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

static int freezes_in_malloc(void *unused)
{
    (void)unused;
    trap_memory();
    for (size_t i = 0; i < 1000000; i++)
        kept = malloc(20000);
    return 0;
}

static void allocates(void)
{
    note("an exit handler allocates");
    kept = malloc(30000);
}

/* All threads share the first thread's malloc() arena, as with musl: none can allocate any more. */
static void share_one_arena(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 1);
#endif
}

WAY(frozen_in_malloc)
{
    share_one_arena();
    bough_signals(0);
    with_child(freezes_in_malloc);
}

WAY(frozen_in_malloc_that_the_exit_needs)
{
    share_one_arena();
    bough_signals(0);
    atexit(allocates);
    with_child(freezes_in_malloc);
}

/* ---- inside dlopen ----------------------------------------------------------------------------------------------- */

void stuck_in_place(void);
__attribute__((visibility("default"))) void stuck_in_place(void)
{
    in_place();
    hang();
}

static int freezes_in_dlopen(void *unused)
{
    (void)unused;
    dlopen(getenv("PROOF_STUCK"), RTLD_NOW);
    skip("dlopen: %s", dlerror());
}

WAY(frozen_in_dlopen)
{
    bough_signals(0);
    with_child(freezes_in_dlopen);
}

/* ---- inside stdio ------------------------------------------------------------------------------------------------ */

static FILE *stream;

static int freezes_in_stdio(void *unused)
{
    (void)unused;
    setvbuf(stream, NULL, _IONBF, 0);
    in_place();
    fputs("there is no room for this", stream);
    return 0;
}

WAY(frozen_in_stdio)
{
    bough_signals(0);
    MUST((stream = fdopen(full_pipe(), "w")));
    with_child(freezes_in_stdio);
}
