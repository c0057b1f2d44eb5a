/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "symbols.h"
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "text.h"

enum { MODULES = 512, FRAMES = 20000, LINE = 4096, FRAME_INDENT = 6, NOTES_SHOWN = 20, MOMENT_MS = 500 };

struct symbols {
    pid_t pid;
    char *folder;
    struct module *module;
    unsigned modules;
    void *tree; /* the frames, for tsearch() */
    struct frame **frame;
    size_t frames, room;
    bool seen;  /* the dump that was read last has frames */
    bool exact; /* the next frame is a thread's present instruction, not the one after a call */
};

struct symbols *symbols_new(pid_t pid, const char *folder)
{
    struct symbols *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->pid = pid;
    s->folder = folder ? strdup(folder) : NULL;
    s->module = calloc(MODULES, sizeof *s->module);
    if (s->module && (s->folder || !folder))
        return s;
    symbols_free(s);
    return NULL;
}

static void keep(void *unused)
{
    (void)unused;
}

void symbols_free(struct symbols *s)
{
    if (!s)
        return;
    tdestroy(s->tree, keep);
    for (size_t i = 0; i < s->frames; i++)
        free(s->frame[i]);
    free(s->frame);
    free(s->module);
    free(s->folder);
    free(s);
}

/* ---- lines of a dump --------------------------------------------------------------------------------------------- */

static bool next_line(FILE *in, char *line)
{
    if (!fgets(line, LINE, in))
        return false;
    line[strcspn(line, "\n")] = '\0'; /* the rest of a longer line counts as another line, which is no frame */
    return strncmp(line, "==== end", 8) != 0;
}

/* "  0x7facec5b2000 BUILD-ID /path", where BUILD-ID may be "-". A virtual file has no path. */
static bool parse_module(const char *line, struct module *m)
{
    int at = 0;
    *m = (struct module){.present = true};
    if (sscanf(line, "  0x%*[0-9a-f] %64[0-9a-f-] %n", m->id, &at) != 1 || !at || line[at] != '/' ||
        strlen(line + at) >= sizeof m->path)
        return false;
    strcpy(m->path, line + at);
    if (strchr(m->id, '-') || strlen(m->id) < 4)
        *m->id = '\0';
    return true;
}

static void note_module(struct symbols *s, const struct module *m)
{
    for (unsigned i = 0; i < s->modules; i++)
        if (strcmp(s->module[i].path, m->path) == 0 && strcmp(s->module[i].id, m->id) == 0) {
            s->module[i].present = true;
            return;
        }
    if (s->modules < MODULES)
        s->module[s->modules++] = *m;
}

/* If a dump has two files of that name, it is not known which file is meant. */
static bool find_module(const struct symbols *s, const char *name, size_t length, unsigned *index)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->modules; i++) {
        const char *base = strrchr(s->module[i].path, '/') + 1;
        if (!s->module[i].present || strncmp(base, name, length) != 0 || base[length])
            continue;
        *index = i;
        count++;
    }
    return count == 1;
}

/* "      libc.so.6+0x2724a": the address after a call, except for the first frame of a thread that was asked. */
static bool parse_frame(struct symbols *s, const char *line, struct frame *f)
{
    const char *name = line + strspn(line, " "), *plus = NULL;
    char *end;
    bool exact = s->exact;
    s->exact = strstr(line, "when asked:") != NULL;
    for (const char *at = name; (at = strstr(at, "+0x")); at++)
        plus = at;
    if (name - line != FRAME_INDENT || !plus || !plus[3])
        return false;
    *f = (struct frame){.offset = strtoull(plus + 3, &end, 16)};
    if (*end || !find_module(s, name, (size_t)(plus - name), &f->module))
        return false;
    f->offset -= !exact && f->offset;
    return true;
}

/* ---- the frames that are known ----------------------------------------------------------------------------------- */

