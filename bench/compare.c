/* SPDX-License-Identifier: MIT */
/* Computes ratios from the measurements. */
#include "frame.h"

#include <math.h>

/* A separate p99 for each tenth of the run, so that their ratios have quartiles. */
#define P99_BLOCKS 10

struct result results[MOST_RESULTS];
size_t result_count;

static struct result *result_new(const struct line *line)
{
    if (result_count == MOST_RESULTS)
        bench_die("more results than MOST_RESULTS");
    struct result *result = &results[result_count++];
    result->line = line;
    return result;
}

static void compare(struct result *result, const struct series *a, const struct series *b)
{
    struct series ratios = {0};
    size_t pairs = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < pairs; i++)
        series_add(&ratios, result->line->measure == ADDED ? a->at[i] - b->at[i] : a->at[i] / b->at[i]);
    if (pairs == 0)
        result->absent = "nothing measured";
    result->pairs = pairs;
    result->ratio = series_quantile(&ratios, 0.5);
    result->low = series_quantile(&ratios, 0.25);
    result->high = series_quantile(&ratios, 0.75);
    result->subject = series_quantile(a, 0.5);
    result->against = series_quantile(b, 0.5);
    result->subject_low = series_quantile(a, 0.25);
    result->subject_high = series_quantile(a, 0.75);
    result->against_low = series_quantile(b, 0.25);
    result->against_high = series_quantile(b, 0.75);
    series_free(&ratios);
}

static struct series p99_by_block(const struct series *all)
{
    struct series p99 = {0};
    size_t size = all->count / P99_BLOCKS;
    for (size_t k = 0; size && k < P99_BLOCKS; k++)
        series_add(&p99, quantile(all->at + k * size, size, 0.99));
    return p99;
}

/* For each round, the power of the number of threads by which the time grows between the smallest and the largest
 * crowd: 1 is linear. */
static struct series growth(const struct entry *entry)
{
    struct series powers = {0};
    size_t last = 0;
    for (size_t s = 1; crowd_sizes[s]; s++)
        if (!entry->crowd[s].absent && entry->crowd[s].time.count)
            last = s;
    const struct series *small = &entry->crowd[0].time, *large = &entry->crowd[last].time;
    for (size_t i = 0; last && i < small->count && i < large->count; i++)
        series_add(&powers,
                   1 + log(large->at[i] / small->at[i]) / log((double)crowd_sizes[last] / (double)crowd_sizes[0]));
    return powers;
}

static void compare_growth(struct result *result, const struct entry *a, const struct entry *b)
{
    struct series x = growth(a), y = growth(b);
    compare(result, &x, &y);
    result->ratio = result->subject; /* the target is for the power itself, not for a ratio */
    result->low = series_quantile(&x, 0.25);
    result->high = series_quantile(&x, 0.75);
    series_free(&x);
    series_free(&y);
}

static void resolve_crowd(const struct line *line, const struct entry *a, const struct entry *b)
{
    for (size_t s = 0; crowd_sizes[s]; s++) {
        struct result *result = result_new(line);
        result->threads = crowd_sizes[s];
        result->absent = a->crowd[s].absent ? a->crowd[s].absent : b->crowd[s].absent;
        if (result->absent)
            continue;
        if (line->measure == TIME)
            compare(result, &a->crowd[s].time, &b->crowd[s].time);
        else
            compare(result, &a->crowd[s].memory, &b->crowd[s].memory);
    }
}

void compare_line(const struct line *line)
{
    const struct entry *a = find_entry(line->group, line->subject), *b = find_entry(line->group, line->against);
    if (a && b && (line->measure == TIME || line->measure == MEMORY)) {
        resolve_crowd(line, a, b);
        return;
    }
    struct result *result = result_new(line);
    if (!a || !b) {
        result->absent = a ? "its library was not found when the bench was built" : "bough is not in this build";
        return;
    }
    result->absent = a->absent ? a->absent : b->absent;
    if (result->absent)
        return;
    if (line->measure == LINEAR) {
        compare_growth(result, a, b);
    } else if (line->measure == P99) {
        struct series x = p99_by_block(&a->all), y = p99_by_block(&b->all);
        compare(result, &x, &y);
        series_free(&x);
        series_free(&y);
    } else {
        compare(result, &a->median, &b->median);
    }
}

int is_met(const struct result *result)
{
    return result->absent || result->line->at_most == 0 || result->ratio <= result->line->at_most;
}
