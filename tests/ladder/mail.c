/* SPDX-License-Identifier: MIT */
/* Files that other processes can open: the arena, which they can read, and the mailbox, which they can write to.
 * Nothing that they write makes this process lose a descriptor, memory or control. Fixed bugs: a process with the
 * mapping could write pointers, and choose the descriptor that this process closed; a process that truncated the file
 * ended this process by SIGBUS. */
#include <bough.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "state/arena.h"
#include "state/mailbox_layout.h"
#include "../races/hooks.h"

/* Opens the file again by the link in /proc, as another process does. -1: there is no file, or it may not be opened in
 * this way. */
static int open_file(const char *name, int mode)
{
    char path[64], target[64], wanted[64];
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", name);
    for (int fd = 0; fd < 4096; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strcmp(target, wanted) == 0)
            return open(path, mode | O_CLOEXEC);
    }
    return -1;
}

static void need_files(void)
{
    CHECK(bough_self());
    int fd = open_file("bough", O_RDONLY);
    if (fd < 0)
        SKIP("the arena is hidden");
    close(fd);
}

/* ---- seals ------------------------------------------------------------------------------------------------------- */

static void arena_is_sealed(void)
{
    int fd = open_file("bough", O_RDWR);
    CHECK(fd >= 0);
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    CHECK_ERR(ftruncate(fd, 0), EPERM);
    CHECK_ERR(ftruncate(fd, 1 << 30), EPERM);
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(mprotect(p, 4096, PROT_READ | PROT_WRITE), -1);
    CHECK_EQ(munmap(p, 4096), 0);
    close(fd);
}

static void mailbox_keeps_its_length(void)
{
    struct stat is;
    int fd = open_file("bough-mail", O_RDWR);
    CHECK(fd >= 0);
    CHECK_ERR(ftruncate(fd, 0), EPERM);
    CHECK_ERR(ftruncate(fd, 1 << 20), EPERM);
    CHECK_EQ(fstat(fd, &is), 0);
    CHECK_EQ(is.st_mode & 07777, 0600);
    close(fd);
}

TEST(a_process_that_can_read_the_arena_cannot_write_to_it)
{
    need_files();
    arena_is_sealed();
    mailbox_keeps_its_length();
}

static ino_t inode_of(const char *name)
{
    struct stat is;
    int fd = open_file(name, O_RDONLY);
    CHECK_EQ(fstat(fd, &is), 0);
    close(fd);
    return is.st_ino;
}

