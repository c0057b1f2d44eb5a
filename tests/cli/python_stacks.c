/* SPDX-License-Identifier: MIT */
/* Damaged or hostile memory makes the reader of Python stacks neither crash nor hang. With the layout of 3.11, and
 * those that 3.13 to 3.15 describe. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "harness.h"
#include "python/find.h"
#include "python/stacks.h"

/* An image of a process's memory, at an address. */
enum { PAGES = 8, SIZE = PAGES * MEMORY_PAGE, DAMAGES = 50000 };
static const uint64_t BASE = 0x10000;

static unsigned char whole[SIZE], image[SIZE];
static unsigned version_of_image; /* 11: Python 3.11 */
static struct memory memory;

static bool read_page(void *source, uint64_t address, void *to)
{
    if (address < BASE || address >= BASE + SIZE)
        return false;
    memcpy(to, (unsigned char *)source + (address - BASE), MEMORY_PAGE);
    return true;
}

static void put_word(uint64_t at, uint64_t word)
{
    memcpy(whole + (at - BASE), &word, sizeof word);
}

static void put_int(uint64_t at, uint32_t number)
{
    memcpy(whole + (at - BASE), &number, sizeof number);
}

/* ---- an interpreter ---------------------------------------------------------------------------------------------- */

/* The addresses of the image's parts. */
enum {
    RUNTIME = 0x10000,
    THREADS = 0x11000, /* 0x200 each */
    CFRAMES = 0x11800, /* 0x40 */
    OUTER = 0x11a00,   /* 0x40: the structures of the calls around */
    FRAMES = 0x12000,  /* 0x80 */
    ENTRIES = 0x12800, /* 0x80, two for each thread */
    CODE = 0x13000,
    TYPE = 0x13200,
    TYPE_NAME = 0x13300,
    FUNCTION = 0x13400,
    FILE_NAME = 0x13500,
    LINES = 0x13600,
    INTERPRETER = 0x16000 /* large */
};

static void put_string(uint64_t at, const char *text, uint64_t data)
{
    put_word(at + 16, strlen(text));
    put_int(at + 32, 1 << 2 | 1 << 5 | 1 << 6);
    strcpy((char *)whole + (at + data - BASE), text);
}

static void put_code(const struct layout *l)
{
    put_word(CODE + l->object_type, TYPE);
    put_word(TYPE + l->type_name, TYPE_NAME);
    strcpy((char *)whole + (TYPE_NAME - BASE), "code");
    put_word(CODE + l->code_function, FUNCTION);
    put_word(CODE + l->code_file, FILE_NAME);
    put_word(CODE + l->code_lines, LINES);
    put_int(CODE + l->code_first_line, 40);
    put_string(FUNCTION, "work", l->text_ascii);
    put_string(FILE_NAME, "file.py", l->text_ascii);
    /* Two instructions of line 41, two without a line, then line 241. */
    static const unsigned char table[] = {0x80 | 11 << 3 | 1, 0,         0, 0x80 | 15 << 3 | 1,
                                          0x80 | 13 << 3 | 7, 0x40 | 16, 6};
    put_word(LINES + l->bytes_size, sizeof table);
    memcpy(whole + (LINES + l->bytes_data - BASE), table, sizeof table);
}

/* Two frames that one call of the interpreter's loop executes, and three that the call around it executes. */
static uint64_t put_frames(const struct layout *l, unsigned thread)
{
    uint64_t first = FRAMES + thread * 5 * 0x80, tag = version_of_image >= 14;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t at = first + i * 0x80;
        put_word(at + l->frame_code, CODE | tag);
        put_word(at + l->frame_instruction, CODE + l->code_bytes + (i == 0 ? 2 : 8));
        put_word(at + l->frame_caller, i < 4 ? at + 0x80 : 0);
    }
    for (unsigned i = 0; i < 2 && !l->by_cframe; i++) {
        uint64_t last = first + (i ? 4 : 1) * 0x80, entry = ENTRIES + (2 * thread + i) * 0x80;
        put_word(last + l->frame_caller, entry);
        put_word(entry + l->frame_caller, i ? 0 : last + 0x80);
        whole[entry + l->frame_owner - BASE] = 3;
    }
    return first;
}

static void put_cframes(const struct layout *l, unsigned thread, uint64_t frame)
{
    uint64_t inner = CFRAMES + thread * 0x40, outer = OUTER + thread * 0x40;
    put_word(inner + l->cframe_frame, frame);
    put_word(inner + l->cframe_previous, outer);
    put_word(outer + l->cframe_frame, frame + 2 * 0x80);
}

