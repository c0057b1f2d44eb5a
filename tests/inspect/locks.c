/* SPDX-License-Identifier: MIT */
/* A dump waits for no lock: neither while other threads hold libc's locks, nor in a signal handler that has interrupted
 * malloc() (rule 41). */
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include "dumps.h"

/* ---- malloc(), with a lock that the test can check --------------------------------------------------------------- */

#if T_ASAN || T_TSAN
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

static int handler_fd, handler_result;
static _Atomic int raise_in_malloc, entered_again;

static void on_signal(int signo)
{
    (void)signo;
    handler_result = bough_dump(handler_fd);
}

#if OWN_MALLOC
enum { HEAP = 64 << 20, HEAD = 16 };

static char heap[HEAP] __attribute__((aligned(16)));
static size_t heap_used;
static _Atomic pid_t heap_owner;

/* A thread that calls malloc() again while it holds the lock would hang in any other malloc(). */
static void lock_heap(void)
{
    pid_t me = t_tid(), none = 0;
    if (heap_owner == me) {
        entered_again = 1;
        abort();
    }
    while (!atomic_compare_exchange_weak(&heap_owner, &none, me))
        none = 0;
}

static void unlock_heap(void)
{
    heap_owner = 0;
}

static void *take(size_t size, size_t align)
{
    lock_heap();
    if (atomic_exchange(&raise_in_malloc, 0))
        raise(SIGUSR1);
    uintptr_t at = ((uintptr_t)heap + heap_used + HEAD + align - 1) / align * align;
    bool fits = size < HEAP && at + size <= (uintptr_t)heap + HEAP;
    if (fits) {
        heap_used = at + size - (uintptr_t)heap;
        ((size_t *)at)[-1] = size;
    }
    unlock_heap();
    return fits ? (void *)at : (errno = ENOMEM, NULL);
}

/* These functions have libc's prototypes. They never release memory. */
void *malloc(size_t size)
{
    return take(size, 16);
}

void free(void *memory)
{
    (void)memory;
    lock_heap();
    unlock_heap();
}

void *calloc(size_t count, size_t size)
{
    return size && count > SIZE_MAX / size ? (errno = ENOMEM, NULL) : take(count * size, 16);
}

void *realloc(void *memory, size_t size)
{
    void *new = take(size, 16);
    if (new &&memory) {
        size_t had = ((size_t *)memory)[-1];
        memcpy(new, memory, had < size ? had : size);
    }
    return new;
}

static void *take_aligned(size_t align, size_t size)
{
    return take(size, align < 16 ? 16 : align);
}

void *aligned_alloc(size_t align, size_t size)
{
    return take_aligned(align, size);
}

int posix_memalign(void **memory, size_t align, size_t size)
{
    *memory = take_aligned(align, size);
    return *memory ? 0 : ENOMEM;
}
#endif

static void dump_on_top_of_malloc(void)
{
    handler_result = 1;
    handler_fd = memory_file();
    raise_in_malloc = 1;
    free(malloc(10));
    CHECK_EQ(raise_in_malloc, 0);
    CHECK_EQ(handler_result, 0);
    CHECK_EQ(entered_again, 0);
    char *text = text_of(handler_fd);
    check_whole(text);
    SAYS(text, "it writes this", "");
    free(text);
}

static void *on_a_thread(void *unused)
{
    (void)unused;
    dump_on_top_of_malloc();
    return NULL;
}

TEST(a_dump_in_a_handler_that_has_interrupted_malloc_is_complete)
{
    struct crowd crowd = {0};
    struct t_thread stranger;
    if (!OWN_MALLOC)
        SKIP("malloc is the sanitizer's");
    signal(SIGUSR1, on_signal);
    BOUGH_BRANCH(b) {
        crowd_add(&crowd, b, 3);
        dump_on_top_of_malloc();
        t_spawn(&stranger, on_a_thread, NULL);
        t_join(&stranger);
        crowd_end(&crowd);
    }
    crowd_over(&crowd);
}

/* ---- locks that other threads hold ------------------------------------------------------------------------------- */

static struct t_gate holding, let_go;

static void hold(void)
{
    t_gate_open(&holding);
    t_gate_wait(&let_go);
}

/* Another thread holds a lock; this thread writes a dump nevertheless. */
static void dump_while(void *(*holder)(void *))
{
    struct t_thread thread;
    t_spawn(&thread, holder, NULL);
    t_gate_wait(&holding);
    t_until_blocked(thread.tid);
    char *text = dump();
    SAYS(text, "it writes this", "");
    free(text);
    t_gate_open(&let_go);
    t_join(&thread);
}

static void *holds_streams(void *unused)
{
    (void)unused;
    flockfile(stdout);
    flockfile(stderr);
    hold();
    funlockfile(stderr);
    funlockfile(stdout);
    return NULL;
}

TEST(a_dump_while_standard_streams_are_locked_is_complete)
{
    dump_while(holds_streams);
}

static int at_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)info;
    (void)size;
    (void)unused;
    hold();
    return 1;
}

static void *lists_objects(void *unused)
{
    (void)unused;
    dl_iterate_phdr(at_object, NULL);
    return NULL;
}

TEST(a_dump_while_the_list_of_objects_is_locked_is_complete)
{
    dump_while(lists_objects);
}

/* Called by the constructor of a library that is being loaded. */
void stuck_here(void);
void stuck_here(void)
{
    hold();
}

static void *loads(void *unused)
{
    (void)unused;
    void *library = dlopen(STUCK_LIBRARY, RTLD_NOW);
    if (!library)
        t_note("%s", dlerror());
    return library;
}

TEST(a_dump_while_a_library_is_being_loaded_is_complete)
{
    dump_while(loads);
}
