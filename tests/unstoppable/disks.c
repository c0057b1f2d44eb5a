/* SPDX-License-Identifier: MIT */
/* File systems that do not answer, and pages that never come. */
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "keeper.h"

#define NEED(condition) ((condition) ? (void)0 : keeper_skips(#condition))

/* Calls ioctl(), whose second argument has another type in each libc. */
static int command(int fd, unsigned long number, void *argument)
{
    return (int)syscall(SYS_ioctl, fd, number, argument);
}

/* A mount that only the keeper sees, and that is removed with it. */
static char folder[] = "/tmp/bough-way-XXXXXX", place[64];

static pid_t keep_folder(void)
{
    MUST(mkdtemp(folder));
    snprintf(place, sizeof place, "%s/file", folder);
    pid_t pid = keep();
    if (pid == 0)
        NEED(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    return pid;
}

__attribute__((noreturn)) static void end_keeping(void)
{
    umount2(folder, MNT_DETACH);
    rmdir(folder);
    _exit(0);
}

/* ---- frozen ------------------------------------------------------------------------------------------------------ */

/* A file of some MiB, used as a disk. */
static void mount_disk(void)
{
    static const char commands[] = "PATH=$PATH:/usr/sbin:/sbin; i=$1.img; exec >/dev/null 2>&1; truncate -s 8M $i && "
                                   "mkfs.ext4 -q $i && mount -o loop $i $1; s=$?; rm -f $i; exit $s";
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        execl("/bin/sh", "sh", "-c", commands, "sh", folder, (char *)NULL);
    waitpid(pid, &status, 0);
    errno = 0;
    if (status) {
        rmdir(folder);
        keeper_skips("mkfs.ext4 and mount -o loop");
    }
}

static void be_a_frozen_file_system(void)
{
    mount_disk();
    int fd = open(folder, O_RDONLY | O_CLOEXEC), file = open(place, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    NEED(fd >= 0 && file >= 0 && write(file, "x", 1) == 1 && command(fd, FIFREEZE, NULL) == 0);
    close(file);
    keeper_is_ready();
    keeper_wait();
    keeper_hold();
    note("the file system is thawed");
    command(fd, FITHAW, NULL);
    close(fd);
    end_keeping();
}

static int writes_to_it(void *file)
{
    about_to_sleep();
    if (write(*(int *)file, "y", 1) != 1)
        skip("write: %s", strerror(errno));
    be_deaf();
    return 0;
}

WAY(frozen_file_system)
{
    if (keep_folder() == 0)
        be_a_frozen_file_system();
    int file = open(keeper_path(place), O_RDWR | O_CLOEXEC);
    MUST(file >= 0);
    bough_signals(0);
    keeper_begin();
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, writes_to_it, bough_arg(&file)));
        wait_until_asleep("DS");
        begin(work);
    }
}

/* ---- a server in user space that is dead or does not answer ------------------------------------------------------ */

static void reply(int fuse, uint64_t to, const void *data, size_t size, int error)
{
    char out[256];
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + size), .error = error, .unique = to};
    memcpy(out, &head, sizeof head);
    memcpy(out + sizeof head, data, size);
    if (write(fuse, out, head.len) < 0 && errno != ENOENT)
        _exit(1);
}

/* The folder itself exists. Its contents are requested, and no answer comes. */
static void serve(int fuse)
{
    static char request[1 << 17];
    struct fuse_in_header head;
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
    struct fuse_attr_out attributes = {.attr_valid = 600, .attr = {.ino = 1, .mode = S_IFDIR | 0777, .nlink = 2}};
    if (read(fuse, request, sizeof request) < (ssize_t)sizeof head)
        return;
    memcpy(&head, request, sizeof head);
    if (head.opcode == FUSE_INIT)
        reply(fuse, head.unique, &init, sizeof init, 0);
    else if (head.opcode == FUSE_GETATTR)
        reply(fuse, head.unique, &attributes, sizeof attributes, 0);
    else if (head.opcode == FUSE_ACCESS)
        reply(fuse, head.unique, NULL, 0, -ENOSYS);
}

/* From the start of the row on, a dead server reads no request; a silent one reads all requests and answers none. */
static void be_a_server(bool dies)
{
    char options[100];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    NEED(fuse >= 0);
    snprintf(options, sizeof options, "fd=%d,rootmode=40777,user_id=0,group_id=0,allow_other", fuse);
    NEED(mount("bough", folder, "fuse.bough", MS_NOSUID | MS_NODEV, options) == 0);
    keeper_is_ready();
    struct pollfd either[2] = {{fuse, POLLIN, 0}, {keeper_waits_at(), POLLIN, 0}};
    while (poll(either, 2, -1) > 0 && !either[1].revents)
        serve(fuse);
    keeper_wait();
    for (int64_t end = keeper_end(); keeper_holds(end);)
        if (dies)
            rest(10);
        else if (poll(either, 1, 10) > 0)
            serve(fuse);
    note("the server is gone");
    close(fuse);
    end_keeping();
}

static int looks_into_it(void *unused)
{
    struct stat is;
    (void)unused;
    about_to_sleep();
    stat("file", &is);
    skip("stat: %s", strerror(errno));
}

static void with_a_server(bool dies)
{
    if (keep_folder() == 0)
        be_a_server(dies);
    MUST(chdir(keeper_path(folder)) == 0);
    keeper_begin();
}

WAY(dead_file_server)
{
    with_a_server(true);
    bough_signals(0);
    with_child_that_sleeps(looks_into_it, "DS");
}

WAY(file_server_that_does_not_answer)
{
    with_a_server(false);
    bough_signals(0);
    with_child_that_sleeps(looks_into_it, "DS");
}

static void need_cores_here(void)
{
    char pattern[100] = "";
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, pattern, sizeof pattern - 1) <= 0 || *pattern == '|' || *pattern == '/')
        skip("this machine's core_pattern does not put cores into the process's folder: %s", pattern);
    close(fd);
}

/* The core goes to a file that can't be created. */
WAY(core_that_is_not_written)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    need_cores_here();
    with_a_server(true);
    MUST(setrlimit(RLIMIT_CORE, &all) == 0);
    MUST(bough_last_words(getenv("BOUGH_DUMP"), -1, BOUGH_CORE) == 0);
    bough_signals(0);
    atexit(hang);
    with_child(deaf);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static char *page;

/* No process serves its page faults. */
static void make_page(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    MUST(fd >= 0 && command(fd, UFFDIO_API, &api) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    MUST(page != MAP_FAILED && command(fd, UFFDIO_REGISTER, &range) == 0);
}

static int touches_it(void *unused)
{
    (void)unused;
    about_to_sleep();
    return *(volatile char *)page;
}

WAY(page_that_never_comes)
{
    make_page();
    bough_signals(0);
    with_child_that_sleeps(touches_it, "DS");
}

/* The page fault happens inside the kernel, during a call of bough. */
static int has_it_written_to(void *unused)
{
    int fds[2];
    (void)unused;
    MUST(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
    about_to_sleep();
    while (bough_read(fds[0], page, 1) != 1)
        continue;
    return 0;
}

WAY(page_that_never_comes_in_a_call)
{
    make_page();
    bough_signals(0);
    with_child_that_sleeps(has_it_written_to, "DS");
}