static void put_interpreter(const struct layout *l)
{
    put_word(RUNTIME + l->runtime_interpreters, INTERPRETER);
    put_word(INTERPRETER + l->interpreter_threads, THREADS);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = THREADS + i * 0x200, frame = put_frames(l, i);
        put_word(at + l->thread_previous, i ? at - 0x200 : 0);
        put_word(at + l->thread_next, i < 2 ? at + 0x200 : 0);
        put_word(at + l->thread_native_id, 300 - i);
        put_word(at + l->thread_frame, l->by_cframe ? CFRAMES + i * 0x40 : frame);
        if (l->by_cframe)
            put_cframes(l, i, frame);
    }
    put_code(l);
}

/* ---- 3.11, and those from 3.13 on -------------------------------------------------------------------------------- */

static const uint32_t PYTHON_3_11 = 0x030b02f0;
/* The words after the cookie at the start of _PyRuntime in 3.13.0, 3.14.8 and 3.15.0. */
static const uint64_t description_3_13[] = {
    0x30d00f0, 0,   283320, 608, 632, 194968, 7272, 7264, 7344, 7400, 7656, 7640, 7648, 16, 7752, 0,   7768, 7760,
    304,       0,   8,      16,  72,  152,    160,  232,  32,   80,   8,    0,    56,   72, 70,   208, 112,  120,
    128,       136, 68,     52,  96,  104,    200,  16,   8,    416,  24,   88,   168,  32, 24,   16,  40,   24,
    16,        48,  32,     40,  24,  16,     32,   16,   24,   40,   16,   32,   64,   32, 16,   40};
static const uint64_t description_3_14[] = {
    0x30e08f0, 0,    316616, 784,  808, 225864, 7280, 7272, 7344, 7360, 7408, 7688, 7672, 7680, 16,  7784,
    0,         7800, 7792,   7992, 0,   832,    0,    8,    16,   72,   152,  160,  232,  32,   88,  8,
    0,         56,   80,     74,   64,  0,      216,  112,  120,  128,  136,  68,   52,   96,   104, 208,
    0,         16,   8,      416,  24,  88,     168,  40,   32,   16,   40,   24,   16,   200,  24,  40,
    32,        48,   32,     40,   24,  16,     32,   16,   24,   40,   16,   32,   64,   32,   16,  40};
static const uint64_t description_3_15[] = {
    0x30f00f0, 0,  346568, 912, 936, 226240, 7272, 7264, 7336, 7352, 7400, 7592, 7576, 7584, 16, 7736, 0,   7752, 7744,
    7944,      0,  888,    0,   8,   16,     72,   80,   88,   96,   176,  184,  256,  32,   36, 40,   136, 288,  0,
    88,        8,  0,      56,  80,  74,     64,   0,    216,  112,  120,  128,  136,  68,   52, 96,   104, 208,  0,
    16,        8,  424,    24,  88,  168,    32,   288,  944,  888,  40,   32,   16,   40,   24, 16,   200, 24,   40,
    32,        48, 32,     40,  24,  16,     32,   16,   24,   40,   16,   32,   64,   32,   16, 40};
static uint32_t version; /* of the image */

static void describe(const uint64_t *words, size_t size)
{
    memcpy(whole, "xdebugpy", 8);
    memcpy(whole + 8, words, size);
}

static void make_image(unsigned minor)
{
    struct layout l;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        SKIP("the command knows little-endian machines only");
    version_of_image = minor;
    version = minor == 11 ? PYTHON_3_11 : 0;
    memset(whole, 0, sizeof whole);
    if (minor == 13)
        describe(description_3_13, sizeof description_3_13);
    else if (minor == 14)
        describe(description_3_14, sizeof description_3_14);
    else if (minor == 15)
        describe(description_3_15, sizeof description_3_15);
    memory_begin(&memory, read_page, whole);
    CHECK(layout_of(&l, &memory, RUNTIME, &version) == NULL);
    put_interpreter(&l);
    uint64_t gil = minor == 11 ? RUNTIME + l.runtime_gil : THREADS + 0x700;
    if (minor != 11)
        put_word(INTERPRETER + l.interpreter_gil, gil);
    put_word(gil + l.gil_holder, THREADS + 0x200);
    put_int(gil + l.gil_locked, 1);
    memcpy(image, whole, sizeof image);
}

static void walk(struct stacks *s, uint32_t number)
{
    memory_begin(&memory, read_page, image);
    s->why[0] = '\0';
    stacks_walk(s, &memory, RUNTIME, number);
}

