/* SPDX-License-Identifier: MIT */
/* Writes JSON sequentially, with commas and quotes. `key` is NULL in an array and at the top. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 1024 };

struct json {
    FILE *out;
    int depth;
    bool filled[JSON_DEPTH]; /* the object or array is not empty: a comma comes before its next value */
};

void json_begin(struct json *j, const char *key, char open); /* '{' or '[' */
void json_end(struct json *j, char close);
/* NULL becomes null. Invalid UTF-8 becomes U+FFFD. */
void json_string(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, int64_t number);
/* Writes nanoseconds as seconds; a negative time as null. */
void json_seconds(struct json *j, const char *key, int64_t ns);
/* Writes nanoseconds as microseconds; a negative time as 0. */
void json_micros(struct json *j, const char *key, int64_t ns);
void json_bool(struct json *j, const char *key, bool value);

#endif
