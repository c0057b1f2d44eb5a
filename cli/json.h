/* SPDX-License-Identifier: MIT */
/* Writing JSON, as it comes: commas and quotes are put where they belong. `key` is NULL in an array and at the top. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 1024 };

struct json {
    FILE *out;
    int depth;
    bool filled[JSON_DEPTH]; /* something stands in it: the next is led by a comma */
};

void json_begin(struct json *j, const char *key, char open); /* '{' or '[' */
void json_end(struct json *j, char close);
/* NULL is null. What is no UTF-8 becomes U+FFFD. */
void json_string(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, int64_t number);
/* In seconds, of nanoseconds; a negative one is null. */
void json_seconds(struct json *j, const char *key, int64_t ns);
void json_bool(struct json *j, const char *key, bool value);

#endif
