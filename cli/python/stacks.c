/* SPDX-License-Identifier: MIT */
#include "stacks.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INTERPRETERS = 64, THREADS = 100000, FRAMES = 2000000, DEEPEST = 10000, TEXT = 256 << 20, TRIES = 3 };

/* One walk over the interpreter's structures: its inputs and its findings. */
struct walk {
    struct stacks *s;
    struct memory *m;
    struct layout l;
    uint64_t code_type; /* the type of code objects; 0: no code object was seen yet */
};

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* Make room for one more element; false: out of memory. */
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
    s->is_python = false;
    s->why[0] = '\0';
}

static void free_lists(struct stacks *s)
{
    free(s->thread);
    free(s->frame);
    free(s->text);
}

static void forget_before(struct stacks *s)
{
    if (s->before)
        free_lists(s->before);
    free(s->before);
    s->before = NULL;
}

void stacks_free(struct stacks *s)
{
    free_lists(s);
    forget_before(s);
    *s = (struct stacks){0};
}

static int by_number(const void *a, const void *b)
{
    pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;
    return left < right ? -1 : left > right;
}

/* Swap the lists, so that their memory is used again. */
void stacks_renew(struct stacks *s)
{
    qsort(s->wanted, s->wanteds, sizeof *s->wanted, by_number);
    if (s->at_once && !s->before)
        s->before = calloc(1, sizeof *s->before);
    if (s->at_once && s->before) {
        struct stacks old = *s, *b = s->before;
        s->thread = b->thread, s->thread_room = b->thread_room;
        s->frame = b->frame, s->frame_room = b->frame_room;
        s->text = b->text, s->text_room = b->text_room;
        *b = old;
        b->before = NULL;
        s->turn = old.threads ? (old.turn + old.at_once) % old.threads : 0;
    }
    forget(s);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* A frame that C code has made has no code object. */
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

static bool is_of_package(const struct stacks *s, const char *file)
{
    return *s->place.package && strncmp(file, s->place.package, strlen(s->place.package)) == 0;
}

/* False: out of memory, or the frame's code can't be read. */
static bool add_frame(struct walk *w, struct py_thread *t, uint64_t code, uint64_t instruction)
{
    char function[STACK_FUNCTION], file[STACK_FILE];
    uint64_t functions, files;
    struct stacks *s = w->s;
    struct py_frame f = {0};
    if (s->frames >= FRAMES || !make_room(&s->frame, &s->frame_room, s->frames + 1, sizeof *s->frame) ||
        !memory_word(w->m, code, w->l.code_function, &functions) || !memory_word(w->m, code, w->l.code_file, &files) ||
        !stacks_string(w->m, &w->l, functions, function, sizeof function) ||
        !stacks_string(w->m, &w->l, files, file, sizeof file) || !keep_text(s, function, &f.function) ||
        !keep_text(s, file, &f.file))
        return false;
    uint64_t begin = code + w->l.code_bytes;
    f.line = instruction >= begin ? stacks_line(w->m, &w->l, code, (int64_t)(instruction - begin)) : 0;
    f.is_package = is_of_package(s, file);
    s->frame[s->frames++] = f;
    t->count++;
    return true;
}

/*
 * The interpreter's loop is a C function. It executes one frame after another while Python code calls Python code, and
 * is called again where C code calls Python code. The C frame of each call contains a structure: up to 3.11 one that
 * points to the frame that the call executes, later an entry frame, which is the caller of the call's outermost frame.
 */
struct loops {
    uint64_t cframe, outer; /* the structures of this call, and of the next outer call */
    uint64_t outer_frame;   /* the frame that the outer call executes */
    size_t first;           /* the first of the frames whose call is not known yet */
};

static void next_cframe(struct walk *w, struct loops *c, uint64_t cframe)
{
    c->cframe = cframe;
    if (!memory_word(w->m, cframe, w->l.cframe_previous, &c->outer) ||
        !memory_word(w->m, c->outer, w->l.cframe_frame, &c->outer_frame))
        c->outer = c->outer_frame = 0;
}

static void enter_frame(struct walk *w, struct loops *c, uint64_t frame)
{
    if (c->outer && frame == c->outer_frame)
        next_cframe(w, c, c->outer);
}

/* The call that this entry frame stands for executes the frames since the last entry frame. */
static void pass_entry(struct walk *w, struct loops *c, uint64_t entry)
{
    for (; c->first < w->s->frames; c->first++)
        w->s->frame[c->first].loop = entry;
}

/* From 3.12 on, a frame with this owner or a higher one is an entry frame. 3.11 has no such owner. */
enum { OWNED_BY_C = 3 };

static bool has_enough(const struct walk *w, const struct py_thread *t)
{
    const struct stacks *s = w->s;
    return t->count == STACK_FRAMES || (s->is_lines && t->count && !s->frame[s->frames - 1].is_package);
}

/* From 3.14 on the pointer to the code has a tag in its lowest bits. */
static uint64_t untagged(uint64_t pointer)
{
    return pointer & ~(uint64_t)7;
}

/* With enough frames, the walk goes on to the next entry frame, which the last of them need (pass_entry()). */
static bool next_frame(struct walk *w, struct py_thread *t, uint64_t *frame, struct loops *c)
{
    uint64_t code, instruction, caller;
    unsigned char owner;
    bool is_full = has_enough(w, t);
    if (!memory_word(w->m, *frame, w->l.frame_code, &code) ||
        !memory_word(w->m, *frame, w->l.frame_instruction, &instruction) ||
        !memory_get(w->m, *frame + w->l.frame_owner, &owner, 1) ||
        !memory_word(w->m, *frame, w->l.frame_caller, &caller))
        return false;
    if (owner >= OWNED_BY_C) {
        pass_entry(w, c, *frame);
    } else if (is_full) {
        if (w->s->is_lines || c->first == w->s->frames || c->cframe)
            return false;
    } else {
        if (!is_code(w, untagged(code)) || !add_frame(w, t, untagged(code), instruction))
            return false;
        enter_frame(w, c, *frame);
        w->s->frame[w->s->frames - 1].loop = c->cframe;
    }
    *frame = caller;
    return true;
}

static void walk_frames(struct walk *w, struct py_thread *t, uint64_t frame, struct loops *c)
{
    t->first = c->first = w->s->frames;
    for (unsigned n = 0; frame && n < DEEPEST; n++)
        if (!next_frame(w, t, &frame, c))
            break;
    t->is_cut = frame != 0;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static bool innermost_frame(struct walk *w, uint64_t thread, uint64_t *frame, struct loops *c)
{
    uint64_t cframe;
    *c = (struct loops){0};
    if (!memory_word(w->m, thread, w->l.thread_frame, frame))
        return false;
    if (!w->l.by_cframe || !*frame)
        return true;
    cframe = *frame;
    if (w->l.cframe_previous)
        next_cframe(w, c, cframe);
    return memory_word(w->m, cframe, w->l.cframe_frame, frame);
}

/* Whether the thread's frames are read this time. */
static bool is_due(const struct stacks *s, pid_t own)
{
    size_t all = s->before->threads;
    return (s->threads + all - s->turn) % all < s->at_once ||
           bsearch(&own, s->wanted, s->wanteds, sizeof *s->wanted, by_number);
}

/* The thread as it was in the last reading, if its frames are not read again. */
static const struct py_thread *kept_thread(const struct stacks *s, uint64_t state, pid_t own)
{
    if (!s->at_once || !s->before || !s->before->threads || is_due(s, own))
        return NULL;
    const struct py_thread *old = stacks_thread(s->before, own);
    return old && old->state == state ? old : NULL;
}

static bool keep_frames(struct stacks *s, struct py_thread *t, const struct py_thread *old)
{
    const struct stacks *b = s->before;
    t->first = s->frames;
    t->is_cut = old->is_cut;
    for (size_t i = old->first; i < old->first + old->count; i++) {
        struct py_frame f = b->frame[i];
        if (!make_room(&s->frame, &s->frame_room, s->frames + 1, sizeof *s->frame) ||
            !keep_text(s, b->text + b->frame[i].function, &f.function) ||
            !keep_text(s, b->text + b->frame[i].file, &f.file))
            return false;
        s->frame[s->frames++] = f;
        t->count++;
    }
    return true;
}

static bool add_thread(struct walk *w, uint64_t thread)
{
    uint64_t id, frame;
    struct loops c;
    struct stacks *s = w->s;
    if (!memory_word(w->m, thread, w->l.thread_native_id, &id))
        return false;
    pid_t own = id <= INT_MAX ? (pid_t)id : 0;
    const struct py_thread *old = kept_thread(s, thread, own);
    if ((!old && !innermost_frame(w, thread, &frame, &c)) || s->threads >= THREADS ||
        !make_room(&s->thread, &s->thread_room, s->threads + 1, sizeof *s->thread))
        return false;
    struct py_thread *t = &s->thread[s->threads++];
    *t = (struct py_thread){.state = thread, .own = own};
    if (old)
        return keep_frames(s, t, old);
    walk_frames(w, t, frame, &c);
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

/* The GIL has a pointer to the thread that holds it, or held it last. */
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
    forget(s);
    s->is_python = true;
    s->version = version;
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

const struct py_frame *stacks_innermost(const struct stacks *s, const struct py_thread *t)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (!s->frame[t->first + i].is_package)
            return &s->frame[t->first + i];
    return t && t->count ? &s->frame[t->first] : NULL;
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

static void read_by(struct stacks *s, int fd)
{
    static struct memory m;
    for (int i = 0; i < TRIES && (i == 0 || *s->why); i++) {
        uint64_t hex = 0;
        memory_begin(&m, memory_page_of_process, &fd);
        if (s->place.version && !memory_word(&m, s->place.version, 0, &hex))
            hex = 0;
        stacks_walk(s, &m, s->place.runtime, (uint32_t)hex);
    }
}

void stacks_read(struct stacks *s, pid_t pid)
{
    bool is_found = s->pid == pid && s->place.runtime && !*s->why;
    stacks_renew(s);
    if (!is_found)
        forget_before(s);
    if (!is_found && !find_runtime(&s->place, pid))
        return;
    s->pid = pid;
    s->is_python = true;
    int fd = memory_open(pid);
    if (fd < 0) {
        explain(s, pid, errno);
        return;
    }
    read_by(s, fd);
    close(fd);
}
