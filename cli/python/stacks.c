/* SPDX-License-Identifier: MIT */
#include "stacks.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "find.h"

enum { INTERPRETERS = 64, THREADS = 100000, FRAMES = 2000000, TEXT = 256 << 20, TRIES = 3 };

/* One walk: where it reads, and what it has found out. */
struct walk {
    struct stacks *s;
    struct memory *m;
    struct layout l;
    uint64_t code_type; /* the type of the code objects; 0: none was seen yet */
};

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* Room for one more of these; false: out of memory. */
static bool make_room(void *list, size_t *room, size_t needed, size_t size)
{
    void *more, **at = list;
    if (needed <= *room)
        return true;
    size_t wanted = 2 * needed + 64;
    if (!(more = realloc(*at, wanted * size)))
        return false;
    *at = more;
    *room = wanted;
    return true;
}

static bool keep_text(struct stacks *s, const char *text, size_t *at)
{
    size_t n = strlen(text) + 1;
    if (s->text_size + n > TEXT || !make_room(&s->text, &s->text_room, s->text_size + n, 1))
        return false;
    *at = s->text_size;
    memcpy(s->text + *at, text, n);
    s->text_size += n;
    return true;
}

static void forget(struct stacks *s)
{
    s->threads = s->frames = s->text_size = 0;
}

