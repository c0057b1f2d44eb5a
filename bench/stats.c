/* SPDX-License-Identifier: MIT */
/* Medians and other quantiles. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void series_add(struct series *series, double value)
{
    if (series->count == series->room) {
        series->room = series->room ? 2 * series->room : 64;
        series->at = realloc(series->at, series->room * sizeof *series->at);
        if (!series->at)
            bench_die("out of memory");
    }
    series->at[series->count++] = value;
}

void series_free(struct series *series)
{
    free(series->at);
    memset(series, 0, sizeof *series);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(const double *values, size_t n, double q)
{
    if (n == 0)
        return NAN;
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        bench_die("out of memory");
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);

    double place = q * (double)(n - 1);
    size_t low = (size_t)place, high = low + 1 < n ? low + 1 : low;
    double value = sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
    free(sorted);
    return value;
}

double series_quantile(const struct series *series, double q)
{
    return quantile(series->at, series->count, q);
}
