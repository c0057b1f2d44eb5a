/* SPDX-License-Identifier: MIT */
#include "layout.h"
#include <string.h>

/* Measured with offsetof() and each version's headers, on machines with 64 bits. */
static const struct layout python_3_11 = {
    .runtime_interpreters = 40,
    .interpreter_next = 0,
    .interpreter_threads = 16,
    .runtime_gil = 360,
    .gil_holder = 8,
    .gil_locked = 16,
    .thread_previous = 0,
    .thread_next = 8,
    .thread_native_id = 160,
    .thread_frame = 56,
    .by_cframe = true,
    .cframe_frame = 8,
    .frame_caller = 48,
    .frame_code = 32,
    .frame_instruction = 56,
    .frame_owner = 69,
    .code_file = 112,
    .code_function = 128,
    .code_lines = 136,
    .code_first_line = 72,
    .code_bytes = 184,
    .object_type = 8,
    .type_name = 24,
    .bytes_size = 16,
    .bytes_data = 32,
    .text_length = 16,
    .text_state = 32,
    .text_ascii = 48,
    .text_compact = 72,
};

static const struct layout python_3_12 = {
    .runtime_interpreters = 40,
    .interpreter_next = 0,
    .interpreter_threads = 72,
    .interpreter_gil = 384,
    .gil_holder = 8,
    .gil_locked = 16,
    .thread_previous = 0,
    .thread_next = 8,
    .thread_native_id = 144,
    .thread_frame = 56,
    .by_cframe = true,
    .cframe_frame = 0,
    .frame_caller = 8,
    .frame_code = 0,
    .frame_instruction = 56,
    .frame_owner = 70,
    .code_file = 112,
    .code_function = 128,
    .code_lines = 136,
    .code_first_line = 68,
    .code_bytes = 192,
    .object_type = 8,
    .type_name = 24,
    .bytes_size = 16,
    .bytes_data = 32,
    .text_length = 16,
    .text_state = 32,
    .text_ascii = 40,
    .text_compact = 56,
};

/* The description in 3.13: its words in their order. */
struct described {
    char cookie[8];
    uint64_t version, free_threaded;
    uint64_t runtime_size, finalizing, interpreters;
    uint64_t interpreter_size, id, interpreter_next, threads, collector, modules, sysdict, builtins, gil, own_gil,
        gil_enabled, gil_locked, gil_holder;
    uint64_t thread_size, thread_previous, thread_next, interpreter, frame, thread_id, native_id, chunk, status;
    uint64_t frame_size, frame_caller, frame_code, frame_instruction, frame_locals, frame_owner;
    uint64_t code_size, code_file, code_name, code_function, code_lines, code_first_line, arguments, names, kinds,
        code_bytes;
    uint64_t object_size, object_type;
    uint64_t type_size, type_name, type_repr, type_flags;
    uint64_t tuple[3], list[3], dict[3], number[2], integer[3];
    uint64_t bytes_object, bytes_size, bytes_data;
    uint64_t text_size, text_state, text_length, text_ascii;
};

enum { LARGEST = 1 << 24 }; /* of an offset */

/* All words behind the version are offsets or sizes; a damaged one would not be dangerous, but is recognised here. */
static bool is_sound(const struct described *d)
{
    const unsigned char *words = (const unsigned char *)d;
    for (size_t at = offsetof(struct described, runtime_size); at < sizeof *d; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, words + at, sizeof word);
        if (word > LARGEST && at != offsetof(struct described, gil_enabled))
            return false;
    }
    return d->gil_locked >= d->own_gil && d->gil_holder >= d->own_gil;
}

static void take(struct layout *l, const struct described *d)
{
    *l = (struct layout){
        .runtime_interpreters = d->interpreters,
        .interpreter_next = d->interpreter_next,
        .interpreter_threads = d->threads,
        .interpreter_gil = d->gil,
        .gil_holder = d->gil_holder - d->own_gil,
        .gil_locked = d->gil_locked - d->own_gil,
        .thread_previous = d->thread_previous,
        .thread_next = d->thread_next,
        .thread_native_id = d->native_id,
        .thread_frame = d->frame,
        .frame_caller = d->frame_caller,
        .frame_code = d->frame_code,
        .frame_instruction = d->frame_instruction,
        .frame_owner = d->frame_owner,
        .code_file = d->code_file,
        .code_function = d->code_function,
        .code_lines = d->code_lines,
        .code_first_line = d->code_first_line,
        .code_bytes = d->code_bytes,
        .object_type = d->object_type,
        .type_name = d->type_name,
        .bytes_size = d->bytes_size,
        .bytes_data = d->bytes_data,
        .text_length = d->text_length,
        .text_state = d->text_state,
        .text_ascii = d->text_ascii,
        .text_compact = d->text_ascii + 16,
    };
}

const char *layout_of(struct layout *l, struct memory *m, uint64_t runtime, uint32_t *version)
{
    static struct described d;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return "this command knows how it keeps strings on little-endian machines only";
    if (!memory_get(m, runtime, &d, sizeof d))
        return "its state can't be read";
    bool describes = memcmp(d.cookie, "xdebugpy", sizeof d.cookie) == 0;
    if (describes)
        *version = (uint32_t)d.version;
    unsigned minor = *version >> 16;
    if (minor == 0x030d && describes && d.free_threaded)
        return "this command does not know the free-threaded build";
    if (minor == 0x030d && describes && is_sound(&d)) {
        take(l, &d);
        return NULL;
    }
    if ((minor == 0x030b || minor == 0x030c) && !describes) {
        *l = minor == 0x030b ? python_3_11 : python_3_12;
        return NULL;
    }
    return minor == 0x030d ? "its description of itself is damaged" : "this command knows Python 3.11, 3.12 and 3.13";
}