void stacks_free(struct stacks *s)
{
    free(s->thread);
    free(s->frame);
    free(s->text);
    *s = (struct stacks){0};
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* A frame may have no code: one that C code has made. */
static bool is_code(struct walk *w, uint64_t object)
{
    uint64_t type, name;
    char text[5];
    if (!memory_word(w->m, object, w->l.object_type, &type))
        return false;
    if (w->code_type && type == w->code_type)
        return true;
    if (!memory_word(w->m, type, w->l.type_name, &name) || !memory_get(w->m, name, text, sizeof text) ||
        memcmp(text, "code", sizeof text) != 0)
        return false;
    w->code_type = type;
    return true;
}

/* False: there is no room, or the frame's code can't be read. */
static bool add_frame(struct walk *w, struct py_thread *t, uint64_t code, uint64_t instruction)
{
    char function[STACK_FUNCTION], file[STACK_FILE];
    uint64_t functions, files;
    struct stacks *s = w->s;
    struct py_frame f;
    if (s->frames >= FRAMES || !make_room(&s->frame, &s->frame_room, s->frames + 1, sizeof *s->frame) ||
        !memory_word(w->m, code, w->l.code_function, &functions) || !memory_word(w->m, code, w->l.code_file, &files) ||
        !stacks_string(w->m, &w->l, functions, function, sizeof function) ||
        !stacks_string(w->m, &w->l, files, file, sizeof file) || !keep_text(s, function, &f.function) ||
        !keep_text(s, file, &f.file))
        return false;
    uint64_t begin = code + w->l.code_bytes;
    f.line = instruction >= begin ? stacks_line(w->m, &w->l, code, (int64_t)(instruction - begin)) : 0;
    s->frame[s->frames++] = f;
    t->count++;
    return true;
}

enum {
    OWNED_BY_C = 3
}; /* from 3.12 on: an entry into the interpreter, no frame of the program's. 3.11 has no such number */

static void walk_frames(struct walk *w, struct py_thread *t, uint64_t frame)
{
    t->first = w->s->frames;
    for (unsigned n = 0; frame; n++) {
        uint64_t code, instruction, caller;
        unsigned char owner;
        t->is_cut = true;
        if (n == 2 * STACK_FRAMES || t->count == STACK_FRAMES || !memory_word(w->m, frame, w->l.frame_code, &code) ||
            !memory_word(w->m, frame, w->l.frame_instruction, &instruction) ||
            !memory_get(w->m, frame + w->l.frame_owner, &owner, 1) ||
            !memory_word(w->m, frame, w->l.frame_caller, &caller))
            return;
        if (owner != OWNED_BY_C && !(is_code(w, code) && add_frame(w, t, code, instruction)))
            return;
        t->is_cut = false;
        frame = caller;
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static bool innermost_frame(struct walk *w, uint64_t thread, uint64_t *frame)
{
    if (!memory_word(w->m, thread, w->l.thread_frame, frame))
        return false;
    return !w->l.by_cframe || !*frame || memory_word(w->m, *frame, w->l.cframe_frame, frame);
}

static bool add_thread(struct walk *w, uint64_t thread)
{
    uint64_t id, frame;
    struct stacks *s = w->s;
    if (!memory_word(w->m, thread, w->l.thread_native_id, &id) || !innermost_frame(w, thread, &frame) ||
        s->threads >= THREADS || !make_room(&s->thread, &s->thread_room, s->threads + 1, sizeof *s->thread))
        return false;
    struct py_thread *t = &s->thread[s->threads++];
    *t = (struct py_thread){.state = thread, .own = id <= INT_MAX ? (pid_t)id : 0};
    walk_frames(w, t, frame);
    return true;
}

/* Each thread names the one before it, so a list that is changing, or a circle, is recognised. */
static bool walk_threads(struct walk *w, uint64_t interpreter)
{
    uint64_t thread, before = 0, previous;
    if (!memory_word(w->m, interpreter, w->l.interpreter_threads, &thread))
        return false;
    while (thread) {
        if (!memory_word(w->m, thread, w->l.thread_previous, &previous) || previous != before || !add_thread(w, thread))
            return false;
        before = thread;
        if (!memory_word(w->m, thread, w->l.thread_next, &thread))
            return false;
    }
    return true;
}

/* It names the thread that has it, or had it last. */
static void find_holder(struct walk *w, uint64_t runtime, uint64_t interpreter)
{
    uint64_t gil = runtime + w->l.runtime_gil, holder;
    int32_t locked;
    if (!w->l.runtime_gil && !memory_word(w->m, interpreter, w->l.interpreter_gil, &gil))
        return;
    if (!memory_int(w->m, gil, w->l.gil_locked, &locked) || !memory_word(w->m, gil, w->l.gil_holder, &holder))
        return;
    for (size_t i = 0; i < w->s->threads && locked == 1; i++)
        if (w->s->thread[i].state == holder)
            w->s->thread[i].has_gil = true;
}

static bool walk_interpreters(struct walk *w, uint64_t runtime)
{
    uint64_t interpreter;
    if (!memory_word(w->m, runtime, w->l.runtime_interpreters, &interpreter))
        return false;
    for (unsigned n = 0; interpreter; n++) {
        if (n == INTERPRETERS || !walk_threads(w, interpreter))
            return false;
        find_holder(w, runtime, interpreter);
        if (!memory_word(w->m, interpreter, w->l.interpreter_next, &interpreter))
            return false;
    }
    return true;
}

static int by_id(const void *a, const void *b)
{
    pid_t left = ((const struct py_thread *)a)->own, right = ((const struct py_thread *)b)->own;
    return left < right ? -1 : left > right;
}

void stacks_walk(struct stacks *s, struct memory *m, uint64_t runtime, uint32_t version)
{
    struct walk w = {.s = s, .m = m};
    const char *problem = layout_of(&w.l, m, runtime, &version);
    s->is_python = true;
    s->version = version;
    forget(s);
    if (problem && version)
        snprintf(s->why, sizeof s->why, "Python %u.%u: %s", version >> 24, version >> 16 & 255, problem);
    else if (problem)
        snprintf(s->why, sizeof s->why, "Python of an unknown version: %s", problem);
    else if (!walk_interpreters(&w, runtime))
        snprintf(s->why, sizeof s->why, "the interpreter's threads changed while they were read: some are missing");
    if (s->threads)
        qsort(s->thread, s->threads, sizeof *s->thread, by_id);
}

const struct py_thread *stacks_thread(const struct stacks *s, pid_t own)
{
    struct py_thread key = {.own = own};
    return s->threads && own ? bsearch(&key, s->thread, s->threads, sizeof *s->thread, by_id) : NULL;
}

/* ---- a process --------------------------------------------------------------------------------------------------- */

static void explain(struct stacks *s, pid_t pid, int error)
{
    if (error == EACCES || error == EPERM)
        snprintf(s->why, sizeof s->why,
                 "reading the memory of process %d needs the right to attach to it: run the command as root, or see "
                 "/proc/sys/kernel/yama/ptrace_scope",
                 (int)pid);
    else
        snprintf(s->why, sizeof s->why, "the memory of process %d can't be read: %s", (int)pid, strerror(error));
}

void stacks_read(struct stacks *s, pid_t pid)
{
    static struct memory m;
    struct runtime_place place;
    *s = (struct stacks){0};
    if (!find_runtime(&place, pid))
        return;
    s->is_python = true;
    int fd = memory_open(pid);
    if (fd < 0) {
        explain(s, pid, errno);
        return;
    }
    for (int i = 0; i < TRIES && (i == 0 || *s->why); i++) {
        uint64_t hex = 0;
        s->why[0] = '\0';
        memory_begin(&m, memory_page_of_process, &fd);
        if (place.version && !memory_word(&m, place.version, 0, &hex))
            hex = 0;
        stacks_walk(s, &m, place.runtime, (uint32_t)hex);
    }
    close(fd);
}