static int compare_frames(const void *left, const void *right)
{
    const struct frame *a = left, *b = right;
    if (a->module != b->module)
        return a->module < b->module ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool make_room(struct symbols *s)
{
    size_t room = 2 * s->room + 64;
    struct frame **more = s->frames < s->room ? s->frame : realloc(s->frame, room * sizeof(struct frame *));
    if (!more)
        return false;
    if (more != s->frame || s->frames == s->room)
        s->frame = more, s->room = room;
    return true;
}

static void note_frame(struct symbols *s, const struct frame *f)
{
    if (s->frames == FRAMES || tfind(f, &s->tree, compare_frames) || !make_room(s))
        return;
    struct frame *copy = malloc(sizeof *copy);
    if (!copy)
        return;
    *copy = *f;
    if (tsearch(copy, &s->tree, compare_frames))
        s->frame[s->frames++] = copy;
    else
        free(copy);
}

const struct name *symbols_find(struct symbols *s, const char *line)
{
    struct frame f;
    if (!s || !parse_frame(s, line, &f))
        return NULL;
    struct frame **found = tfind(&f, &s->tree, compare_frames);
    return found && (*found)->known && (*found)->name.function[0] ? &(*found)->name : NULL;
}

void symbols_put(struct symbols *s, FILE *out, const char *line)
{
    const struct name *name = symbols_find(s, line);
    if (!name)
        return;
    fputs(" in ", out);
    put_text(out, name->function);
    if (!name->line)
        return;
    fputs(" at ", out);
    put_text(out, name->file);
    fprintf(out, ":%d", name->line);
}

/* ---- asking the child -------------------------------------------------------------------------------------------- */

static int compare_indirect(const void *left, const void *right)
{
    return compare_frames(*(struct frame *const *)left, *(struct frame *const *)right);
}

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The frames to ask for, sorted by module; NULL: there are none. */
static struct frame **unknown_frames(struct symbols *s, size_t *count)
{
    struct frame **list = calloc(s->frames + 1, sizeof(struct frame *));
    *count = 0;
    for (size_t i = 0; list && i < s->frames; i++) {
        struct module *m = &s->module[s->frame[i]->module];
        if (!*m->id)
            m->problem = NO_ID;
        if (!s->frame[i]->known && m->problem == NO_PROBLEM)
            list[(*count)++] = s->frame[i];
    }
    if (list)
        qsort(list, *count, sizeof(struct frame *), compare_indirect);
    if (*count)
        return list;
    free(list);
    return NULL;
}

static pid_t start_child(const struct request *r, int *in)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        resolve_frames(r, ends[1]);
        for (;;)
            syscall(SYS_exit_group,
                    0); /* not _exit(), before which a sanitizer makes system calls that are forbidden now */
    }
    close(ends[1]);
    *in = ends[0];
    if (child < 0)
        close(ends[0]);
    return child;
}

/* The child has read hostile files: its answers are checked as well. */
static void take_answer(struct symbols *s, const struct request *r, struct answer *a)
{
    bool fits = a->frame < r->frames && r->frame[a->frame]->module == a->module;
    if (a->problem == NO_PROBLEM && fits) {
        struct frame *f = r->frame[a->frame];
        a->name.function[NAME_TEXT - 1] = a->name.file[NAME_TEXT - 1] = '\0';
        f->name = a->name;
        f->known = true;
    } else if (a->problem > NO_PROBLEM && a->problem <= TOO_LONG && a->module < s->modules)
        s->module[a->module].problem = a->problem;
}

enum outcome { DONE, ENDED, LATE };

static enum outcome take_answers(struct symbols *s, const struct request *r, int in, int64_t until)
{
    struct answer a;
    size_t have = 0;
    for (;;) {
        struct pollfd p = {.fd = in, .events = POLLIN};
        int64_t left = until - clock_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return LATE;
        ssize_t n = read(in, (char *)&a + have, sizeof a - have);
        if (n <= 0)
            return ENDED;
        have += (size_t)n;
        if (have < sizeof a)
            continue;
        if (a.module == ALL_DONE)
            return DONE;
        take_answer(s, r, &a);
        have = 0;
    }
}

