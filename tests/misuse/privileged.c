/* SPDX-License-Identifier: MIT */
/* The caller controls the environment of a set-user-ID program, so the library ignores it. Fixed bug: any user could
 * make a set-user-ID-root program append a dump to a file of root's, and become dumpable. */
#include <bough.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include "harness.h"

enum { OTHER_USER = 65534, TEXT = 65536 };

static char folder[64], program[128], others[128];

static void copy_to(const char *from, const char *to)
{
    char block[65536];
    ssize_t n;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    CHECK(in >= 0 && out >= 0);
    while ((n = read(in, block, sizeof block)) > 0)
        CHECK_EQ(write(out, block, (size_t)n), n);
    close(in);
    close(out);
}

/* A folder that another user may write to, with the program in it. */
static void set_up(mode_t mode)
{
    struct statvfs where;
    strcpy(folder, "/tmp/bough-privileged-XXXXXX");
    if (geteuid() != 0)
        SKIP("only root can make such programs");
    if (statvfs("/tmp", &where) != 0 || (where.f_flag & ST_NOSUID))
        SKIP("/tmp is mounted nosuid");
    CHECK(mkdtemp(folder));
    CHECK_EQ(chmod(folder, 0777), 0);
    snprintf(program, sizeof program, "%s/program", folder);
    snprintf(others, sizeof others, "%s/file", folder);
    copy_to(PRIVILEGED_PROGRAM, program);
    CHECK_EQ(chmod(program, mode), 0);
}

static void tear_down(void)
{
    unlink(program);
    unlink(others);
    CHECK_EQ(rmdir(folder), 0);
}

static char *const *arguments;
static char *const *environment;

static void run(void *as_other_user)
{
    if (as_other_user && (setgid(OTHER_USER) != 0 || setuid(OTHER_USER) != 0))
        _exit(99);
    execve(program, arguments, environment);
    _exit(98);
}

static int run_as(const char *mode, const char *path, int as_other_user, char *const env[], char *text)
{
    char *const argv[] = {program, (char *)(uintptr_t)mode, (char *)(uintptr_t)path, NULL};
    arguments = argv;
    environment = env;
    return t_run_output(run, as_other_user ? text : NULL, text, TEXT);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    CHECK_EQ(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQ(chmod(path, 0777), 0);
    return fd;
}

static void ends(int as_other_user, char *text, int *notified, int *core)
{
    char dump[160], notify[96], words[128], byte[128];
    snprintf(words, sizeof words, "%s/words", folder);
    snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s/socket", folder);
    snprintf(dump, sizeof dump, "BOUGH_DUMP=%s", words);
    char *const env[] = {dump, notify, (char[]){"BOUGH_CORE=1"}, NULL};
    int fd = listen_at(strchr(notify, '=') + 1);
    int status = run_as("end", NULL, as_other_user, env, text);
    *notified = recv(fd, byte, sizeof byte, 0) > 0;
    *core = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    CHECK(WIFSIGNALED(status));
    close(fd);
    unlink(strchr(notify, '=') + 1);
    unlink(words);
}

TEST(a_set_user_id_program_reads_nothing_of_the_environment_at_its_end)
{
    static char text[TEXT];
    int notified, core;
    set_up(04755);
    ends(1, text, &notified, &core);
    CHECK(!notified && !core);
    CHECK(strstr(text, "==== end ====")); /* the dump has gone to standard error */
    ends(0, text, &notified, &core);      /* run by root the program is not privileged: the whole environment counts */
    CHECK(notified && core);
    CHECK(!strstr(text, "==== end ===="));
    tear_down();
}

TEST(a_set_user_id_program_is_not_recorded)
{
    static char text[TEXT];
    char trace[160];
    set_up(04755);
    snprintf(trace, sizeof trace, "BOUGH_TRACE=%s", others);
    char *const env[] = {trace, NULL};
    CHECK_EXITED(run_as("settings", NULL, 1, env, text), 0);
    CHECK_ERR(access(others, F_OK), ENOENT);
    CHECK_EXITED(run_as("settings", NULL, 0, env, text), 0); /* run by root it is not privileged */
    CHECK_EQ(access(others, F_OK), 0);
    tear_down();
}

TEST(a_set_user_id_program_reads_no_settings_of_the_environment)
{
    static char text[TEXT];
    char *const env[] = {(char[]){"BOUGH_GRACE=7"}, (char[]){"BOUGH_SIGNAL=12"}, (char[]){"BOUGH_HIDDEN=1"}, NULL};
    set_up(04755);
    CHECK_EXITED(run_as("settings", NULL, 0, env, text), 0);
    CHECK_STR(text, "7000 12 0\n");
    CHECK_EXITED(run_as("settings", NULL, 1, env, text), 0);
    CHECK_STR(text, "30000 23 1\n");
    tear_down();
}

static int words_at(const char *path, int as_other_user)
{
    static char text[TEXT];
    char *const env[] = {NULL};
    CHECK_EXITED(run_as("words", path, as_other_user, env, text), 0);
    return atoi(text);
}

TEST(a_set_user_id_program_follows_no_link)
{
    char link_to[128], file[128];
    set_up(04755);
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(link_to, sizeof link_to, "%s/link", folder);
    CHECK_EQ(symlink(file, link_to), 0);
    CHECK_EQ(words_at(link_to, 1), ELOOP);
    CHECK_EQ(access(file, F_OK), -1);
    CHECK_EQ(words_at(link_to, 0), 0);
    CHECK_EQ(words_at(file, 1), 0);
    CHECK_EQ(unlink(link_to), 0);
    CHECK_EQ(link(file, link_to), 0);
    CHECK_EQ(words_at(link_to, 1), EMLINK);
    CHECK_EQ(words_at(link_to, 0), 0);
    CHECK_EQ(unlink(link_to), 0);
    tear_down();
}

TEST(a_dump_belongs_to_its_owner_and_goes_to_no_file_of_another_user)
{
    struct stat is;
    umask(0);
    set_up(0755);
    CHECK_EQ(words_at(others, 0), 0);
    CHECK_EQ(stat(others, &is), 0);
    CHECK_EQ(is.st_mode & 07777, 0600);
    CHECK_EQ(chmod(others, 0666), 0);
    CHECK_EQ(words_at(others, 1), EPERM);
    CHECK_EQ(chown(others, OTHER_USER, OTHER_USER), 0);
    CHECK_EQ(words_at(others, 1), 0);
    CHECK_EQ(words_at(others, 0), EPERM); /* the owner of the file could read root's dump */
    CHECK_EQ(words_at("/dev/null", 1), 0);
    CHECK_EQ(words_at("/dev/stderr", 0), 0);
    CHECK_EQ(words_at("/dev/stderr", 1), EPERM); /* the harness's file, which belongs to root */
    tear_down();
}
