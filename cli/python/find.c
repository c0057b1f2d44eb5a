/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "find.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "proc.h"

/* The largest numbers of headers and symbols that are read from a file of another process, and of files. */
enum { SECTIONS = 4096, SEGMENTS = 256, SYMBOLS = 65536, FILES = 16 };

static bool read_at(int fd, void *to, size_t size, uint64_t at)
{
    return at <= INT64_MAX - size && pread(fd, to, size, (off_t)at) == (ssize_t)size;
}

static bool is_named(int fd, uint64_t at, const char *name)
{
    char text[32];
    size_t n = strlen(name) + 1;
    return n <= sizeof text && read_at(fd, text, n, at) && memcmp(text, name, n) == 0;
}

/* ---- a file ------------------------------------------------------------------------------------------------------ */

struct elf {
    int fd;
    Elf64_Ehdr head;
    uint64_t bias; /* an address in the process less the one in the file */
};

static bool is_supported(const Elf64_Ehdr *h)
{
    int data = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_ident[EI_DATA] == data && h->e_shentsize == sizeof(Elf64_Shdr) && h->e_shnum <= SECTIONS &&
           h->e_phentsize == sizeof(Elf64_Phdr) && h->e_phnum <= SEGMENTS && h->e_shstrndx < h->e_shnum;
}

static bool section(const struct elf *e, unsigned i, Elf64_Shdr *s)
{
    return i < e->head.e_shnum && read_at(e->fd, s, sizeof *s, e->head.e_shoff + (uint64_t)i * sizeof *s);
}

/* The first segment of the file begins with its first byte. */
static bool find_bias(struct elf *e, uint64_t base)
{
    Elf64_Phdr p;
    for (unsigned i = 0; i < e->head.e_phnum; i++)
        if (read_at(e->fd, &p, sizeof p, e->head.e_phoff + (uint64_t)i * sizeof p) && p.p_type == PT_LOAD &&
            p.p_offset == 0) {
            e->bias = base - p.p_vaddr;
            return true;
        }
    return false;
}

static uint64_t find_symbol(const struct elf *e, const Elf64_Shdr *table, const char *name)
{
    Elf64_Shdr names;
    Elf64_Sym s;
    if (table->sh_entsize != sizeof s || !section(e, table->sh_link, &names))
        return 0;
    for (uint64_t i = 0; i < table->sh_size / sizeof s && i < SYMBOLS; i++)
        if (read_at(e->fd, &s, sizeof s, table->sh_offset + i * sizeof s) && s.st_size == 8 &&
            s.st_shndx != SHN_UNDEF && is_named(e->fd, names.sh_offset + s.st_name, name))
            return e->bias + s.st_value;
    return 0;
}

bool find_runtime_in(struct runtime_place *place, int fd, uint64_t base)
{
    struct elf e = {.fd = fd};
    Elf64_Shdr names, s;
    *place = (struct runtime_place){0};
    if (sizeof(void *) != 8 || !read_at(fd, &e.head, sizeof e.head, 0) || !is_supported(&e.head) ||
        !find_bias(&e, base) || !section(&e, e.head.e_shstrndx, &names))
        return false;
    for (unsigned i = 0; i < e.head.e_shnum; i++) {
        if (!section(&e, i, &s))
            return false;
        if (s.sh_type == SHT_PROGBITS && is_named(fd, names.sh_offset + s.sh_name, ".PyRuntime"))
            place->runtime = e.bias + s.sh_addr;
    }
    for (unsigned i = 0; place->runtime && !place->version && i < e.head.e_shnum; i++)
        if (section(&e, i, &s) && s.sh_type == SHT_DYNSYM)
            place->version = find_symbol(&e, &s, "Py_Version");
    return place->runtime != 0;
}

/* ---- the process's files ----------------------------------------------------------------------------------------- */

/* The file of an interpreter or of its library; also the program itself, which may have the interpreter linked in. */
static bool may_have_it(const char *path, bool is_first)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return is_first || strncmp(name, "python", 6) == 0 || strncmp(name, "libpython", 9) == 0;
}

/* The package's folder is that of its extension module. */
static void note_package(char package[static sizeof((struct runtime_place *)0)->package], const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = (size_t)(slash + 1 - path);
    if (strncmp(slash, "/_bough.", 8) != 0 || length >= sizeof((struct runtime_place *)0)->package)
        return;
    memcpy(package, path, length);
    package[length] = '\0';
}

bool find_runtime(struct runtime_place *place, pid_t pid)
{
    char name[64], line[4400], path[4200];
    struct runtime_place one;
    bool found = false;
    unsigned files = 0;
    *place = (struct runtime_place){0};
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    while (maps && !(found && *place->package) && fgets(line, sizeof line, maps)) {
        unsigned long long begin, offset, inode;
        if (sscanf(line, "%llx-%*x %*s %llx %*s %llu %4199[^\n]", &begin, &offset, &inode, path) != 4 ||
            path[0] != '/' || !inode || offset != 0)
            continue;
        note_package(place->package, path);
        if (found || files == FILES || !may_have_it(path, files == 0))
            continue;
        files++;
        int fd = proc_open_mapped(pid, path, (ino_t)inode);
        found = fd >= 0 && find_runtime_in(&one, fd, begin);
        if (found)
            place->runtime = one.runtime, place->version = one.version;
        if (fd >= 0)
            close(fd);
    }
    if (maps)
        fclose(maps);
    return found;
}