TEST(a_forked_childs_arena_cannot_be_written_to_either)
{
    int status;
    need_files();
    ino_t arena = inode_of("bough"), mailbox = inode_of("bough-mail");
    pid_t pid = fork();
    if (pid == 0) {
        arena_is_sealed();
        mailbox_keeps_its_length();
        _exit(inode_of("bough") != arena && inode_of("bough-mail") != mailbox ? 0 : 9);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
}

/* ---- hostile requests -------------------------------------------------------------------------------------------- */

static struct bo_mailbox *box;

static void map_box(void)
{
    need_files();
    int fd = open_file("bough-mail", O_RDWR);
    box = mmap(NULL, sizeof *box, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(box != MAP_FAILED);
    close(fd);
}

/* Rings the mailbox, as the command does. */
static void ring(void)
{
    bo_add_seq(&box->requests, 1);
    CHECK_EQ(syscall(SYS_tgkill, getpid(), bo_load_seq(&bo_arena.head->ticker), bo_arena.head->ticker_signal), 0);
}

static bool answers(struct bo_request *l)
{
    ring();
    t_until(bo_load_seq(&l->state) == BO_REQUEST_ANSWERED);
    return l->error == 0;
}

static void deliver(struct bo_request *l, const struct bo_request *what)
{
    memcpy((void *)l, what, sizeof *l);
    bo_store_seq(&l->state, BO_REQUEST_SENT);
}

/* The test opens a branch, so that the ticker runs. */
TEST(a_descriptor_is_closed_only_if_it_belongs_to_a_dump)
{
    map_box();
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        int mine = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct bo_request *l = &box->request[0], *probe = &box->request[1];
        const struct bo_request ask = {.kind = BO_ASK_DUMP};
        l->kind = BO_ASK_DUMP;
        l->fd = mine;
        bo_store_seq(&l->state, BO_REQUEST_ANSWERED); /* although it was not answered */
        deliver(probe, &ask);
        CHECK(answers(probe));
        bo_store_seq(&l->state, BO_REQUEST_FREE);
        CHECK(bo_load_seq(&probe->work) > 0); /* the command waits for this count */
        int dump = probe->fd;
        CHECK(fcntl(dump, F_GETFD) >= 0);
        probe->fd = mine;
        bo_store_seq(&probe->state, BO_REQUEST_FREE);
        ring();
        t_until(fcntl(dump, F_GETFD) < 0);
        CHECK(fcntl(mine, F_GETFD) >= 0);
        close(mine);
    }
}

TEST(the_contents_of_a_request_are_checked)
{
    map_box();
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        const uint64_t handle = (uint64_t)(uintptr_t)b;
        const struct bo_request bad[] = {
            {.kind = 0, .target = handle},
            {.kind = 77, .target = handle},
            {.kind = BO_ASK_INTERRUPT, .target = 0x1234},
            {.kind = BO_ASK_INTERRUPT, .target = handle + 1},
            {.kind = BO_ASK_INTERRUPT, .target = handle | UINT64_C(0xffff) << 32},
            {.kind = BO_ASK_INTERRUPT, .target = handle, .rung = 7},
            {.kind = BO_ASK_INTERRUPT, .target = handle, .rung = UINT32_MAX},
            {.kind = BO_ASK_INTERRUPT, .target = handle, .ceiling = 7},
            {.kind = BO_ASK_INTERRUPT, .target = handle, .ceiling = UINT32_MAX},
            {.kind = BO_ASK_INTERRUPT, .target = handle, .rung = 4, .ceiling = 3},
        };
        struct bo_request *l = &box->request[3];
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            deliver(l, &bad[i]);
            CHECK(!answers(l));
            CHECK_EQ(bough_check(), 0);
            bo_store_seq(&l->state, BO_REQUEST_FREE);
        }
        struct bo_request good = {.kind = BO_ASK_INTERRUPT, .target = handle};
        memset(good.reason, 'x', sizeof good.reason); /* not terminated */
        deliver(l, &good);
        CHECK(answers(l));
        CHECK_ERR(bough_check(), ECANCELED);
        bo_store_seq(&l->state, BO_REQUEST_FREE);
    }
}

static bough_post post; /* the last one that was asked for */

static struct bough_progress asked(uint64_t handle, uint32_t ceiling)
{
    struct bo_request *l = &box->request[0], ask = {.kind = BO_ASK_INTERRUPT, .target = handle, .ceiling = ceiling};
    struct bough_progress progress;
    deliver(l, &ask);
    CHECK(answers(l));
    post = (bough_post){.record = l->post, .serial = l->serial};
    bo_store_seq(&l->state, BO_REQUEST_FREE);
    t_until(bough_post_progress(post, &progress) == 0 && progress.ceiling == (ceiling ? (int)ceiling : 6));
    return progress;
}

/* A request to one thread does not end the process, unless it has a ceiling that allows that (rule 38). */
TEST(a_request_climbs_to_its_ceiling)
{
    map_box();
    BOUGH_BRANCH(b) {
        const uint64_t handle = (uint64_t)(uintptr_t)b;
        CHECK_EQ(asked(handle, 2).cap, 0);
        CHECK_EQ(asked(handle, 3).cap, 0);
        bough_clear(b);
    }
}

