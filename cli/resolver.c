/* SPDX-License-Identifier: MIT */
/*
 * Converts addresses to names, with libdw. Runs in a child of the command: see symbols.h.
 *
 * All files are opened before anything in them is read. A debug file is found by its build id only, because a link to
 * it in another process's file, by a name, may lead to a pipe or a device; and no server is asked.
 */
#define _GNU_SOURCE
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "memfd.h"
#include "symbols.h"

enum { MOST_FILES = 200, LONGEST_PATH = 2 * PATH_TEXT, LOWEST_PAGE = 4096 };
#define LARGEST ((off_t)2 << 30)

#define DEBUG_FOLDER "/usr/lib/debug"

const bool has_resolver = true;

/* The demangler of the C++ library. */
#if HAS_DEMANGLER
char *__cxa_demangle(const char *name, char *to, size_t *size, int *status);
#endif

/* The files of one module; -1: there is none. */
struct files {
    int main, debug;
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int open_limited(const char *path)
{
    struct stat is;
    int fd = open_regular(path, 0);
    if (fd < 0 || (fstat(fd, &is) == 0 && is.st_size <= LARGEST))
        return fd;
    close(fd);
    return -1;
}

/* Opens the file below the root of the process, or below the command's: the build id decides whether it is the right
 * file. */
static int open_there(pid_t pid, const char *path)
{
    char there[LONGEST_PATH];
    int fd = -1;
    if (pid && snprintf(there, sizeof there, "/proc/%d/root%s", (int)pid, path) < LONGEST_PATH)
        fd = open_limited(there);
    return fd < 0 ? open_limited(path) : fd;
}

static int open_debug(const struct request *r, const char *id)
{
    char path[LONGEST_PATH];
    int fd = -1;
    if (r->folder && snprintf(path, sizeof path, "%s/.build-id/%.2s/%s.debug", r->folder, id, id + 2) < LONGEST_PATH)
        fd = open_limited(path);
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, DEBUG_FOLDER "/.build-id/%.2s/%s.debug", id, id + 2);
    return open_there(r->pid, path);
}