/* A child that waits for a file's server can't be killed, so the wait for its end is short. */
static void end_child(pid_t child)
{
    kill(child, SIGKILL);
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    bool known = p.fd >= 0;
    if (known) {
        poll(&p, 1, MOMENT_MS);
        close(p.fd);
    }
    waitpid(child, NULL, known ? WNOHANG : 0); /* Linux before 5.3 has no such descriptor */
}

static bool has_answer(const struct symbols *s, const struct frame *f)
{
    return f->known || s->module[f->module].problem != NO_PROBLEM;
}

/* The child was working on the first module without an answer. */
static void blame(struct symbols *s, const struct request *r, enum problem problem)
{
    for (size_t i = 0; i < r->frames; i++) {
        if (has_answer(s, r->frame[i]))
            continue;
        s->module[r->frame[i]->module].problem = problem;
        return;
    }
}

static void blame_all(struct symbols *s, const struct request *r, enum problem problem)
{
    for (size_t i = 0; i < r->frames; i++)
        s->module[r->frame[i]->module].problem = problem;
}

static enum outcome resolve_list(struct symbols *s, struct frame **list, size_t count, int64_t until)
{
    struct request r = {s->pid, s->folder, s->module, list, count};
    int in;
    pid_t child = start_child(&r, &in);
    if (child < 0)
        return blame_all(s, &r, NO_READER), LATE;
    enum outcome outcome = take_answers(s, &r, in, until);
    close(in);
    end_child(child);
    if (outcome != DONE || !has_answer(s, list[0]))
        blame(s, &r, outcome == LATE ? TOO_LONG : FAILED);
    return outcome;
}

/* Starts another child for the other modules, if one module has ended the child, or if they were too many for it. */
static void resolve(struct symbols *s, int ms)
{
    int64_t until = clock_ms() + ms;
    enum outcome outcome = DONE;
    size_t count;
    struct frame **list;
    while (outcome != LATE && (list = unknown_frames(s, &count))) {
        outcome = resolve_list(s, list, count, until);
        free(list);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void read_modules(struct symbols *s, FILE *in)
{
    char line[LINE];
    struct module m;
    for (unsigned i = 0; i < s->modules; i++) {
        s->module[i].present = false;
        if (s->module[i].problem >= TOO_LONG)
            s->module[i].problem = NO_PROBLEM; /* try again */
    }
    while (next_line(in, line))
        if (parse_module(line, &m))
            note_module(s, &m);
}

void symbols_read(struct symbols *s, FILE *in, int ms)
{
    char line[LINE];
    struct frame f;
    off_t begin = ftello(in);
    read_modules(s, in);
    fseeko(in, begin, SEEK_SET);
    s->exact = s->seen = false;
    while (next_line(in, line))
        if (parse_frame(s, line, &f))
            s->seen = true, note_frame(s, &f);
    fseeko(in, begin, SEEK_SET);
    s->exact = false;
    if (has_resolver)
        resolve(s, ms);
}

static const char *describe(enum problem problem)
{
    static const char *const texts[] = {
        [NO_ID] = "it has no build id by which its file could be recognised",
        [ABSENT] = "its file can't be opened, and there is no debug file with its build id",
        [REPLACED] =
            "the file there has another build id than the one that was loaded, and there is no debug file with its build id",
        [UNREADABLE] = "libdw can't read its file",
        [FAILED] = "libdw failed while it read its file",
        [TOO_LONG] = "reading its file took too long",
        [NO_READER] = "the process that reads its file can't be started",
    };
    return texts[problem];
}

bool symbols_note(struct symbols *s, unsigned n, char *text, size_t size)
{
    if (!has_resolver) {
        snprintf(text, size, "no names of functions: this build has no libdw, which finds them");
        return s->seen && n == 0;
    }
    for (unsigned i = 0; i < s->modules && n < NOTES_SHOWN; i++)
        if (s->module[i].present && s->module[i].problem != NO_PROBLEM && n-- == 0) {
            snprintf(text, size, "no names for %s: %s", s->module[i].path, describe(s->module[i].problem));
            return true;
        }
    return false;
}