/* Two requests only: a third event would end the process. */
TEST(a_later_request_raises_the_ceiling)
{
    map_box();
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &(struct bough_ladder){.cap = BOUGH_SEC(1000)}), 0);
    BOUGH_BRANCH(b) {
        const uint64_t handle = (uint64_t)(uintptr_t)b;
        CHECK_EQ(asked(handle, 2).cap, 0);
        bough_time before = bough_now();
        CHECK(asked(handle, 0).cap >= before + BOUGH_SEC(900)); /* the clock may have been set back: a standstill */
        bough_clear(b);
    }
}

TEST(a_later_request_does_not_lower_the_ceiling)
{
    map_box();
    BOUGH_BRANCH(b) {
        const uint64_t handle = (uint64_t)(uintptr_t)b;
        struct bough_progress progress;
        asked(handle, 0);
        struct bo_request ask = {.kind = BO_ASK_INTERRUPT, .target = handle, .ceiling = 1};
        deliver(&box->request[0], &ask);
        CHECK(answers(&box->request[0]));
        post = (bough_post){.record = box->request[0].post, .serial = box->request[0].serial};
        CHECK_EQ(bough_post_progress(post, &progress), 0);
        CHECK_EQ(progress.ceiling, 6);
        bough_clear(b);
    }
}

static bough_branch *asked_about;

__attribute__((unused)) static void raise_it(void)
{
    bo_hook_progress_half = NULL;
    CHECK(asked((uint64_t)(uintptr_t)asked_about, 0).cap > 0);
}

/* Fixed race: the progress had the ceiling of a later post, and no cap. */
TEST(progress_with_a_raised_ceiling_has_the_cap)
{
    NEED_HOOKS();
    map_box();
    BOUGH_BRANCH(b) {
        struct bough_progress progress;
        asked_about = b;
        CHECK_EQ(asked((uint64_t)(uintptr_t)b, 3).cap, 0);
        bo_hook_progress_half = raise_it;
        CHECK_EQ(bough_post_progress(post, &progress), 0);
        CHECK(progress.ceiling < BOUGH_RUNG_EXIT || progress.cap > 0);
        bough_clear(b);
    }
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* When a slot is answered, all earlier requests have been handled. */
static void settle(void)
{
    const struct bo_request nonsense = {.kind = 77};
    for (int i = 0; i < BO_REQUESTS; i++)
        deliver(&box->request[i], &nonsense);
    for (int i = 0; i < BO_REQUESTS; i++)
        while (!answers(&box->request[i]) && box->request[i].error != EINVAL)
            deliver(&box->request[i], &nonsense); /* the answer in the slot belonged to the previous request */
    for (int i = 0; i < BO_REQUESTS; i++)
        bo_store_seq(&box->request[i].state, BO_REQUEST_FREE);
    ring();
}

/* Random data at random moments, and dumps requested in each slot: afterwards the mailbox still works. */
TEST_LIMIT(random_data_does_not_break_the_mailbox, 60)
{
    enum { ROUNDS = 3000 };
    uint64_t dice = t_seed();
    map_box();
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        unsigned before = open_descriptors();
        for (int i = 0; i < ROUNDS; i++) {
            struct bo_request *l = &box->request[t_random(&dice) % BO_REQUESTS];
            uint32_t *word = (uint32_t *)(void *)l;
            switch (t_random(&dice) % 4) {
            case 0:
                word[t_random(&dice) % (sizeof *l / 4)] = (uint32_t)t_random(&dice);
                break;
            case 1:
                l->kind = i % 64 ? BO_ASK_INTERRUPT : BO_ASK_DUMP;
                bo_store_seq(&l->state, BO_REQUEST_SENT);
                break;
            case 2:
                bo_store_seq(&l->state, (uint32_t)(t_random(&dice) % 6));
                break;
            default:
                ring();
            }
        }
        settle();
        t_until(open_descriptors() == before);
        const struct bo_request ask = {.kind = BO_ASK_INTERRUPT, .target = (uint64_t)(uintptr_t)b};
        deliver(&box->request[0], &ask);
        CHECK(answers(&box->request[0]));
        CHECK_ERR(bough_check(), ECANCELED);
        bo_store_seq(&box->request[0].state, BO_REQUEST_FREE);
    }
}
