/* SPDX-License-Identifier: MIT */
#include "layout.h"
#include <string.h>
#include "described.h"

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
    .cframe_previous = 16,
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

enum { LARGEST = 1 << 24, LEAST_LEVEL = 0xc0 }; /* of an offset; of a release, so that earlier ones are none */

/* All words after the version are offsets or sizes. A damaged word is not dangerous, but is recognised here. */
static bool is_sound(const void *description, size_t size, size_t gil_enabled)
{
    const unsigned char *words = description;
    for (size_t at = offsetof(struct described_3_13, runtime_size); at < size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, words + at, sizeof word);
        if (word > LARGEST && at != gil_enabled)
            return false;
    }
    return true;
}

/* The fields have the same names in each version's description. */
#define TAKE(l, d, minor, is_known)                                                                  \
    do {                                                                                             \
        (is_known) = is_sound(&(d), sizeof(d), offsetof(struct described_3_##minor, gil_enabled)) && \
                     (d).gil_locked >= (d).own_gil && (d).gil_holder >= (d).own_gil;                 \
        *(l) = (struct layout){                                                                      \
            .runtime_interpreters = (d).interpreters,                                                \
            .interpreter_next = (d).interpreter_next,                                                \
            .interpreter_threads = (d).threads,                                                      \
            .interpreter_gil = (d).gil,                                                              \
            .gil_holder = (d).gil_holder - (d).own_gil,                                              \
            .gil_locked = (d).gil_locked - (d).own_gil,                                              \
            .thread_previous = (d).thread_previous,                                                  \
            .thread_next = (d).thread_next,                                                          \
            .thread_native_id = (d).native_id,                                                       \
            .thread_frame = (d).frame,                                                               \
            .frame_caller = (d).frame_caller,                                                        \
            .frame_code = (d).frame_code,                                                            \
            .frame_instruction = (d).frame_instruction,                                              \
            .frame_owner = (d).frame_owner,                                                          \
            .code_file = (d).code_file,                                                              \
            .code_function = (d).code_function,                                                      \
            .code_lines = (d).code_lines,                                                            \
            .code_first_line = (d).code_first_line,                                                  \
            .code_bytes = (d).code_bytes,                                                            \
            .object_type = (d).object_type,                                                          \
            .type_name = (d).type_name,                                                              \
            .bytes_size = (d).bytes_size,                                                            \
            .bytes_data = (d).bytes_data,                                                            \
            .text_length = (d).text_length,                                                          \
            .text_state = (d).text_state,                                                            \
            .text_ascii = (d).text_ascii,                                                            \
            .text_compact = (d).text_ascii + 16,                                                     \
        };                                                                                           \
    } while (0)

static bool take_layout(struct layout *l, const union described *d, unsigned minor)
{
    bool is_known = false;
    if (minor == 13)
        TAKE(l, d->in_3_13, 13, is_known);
    else if (minor == 14)
        TAKE(l, d->in_3_14, 14, is_known);
    else if (minor == 15)
        TAKE(l, d->in_3_15, 15, is_known);
    return is_known;
}

static const char unknown_version[] = "this command knows the releases of Python 3.11 to 3.15";

static const char *layout_described(struct layout *l, const union described *d, uint32_t version)
{
    unsigned minor = version >> 16 & 255;
    if (version >> 24 != 3 || minor < 13 || minor > 15 || (version & 0xf0) < LEAST_LEVEL)
        return unknown_version;
    if (d->in_3_13.free_threaded)
        return "this command does not know the free-threaded build";
    return take_layout(l, d, minor) ? NULL : "its description of itself is damaged";
}

const char *layout_of(struct layout *l, struct memory *m, uint64_t runtime, uint32_t *version)
{
    static union described d;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return "this command knows how it keeps strings on little-endian machines only";
    if (!memory_get(m, runtime, &d, sizeof d))
        return "its state can't be read";
    if (memcmp(d.in_3_13.cookie, "xdebugpy", sizeof d.in_3_13.cookie) == 0) {
        *version = (uint32_t)d.in_3_13.version;
        return layout_described(l, &d, *version);
    }
    if (*version >> 16 == 0x030d)
        return "its description of itself is damaged";
    if (*version >> 16 != 0x030b && *version >> 16 != 0x030c)
        return unknown_version;
    *l = *version >> 16 == 0x030b ? python_3_11 : python_3_12;
    return NULL;
}