static void check_all(void)
{
    struct stacks s = {0};
    walk(&s, version);
    CHECK_EQ(s.why[0], '\0');
    CHECK_EQ(s.threads, 3);
    for (pid_t id = 298; id <= 300; id++) {
        const struct py_thread *t = stacks_thread(&s, id);
        CHECK(t && t->count == 5 && !t->is_cut && t->has_gil == (id == 299));
        CHECK_EQ(s.frame[t->first].line, 41);
        CHECK_EQ(s.frame[t->first + 1].line, 241);
        CHECK(strcmp(s.text + s.frame[t->first].function, "work") == 0);
        CHECK(strcmp(s.text + s.frame[t->first].file, "file.py") == 0);
    }
    for (size_t i = 0; i < s.frames; i += 5) {
        const struct py_frame *f = s.frame + i;
        CHECK(f[0].loop && f[1].loop == f[0].loop && f[2].loop && f[2].loop != f[0].loop);
        CHECK(f[3].loop == f[2].loop && f[4].loop == f[2].loop);
    }
    CHECK(!stacks_thread(&s, 1) && !stacks_thread(&s, 0));
    stacks_free(&s);
}

TEST(frames_lines_and_the_holder)
{
    for (unsigned minor = 11; minor <= 15; minor += minor == 11 ? 2 : 1) {
        make_image(minor);
        check_all();
    }
}

TEST(lines_only)
{
    struct stacks s = {.is_lines = true};
    make_image(13);
    walk(&s, version);
    CHECK_EQ(s.frames, 3);
    const struct py_thread *t = stacks_thread(&s, 299);
    CHECK(t && t->count == 1 && !stacks_innermost(&s, t)->is_package);
    strcpy(s.place.package, "file");
    walk(&s, version);
    CHECK_EQ(s.frames, 15);
    t = stacks_thread(&s, 299);
    CHECK(t && stacks_innermost(&s, t) == &s.frame[t->first] && s.frame[t->first].is_package);
    stacks_free(&s);
}

static const char *function_of(const struct stacks *s, pid_t own)
{
    const struct py_thread *t = stacks_thread(s, own);
    return t && t->count ? s->text + s->frame[t->first].function : "";
}

/* The function gets another name before each reading, so that a thread that is not read keeps the older name. */
static void read_again(struct stacks *s, const char *name)
{
    const unsigned char *at = memmem(whole + (FUNCTION - BASE), 0x100, "work", 4);
    CHECK(at);
    memcpy(image + (at - whole), name, 4);
    stacks_renew(s);
    walk(s, version);
    CHECK_EQ(s->threads, 3);
}

TEST(of_many_threads_some_are_read_at_once)
{
    struct stacks s = {.is_lines = true, .at_once = 1};
    make_image(13);
    read_again(&s, "aaaa");
    CHECK(strcmp(function_of(&s, 300), "aaaa") == 0 && strcmp(function_of(&s, 298), "aaaa") == 0);
    read_again(&s, "bbbb"); /* the second thread's turn */
    CHECK(strcmp(function_of(&s, 300), "aaaa") == 0 && strcmp(function_of(&s, 299), "bbbb") == 0);
    CHECK(strcmp(function_of(&s, 298), "aaaa") == 0);
    s.wanted[0] = 300;
    s.wanteds = 1;
    read_again(&s, "cccc"); /* the third thread's turn */
    CHECK(strcmp(function_of(&s, 300), "cccc") == 0 && strcmp(function_of(&s, 299), "bbbb") == 0);
    CHECK(strcmp(function_of(&s, 298), "cccc") == 0);
    s.wanteds = 0;
    read_again(&s, "dddd");
    CHECK(strcmp(function_of(&s, 300), "dddd") == 0 && strcmp(function_of(&s, 299), "bbbb") == 0);
    CHECK(strcmp(function_of(&s, 298), "cccc") == 0);
    stacks_free(&s);
}

TEST(an_unknown_version_is_named)
{
    struct stacks s = {0};
    make_image(11);
    walk(&s, 0x031000f0);
    CHECK(s.is_python && s.threads == 0 && strstr(s.why, "3.16"));
    walk(&s, 0);
    CHECK(s.threads == 0 && strstr(s.why, "unknown version"));
    make_image(15);
    put_word(RUNTIME + 8, 0x030f00a1); /* an alpha */
    memcpy(image, whole, sizeof image);
    walk(&s, 0);
    CHECK(s.threads == 0 && strstr(s.why, "3.15: this command knows the releases"));
    make_image(13);
    put_word(RUNTIME + 16, 1);
    memcpy(image, whole, sizeof image);
    walk(&s, 0);
    CHECK(s.threads == 0 && strstr(s.why, "free-threaded"));
    put_word(RUNTIME + 16, 0), put_word(RUNTIME + 24, UINT64_MAX);
    memcpy(image, whole, sizeof image);
    walk(&s, 0);
    CHECK(s.threads == 0 && strstr(s.why, "damaged"));
    stacks_free(&s);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static uint64_t state = 88172645463325252u;

static uint64_t dice(uint64_t sides)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % sides;
}

