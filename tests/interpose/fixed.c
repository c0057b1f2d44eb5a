/* SPDX-License-Identifier: MIT */
/* A program at a fixed address (-no-pie) takes read()'s address, which is then an address in the program's jump table
 * (PLT). Libraries whose tables hold only addresses (-fno-plt) get the same address for read(). On some machines
 * (ppc64le) the program gets the library's address nevertheless, and keeps it in its data; there only calls use the
 * jump table. */
#include "victims.h"

/* The address has to be taken in code: in data it would be libc's. */
__attribute__((noinline)) static read_fn *own_read(void)
{
    return read;
}

__attribute__((noinline)) static ssize_t call_read(int fd, void *to, size_t size)
{
    return read(fd, to, size);
}

static bool is_own(uintptr_t address)
{
    Dl_info info, here;
    CHECK(dladdr((void *)address, &info) && dladdr((void *)(uintptr_t)is_own, &here));
    return info.dli_fbase == here.dli_fbase;
}

/* Compilers for riscv64 and s390x ignore -fno-plt. The loader fills in libc's address for a call by the jump table. */
#if defined(__riscv) || defined(__s390x__)
enum { HAS_PROGRAMS_ADDRESS = 0 };
#else
enum { HAS_PROGRAMS_ADDRESS = 1 };
#endif

TEST(the_programs_address_for_a_function_is_recognised)
{
    void *object = load("noplt");
    if (!is_own((uintptr_t)own_read()))
        SKIP("this program has no separate address for read()");
    CHECK(bough_interpose((const char *const[]){"libvictim-noplt.so", NULL}, 0) > 0);
    uintptr_t *at = slot_of("libvictim-noplt", "read").at, installed = *at;
    CHECK_EQ(slot_of("libvictim-noplt", "read").state, BOUGH_SLOT_INTERPOSED);
    CHECK_EQ(is_cut(reader_of(object)), true);
    CHECK_EQ(bough_interpose_undo(), 0);
    CHECK(*at != installed);
    CHECK_EQ(is_own(*at), HAS_PROGRAMS_ADDRESS);
    CHECK_EQ(is_cut(reader_of(object)), false);
    dlclose(object);
}

/* On riscv64 the program has an address for each function that it calls. */
static int *(*volatile place_of_errno)(void);

__attribute__((noinline)) static void take_address_of_errno(void)
{
    place_of_errno = __errno_location;
}

TEST(libc_is_found_although_the_program_has_an_address_for_its_function)
{
    take_address_of_errno();
    CHECK_EQ(is_own((uintptr_t)place_of_errno), is_own((uintptr_t)own_read()));
    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}

TEST(the_program_is_patched_too)
{
    void *object = load("noplt");
    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK_EQ(is_cut(reader_of(object)), true);
    CHECK_EQ(is_cut(call_read), true);
    if (is_own((uintptr_t)own_read()))
        CHECK_EQ(is_cut(own_read()), true); /* by the program's jump table */
    CHECK_EQ(bough_interpose_undo(), 0);
    CHECK_EQ(is_cut(reader_of(object)), false);
    CHECK_EQ(is_cut(call_read), false);
    CHECK_EQ(is_cut(own_read()), false);
    dlclose(object);
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

typedef pid_t parent_fn(void);

__attribute__((noinline)) static parent_fn *own_parent(void)
{
    return getppid;
}

__attribute__((noinline)) static pid_t call_parent(void)
{
    return getppid();
}

static parent_fn *original;
static int hooked;

static pid_t hook_parent(void)
{
    hooked++;
    return original();
}

TEST(a_hook_calls_the_function_and_not_the_programs_jump_to_the_hook)
{
    static const char *const kinds[] = {"noplt", "now"};
    bough_code *real = NULL;
    bough_hook_t *hook = bough_hook(NULL, "getppid", (bough_code *)(uintptr_t)hook_parent, &real);
    CHECK(hook);
    original = (parent_fn *)real;
    CHECK_EQ(call_parent(), original());
    CHECK_EQ(hooked, 1);
    CHECK_EQ(own_parent()(), original());
    CHECK_EQ(hooked, 1 + is_own((uintptr_t)own_parent()));
    for (int i = 0; i < 2; i++) {
        void *object = load(kinds[i]);
        CHECK(bough_interpose_rescan() > 0);
        parent_fn *asks = (parent_fn *)(uintptr_t)dlsym(object, "victim_parent");
        hooked = 0;
        CHECK_EQ(asks(), original());
        CHECK_EQ(hooked, 1);
        dlclose(object);
    }
    CHECK_EQ(bough_unhook(hook), 0);
}