/* The kernel adds " (deleted)" to the path of a file that was replaced. */
static void open_module(const struct request *r, const struct module *m, struct files *f)
{
    static const char deleted[] = " (deleted)";
    char path[PATH_TEXT];
    size_t n = strlen(m->path);
    strcpy(path, m->path);
    if (n > sizeof deleted && strcmp(path + n - (sizeof deleted - 1), deleted) == 0)
        path[n - (sizeof deleted - 1)] = '\0';
    f->main = open_there(r->pid, path);
    f->debug = open_debug(r, m->id);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

static bool has_id(Elf *elf, const char *id)
{
    const void *found;
    const unsigned char *byte;
    char text[ID_TEXT] = "";
    ssize_t n = dwelf_elf_gnu_build_id(elf, &found);
    if (n <= 0 || n > (ID_TEXT - 1) / 2)
        return false;
    byte = found;
    for (ssize_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", byte[i]);
    return strcmp(text, id) == 0;
}

/* Where the first page of the file belongs, by its program headers: a dump's offsets count from there. */
static bool first_page(Elf *elf, GElf_Addr *page)
{
    GElf_Phdr part;
    size_t count;
    if (elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count && gelf_getphdr(elf, (int)i, &part); i++)
        if (part.p_type == PT_LOAD) {
            *page = part.p_vaddr & -(GElf_Addr)LOWEST_PAGE;
            return true;
        }
    return false;
}

/* Closes the file if it is not the one that was loaded. */
static enum problem check_file(int *fd, const char *id, GElf_Addr *page)
{
    if (*fd < 0)
        return ABSENT;
    Elf *elf = elf_begin(*fd, ELF_C_READ_MMAP, NULL);
    bool is_elf = elf && elf_kind(elf) == ELF_K_ELF && first_page(elf, page);
    bool same = is_elf && has_id(elf, id);
    elf_end(elf);
    if (same)
        return NO_PROBLEM;
    close(*fd);
    *fd = -1;
    return is_elf ? REPLACED : UNREADABLE;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

static int debug_file; /* of the present module */

static int find_nothing(Dwfl_Module *m, void **data, const char *name, Dwarf_Addr base, char **path, Elf **elf)
{
    (void)m, (void)data, (void)name, (void)base, (void)path, (void)elf;
    return -1;
}

/* libdw calls this again for the file that several debug files share, which has nothing that is needed here. */
static int find_debug(Dwfl_Module *m, void **data, const char *name, Dwarf_Addr base, const char *file,
                      const char *link, GElf_Word sum, char **path)
{
    (void)m, (void)data, (void)name, (void)base, (void)file, (void)link, (void)sum, (void)path;
    int fd = debug_file;
    debug_file = -1;
    return fd;
}

static void copy(char *to, const char *from)
{
    snprintf(to, NAME_TEXT, "%s", from);
}

static void find_function(Dwfl_Module *m, GElf_Addr address, struct name *name)
{
    GElf_Off offset;
    GElf_Sym symbol;
    char *plain = NULL;
    const char *found = dwfl_module_addrinfo(m, address, &offset, &symbol, NULL, NULL, NULL);
    if (!found)
        return;
#if HAS_DEMANGLER
    int status;
    plain = strncmp(found, "_Z", 2) == 0 ? __cxa_demangle(found, NULL, NULL, &status) : NULL;
#endif
    copy(name->function, plain ? plain : found);
    free(plain);
}

static void find_place(Dwfl_Module *m, GElf_Addr address, struct name *name)
{
    Dwfl_Line *line = dwfl_module_getsrc(m, address);
    const char *file = line ? dwfl_lineinfo(line, NULL, &name->line, NULL, NULL, NULL) : NULL;
    if (file && name->line > 0)
        copy(name->file, file);
    else
        name->line = 0;
}

static void answer(int out, const struct answer *a)
{
    if (write(out, a, sizeof *a) != (ssize_t)sizeof *a)
        _exit(1);
}

static void answer_problem(int out, unsigned module, enum problem problem)
{
    struct answer a = {.problem = problem, .module = module};
    answer(out, &a);
}

/* Returns how many frames from `i` on are in the same module. */
static size_t frames_of(const struct request *r, size_t i)
{
    size_t n = 1;
    while (i + n < r->frames && r->frame[i + n]->module == r->frame[i]->module)
        n++;
    return n;
}

static void look_up(const struct request *r, size_t first, size_t count, Dwfl_Module *m, GElf_Addr page, int out)
{
    for (size_t i = first; i < first + count; i++) {
        struct answer a = {.module = r->frame[i]->module, .frame = i};
        GElf_Addr address = page + r->frame[i]->offset;
        find_function(m, address, &a.name);
        find_place(m, address, &a.name);
        answer(out, &a);
    }
}

static void resolve_module(const struct request *r, size_t first, size_t count, struct files *f, int out)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = find_nothing, .find_debuginfo = find_debug};
    unsigned module = r->frame[first]->module;
    const char *id = r->module[module].id;
    GElf_Addr page = 0, unused;
    enum problem problem = check_file(&f->main, id, &page);
    if (f->main >= 0 || check_file(&f->debug, id, &page) == NO_PROBLEM) {
        if (f->main < 0)
            f->main = f->debug, f->debug = -1; /* it has the symbols and lines, only not the code */
        else
            check_file(&f->debug, id, &unused);
        debug_file = f->debug;
        Dwfl *dwfl = dwfl_begin(&callbacks);
        if (dwfl)
            dwfl_report_begin(dwfl);
        Dwfl_Module *m = dwfl ? dwfl_report_elf(dwfl, "module", "", f->main, 0, true) : NULL;
        if (m && dwfl_report_end(dwfl, NULL, NULL) == 0) {
            look_up(r, first, count, m, page, out);
            dwfl_end(dwfl);
            return;
        }
        problem = UNREADABLE;
    }
    answer_problem(out, module, problem);
}

void resolve_frames(const struct request *r, int out)
{
    static struct files file[MOST_FILES];
    size_t i, number = 0;
    confine_begin(&out);
    elf_version(EV_CURRENT);
    for (i = 0; i < r->frames && number < MOST_FILES; i += frames_of(r, i))
        open_module(r, &r->module[r->frame[i]->module], &file[number++]);
    confine_end();
    for (i = number = 0; i < r->frames && number < MOST_FILES; number++) {
        size_t count = frames_of(r, i);
        resolve_module(r, i, count, &file[number], out);
        i += count;
    }
    answer_problem(out, ALL_DONE, NO_PROBLEM);
}