/* A byte, a word that leads to somewhere else, or one with an extreme value. */
static void damage(void)
{
    static const uint64_t extreme[] = {0, 1, INT64_MAX, UINT64_MAX, 0x7fffffff, 0xffffffff, BASE, BASE + SIZE - 1};
    uint64_t at = dice(SIZE / 8) * 8, word = dice(3) ? BASE + dice(SIZE / 8) * 8 : extreme[dice(8)];
    if (dice(4))
        at = (uint64_t[]){RUNTIME, INTERPRETER, THREADS, CFRAMES, FRAMES, CODE, ENTRIES, LINES}[dice(8)] - BASE +
             dice(64) * 8;
    if (dice(2))
        memcpy(image + at, &word, sizeof word);
    else
        image[at + dice(8)] = (unsigned char)dice(256);
}

TEST_LIMIT(whatever_is_damaged_the_walk_ends, 60)
{
    struct stacks s = {0};
    for (int i = 0; i < DAMAGES; i++) {
        if (i % (DAMAGES / 4) == 0)
            make_image((unsigned[]){11, 13, 14, 15}[i / (DAMAGES / 4)]);
        memcpy(image, whole, sizeof image);
        for (uint64_t n = 1 + dice(8); n; n--)
            damage();
        walk(&s, version);
        CHECK(s.threads <= 100000);
        for (size_t k = 0; k < s.frames; k++)
            CHECK(s.frame[k].line >= 0 && s.frame[k].function < s.text_size && s.frame[k].file < s.text_size &&
                  strlen(s.text + s.frame[k].function) < STACK_FUNCTION &&
                  strlen(s.text + s.frame[k].file) < STACK_FILE);
    }
    stacks_free(&s);
}

/* Each word of the image leads to the interpreter's parts, so that only the reader's limits end the walk. */
TEST(circles_end)
{
    struct stacks s = {0};
    struct layout l;
    make_image(11);
    memory_begin(&memory, read_page, whole);
    CHECK(layout_of(&l, &memory, RUNTIME, &version) == NULL);
    put_word(FRAMES + l.frame_caller, FRAMES);
    put_word(INTERPRETER + l.interpreter_next, INTERPRETER);
    memcpy(image, whole, sizeof image);
    walk(&s, version);
    CHECK(s.why[0] != '\0');
    CHECK_EQ(s.thread[s.threads - 1].count, STACK_FRAMES);
    CHECK(s.thread[s.threads - 1].is_cut);
    put_word(THREADS + 0x200 + l.thread_next, THREADS);
    memcpy(image, whole, sizeof image);
    walk(&s, version);
    CHECK(s.why[0] != '\0' && s.threads == 2);
    stacks_free(&s);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

extern char __executable_start[];
__attribute__((section(".PyRuntime"), used)) static char runtime_here[64] = "as an interpreter has it";

static int copy_of_this_program(size_t *size)
{
    char bytes[MEMORY_PAGE];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = memfd_create("copy", MFD_CLOEXEC);
    *size = 0;
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0; *size += (size_t)n)
        CHECK_EQ(write(to, bytes, (size_t)n), n);
    close(from);
    return to;
}

/* The first kilobyte has the program's headers; the section headers are at the end. */
TEST_LIMIT(a_damaged_file_is_read_without_harm, 60)
{
    struct runtime_place place;
    uint64_t base = (uint64_t)(uintptr_t)__executable_start;
    size_t size, found = 0;
    int fd = copy_of_this_program(&size);
    CHECK(find_runtime_in(&place, fd, base) && place.runtime == (uint64_t)(uintptr_t)runtime_here);
    for (int i = 0; i < 2000; i++) {
        size_t at = dice(2) ? dice(1024) : size - 1 - dice(4096);
        unsigned char before, byte = (unsigned char)dice(256);
        CHECK_EQ(pread(fd, &before, 1, (off_t)at), 1);
        CHECK_EQ(pwrite(fd, &byte, 1, (off_t)at), 1);
        found += find_runtime_in(&place, fd, base);
        CHECK_EQ(pwrite(fd, &before, 1, (off_t)at), 1);
    }
    t_note("found in %zu of 2000 damaged files", found);
    CHECK_EQ(ftruncate(fd, 100), 0);
    CHECK(!find_runtime_in(&place, fd, base));
    close(fd);
}
