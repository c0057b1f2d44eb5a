/* SPDX-License-Identifier: MIT */
/* The patcher: which slots it changes in objects of each kind, and which it leaves alone. */
#define _GNU_SOURCE
#include "victims.h"
#include <link.h>
#include <poll.h>
#include <sys/mman.h>
#include "../sync/not_under.h"

static const char *const styles[] = {"now", "lazy", "noplt", "partial", "runpath"};
enum { STYLES = sizeof styles / sizeof *styles };

/* ---- an object's memory ------------------------------------------------------------------------------------------ */

enum { MEMORY = 1 << 16, RIGHTS = 1 << 13 };

struct picture {
    uintptr_t base;
    const char *name;
    size_t size;
    unsigned char memory[MEMORY];
    char rights[RIGHTS];
};

static int copy_data(struct dl_phdr_info *info, size_t size, void *context)
{
    struct picture *p = context;
    (void)size;
    if (!strstr(info->dlpi_name, p->name))
        return 0;
    p->base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || !(h->p_flags & PF_W))
            continue;
        CHECK(p->size + h->p_memsz <= MEMORY);
        memcpy(p->memory + p->size, (const void *)(info->dlpi_addr + h->p_vaddr), h->p_memsz);
        p->size += h->p_memsz;
    }
    return 1;
}

/* The lines of /proc/self/maps that have its name. */
static void copy_rights(struct picture *p)
{
    char line[1024];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        if (strstr(line, p->name))
            strncat(p->rights, line, sizeof p->rights - strlen(p->rights) - 1);
    fclose(maps);
}

static struct picture *picture_of(const char *name)
{
    struct picture *p = calloc(1, sizeof *p);
    CHECK(p);
    p->name = name;
    dl_iterate_phdr(copy_data, p);
    CHECK(p->size > 0);
    copy_rights(p);
    return p;
}

static void must_equal(const struct picture *a, const struct picture *b, bool memory_too)
{
    CHECK_EQ(strcmp(a->rights, b->rights), 0);
    if (memory_too)
        CHECK(a->size == b->size && memcmp(a->memory, b->memory, a->size) == 0);
}

TEST(each_kind_of_object_is_patched_and_restored_exactly)
{
    needs_calls_of_libc();
    for (int i = 0; i < STYLES; i++) {
        char name[64];
        snprintf(name, sizeof name, "libvictim-%s.so", styles[i]);
        void *object = load(styles[i]);
        struct picture *before = picture_of(name);
        CHECK(bough_interpose((const char *const[]){name, NULL}, 0) > 0);
        struct picture *patched = picture_of(name);
        must_equal(before, patched, false);
        CHECK(memcmp(before->memory, patched->memory, before->size) != 0);
        CHECK_EQ(bough_interpose_undo(), 0);
        struct picture *after = picture_of(name);
        must_equal(before, after, true);
        CHECK_EQ(bough_interpose((const char *const[]){name, NULL}, 0) > 0, 1);
        CHECK_EQ(is_cut(reader_of(object)), true);
        CHECK_EQ(bough_interpose_undo(), 0);
        CHECK_EQ(is_cut(reader_of(object)), false);
        free(before);
        free(patched);
        free(after);
        CHECK_EQ(dlclose(object), 0);
    }
}

TEST(objects_that_are_loaded_later_are_patched)
{
    needs_calls_of_libc();
    CHECK(bough_interpose(NULL, 0) > 0);
    void *object = load("now"); /* by this program's dlopen(), which bough has replaced */
    CHECK_EQ(is_cut(reader_of(object)), true);
    CHECK_EQ(dlclose(object), 0);
    CHECK(bough_interpose_undo() == 0);
    CHECK(bough_interpose((const char *const[]){"libvictim-*", NULL}, 0) >= 0);
    object = load("lazy"); /* by a dlopen() that bough has not replaced: the object is found when the region begins */
    CHECK_EQ(is_cut(reader_of(object)), true);
    CHECK_EQ(dlclose(object), 0);
}

