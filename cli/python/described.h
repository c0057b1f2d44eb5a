/* SPDX-License-Identifier: MIT */
/* From 3.13 on, _PyRuntime begins with a description of the interpreter's structures. These are the fields of that
 * description in each version, in their order. */
#ifndef CLI_PYTHON_DESCRIBED_H
#define CLI_PYTHON_DESCRIBED_H

#include <stdint.h>

/* The beginning is the same in each version. */
struct described_3_13 {
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

struct described_3_14 {
    char cookie[8];
    uint64_t version, free_threaded;
    uint64_t runtime_size, finalizing, interpreters;
    uint64_t interpreter_size, id, interpreter_next, threads, main_thread, collector, modules, sysdict, builtins, gil,
        own_gil, gil_enabled, gil_locked, gil_holder, code_generation, bytecode_generation;
    uint64_t thread_size, thread_previous, thread_next, interpreter, frame, thread_id, native_id, chunk, status;
    uint64_t frame_size, frame_caller, frame_code, frame_instruction, frame_locals, frame_owner, stack_pointer,
        bytecode_index;
    uint64_t code_size, code_file, code_name, code_function, code_lines, code_first_line, arguments, names, kinds,
        code_bytes, code_copies;
    uint64_t object_size, object_type;
    uint64_t type_size, type_name, type_repr, type_flags;
    uint64_t tuple[3], list[3], set[4], dict[3], number[2], integer[3];
    uint64_t bytes_object, bytes_size, bytes_data;
    uint64_t text_size, text_state, text_length, text_ascii;
};

struct described_3_15 {
    char cookie[8];
    uint64_t version, free_threaded;
    uint64_t runtime_size, finalizing, interpreters;
    uint64_t interpreter_size, id, interpreter_next, threads, main_thread, collector, modules, sysdict, builtins, gil,
        own_gil, gil_enabled, gil_locked, gil_holder, code_generation, bytecode_generation;
    uint64_t thread_size, thread_previous, thread_next, interpreter, frame, base_frame, profiled_frame, profiled_number,
        thread_id, native_id, chunk, status, holds_gil, gil_requested, exception, exceptions;
    uint64_t exception_value;
    uint64_t frame_size, frame_caller, frame_code, frame_instruction, frame_locals, frame_owner, stack_pointer,
        bytecode_index;
    uint64_t code_size, code_file, code_name, code_function, code_lines, code_first_line, arguments, names, kinds,
        code_bytes, code_copies;
    uint64_t object_size, object_type;
    uint64_t type_size, type_name, type_repr, type_flags, type_basic_size, type_dict;
    uint64_t heap_type[2], tuple[3], list[3], set[4], dict[3], number[2], integer[3];
    uint64_t bytes_object, bytes_size, bytes_data;
    uint64_t text_size, text_state, text_length, text_ascii;
};

union described {
    struct described_3_13 in_3_13;
    struct described_3_14 in_3_14;
    struct described_3_15 in_3_15;
};

#endif