TEST(with_loaded_only_later_objects_are_not_patched)
{
    needs_calls_of_libc();
    void *first = load("now");
    CHECK(bough_interpose(NULL, BOUGH_LOADED_ONLY) > 0);
    void *second = load("lazy");
    CHECK_EQ(is_cut(reader_of(first)), true);
    CHECK_EQ(is_cut(reader_of(second)), false);
    dlclose(first);
    dlclose(second);
}

TEST(invalid_arguments_are_refused)
{
    CHECK_ERR(bough_interpose(NULL, 4), EINVAL);
    CHECK_ERR(bough_interposed(NULL, NULL), EINVAL);
    CHECK_ERR(bough_foreign_begin(NULL, "", 1), EINVAL);
    CHECK_EQ(bough_interpose((const char *const[]){"libnone.so", NULL}, 0), 0);
    CHECK_ERR(bough_interpose_report(-1), EBADF);
    CHECK_ERR(bough_unhook(NULL), EINVAL);
    CHECK_EQ(bough_interpose_undo(), 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}

/* ---- slots of other patchers ------------------------------------------------------------------------------------- */

static ssize_t others_read(int fd, void *buffer, size_t size)
{
    (void)fd;
    (void)buffer;
    (void)size;
    return 77;
}

/* Changes a slot as another patcher would. "partial" has writable slots. */
static void take(uintptr_t *at)
{
    *at = (uintptr_t)others_read;
}

TEST(a_slot_that_another_patcher_has_taken_is_left_alone_and_named)
{
    void *object = load("partial");
    const char *const name[] = {"libvictim-partial.so", NULL};
    CHECK(bough_interpose(name, 0) > 0);
    uintptr_t *at = slot_of("libvictim-partial", "read").at, installed = *at;
    CHECK_EQ(bough_interpose_undo(), 0);
    take(at);
    CHECK(bough_interpose(name, 0) >= 0);
    struct looked_for l = slot_of("libvictim-partial", "read");
    CHECK_EQ(l.state, BOUGH_SLOT_SKIPPED);
    CHECK_STR(l.why, "taken by the program");
    CHECK_EQ(reader_of(object)(0, NULL, 0), 77);
    CHECK(*at != installed);
    dlclose(object);
}

TEST(undoing_leaves_alone_slots_that_were_taken_afterwards)
{
    void *object = load("partial");
    CHECK(bough_interpose((const char *const[]){"libvictim-partial.so", NULL}, 0) > 0);
    take(slot_of("libvictim-partial", "read").at);
    bough_interpose_undo();
    CHECK_EQ(reader_of(object)(0, NULL, 0), 77);
    dlclose(object);
}

/* As the loader does if it is binding the slot while bough patches it: it writes libc's address over bough's. */
TEST(a_slot_that_was_being_bound_is_patched_in_the_end)
{
    needs_calls_of_libc();
    void *object = load("lazy");
    CHECK(bough_interpose((const char *const[]){"libvictim-lazy.so", NULL}, 0) > 0);
    struct looked_for l = slot_of("libvictim-lazy", "read");
    CHECK_EQ(l.state, BOUGH_SLOT_INTERPOSED);
    *l.at = (uintptr_t)dlsym(RTLD_DEFAULT, "read");
    CHECK_EQ(is_cut(reader_of(object)), true); /* noticed when the region begins */
    CHECK_EQ(bough_interpose_undo(), 0);
    CHECK_EQ(is_cut(reader_of(object)), false);
    dlclose(object);
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

static int visits;
static pid_t reporter;

static void fork_and_load(void *unused, const struct bough_slot *slot)
{
    (void)unused, (void)slot;
    struct looked_for l = {.object = "", .symbol = ""};
    if (visits++)
        return;
    CHECK_EQ(dlclose(load("now")), 0);
    CHECK(bough_interpose(NULL, 0) > 0);
    reporter = fork();
    if (reporter == 0)
        _exit(bough_interpose_rescan() > 0 && bough_interposed(look, &l) > 0 ? 0 : 1);
}

TEST(the_report_function_may_fork_and_load_and_patch)
{
    int status;
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    int count = bough_interposed(fork_and_load, NULL);
    CHECK_EQ(count, visits);
    CHECK_EQ(waitpid(reporter, &status, 0), reporter);
    CHECK_EXITED(status, 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}

/* ---- hooks, as a language binding sets them ---------------------------------------------------------------------- */

static int hooked;
static read_fn *original;

static ssize_t hooked_read(int fd, void *buffer, size_t size)
{
    hooked++;
    return original(fd, buffer, size);
}

static bough_code *code(read_fn *fn)
{
    return (bough_code *)(uintptr_t)fn;
}

TEST(a_hook_in_one_object_is_interruptible_and_can_be_undone)
{
    needs_calls_of_libc();
    void *one = load("now"), *other = load("lazy");
    bough_code *real;
    bough_hook_t *hook = bough_hook("libvictim-now.so", "read", code(hooked_read), &real);
    CHECK(hook);
    original = (read_fn *)real;
    CHECK_EQ(is_cut(reader_of(one)), true); /* by bough's function, which the hook calls */
    CHECK_EQ(hooked, 1);
    CHECK_EQ(is_cut(reader_of(other)), false);
    CHECK_EQ(hooked, 1);
    CHECK_EQ(slot_of("libvictim-now", "read").state, BOUGH_SLOT_HOOKED);
    errno = 0;
    bough_code *untouched = real;
    CHECK(!bough_hook("libvictim-now.so", "read", code(hooked_read), &untouched) && errno == EEXIST);
    CHECK(untouched == real);
    CHECK(!bough_hook(NULL, "no_such_symbol_anywhere", code(hooked_read), NULL) && errno == ENOENT);
    CHECK(!bough_hook(NULL, "", code(hooked_read), NULL) && errno == EINVAL);
    CHECK(!bough_hook(NULL, "read", NULL, NULL) && errno == EINVAL);

    CHECK(bough_interpose(NULL, 0) > 0); /* the hook stays in place */
    CHECK_EQ(is_cut(reader_of(one)), true);
    CHECK_EQ(hooked, 2);
    CHECK(bough_interpose_undo() > 0);
    CHECK_EQ(is_cut(reader_of(one)), true);
    CHECK_EQ(hooked, 3);
    CHECK_EQ(bough_unhook(hook), 0);
    CHECK_EQ(is_cut(reader_of(one)), false);
    CHECK_EQ(hooked, 3);
    CHECK_ERR(bough_unhook(hook), EINVAL);
    dlclose(one);
    dlclose(other);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

static _Atomic bool over;
static _Atomic long loads;

static void *loads_and_unloads(void *argument)
{
    const char *style = argument;
    char path[512];
    path_of(style, path);
    while (!over) {
        void *object = dlopen(path, RTLD_NOW);
        char byte = 0;
        CHECK(object);
        CHECK_EQ(reader_of(object)(-1, &byte, 1), -1);
        CHECK_EQ(errno, EBADF);
        dlclose(object);
        loads++;
    }
    return NULL;
}

TEST_LIMIT(objects_may_be_loaded_and_unloaded_meanwhile, 60)
{
    needs_calls_of_libc();
    struct t_thread threads[3];
    for (int i = 0; i < 3; i++)
        t_spawn(&threads[i], loads_and_unloads, (void *)(uintptr_t)styles[i]);
    int rounds = under_qemu() ? 20 : 300; /* qemu discards translated code with each object */
    for (int i = 0; i < rounds || loads < 3 * rounds; i++) {
        CHECK(bough_interpose(NULL, 0) > 0);
        CHECK(bough_interpose_rescan() > 0);
        CHECK_EQ(bough_interpose_undo(), 0);
    }
    CHECK(bough_interpose(NULL, 0) > 0);
    over = true;
    for (int i = 0; i < 3; i++)
        t_join(&threads[i]);
    void *object = load("noplt");
    CHECK_EQ(is_cut(reader_of(object)), true);
    dlclose(object);
    t_note("%ld loads", (long)loads);
}
