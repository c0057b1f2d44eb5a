/* SPDX-License-Identifier: MIT */
/* Writes the results: a table, and a JSON file for programs. */
#include "frame.h"

#include <math.h>

static const char *verdict(const struct result *result)
{
    const struct line *line = result->line;
    if (line->at_most == 0)
        return "";
    /* The uncertainty of the median: the notch of a box plot. */
    double notch = 1.57 * (result->high - result->low) / sqrt((double)result->pairs);
    int close = fabs(result->ratio - line->at_most) < notch;
    if (!is_met(result))
        return close ? "NO ~" : "NO";
    if (line->stretch != 0 && result->ratio <= line->stretch)
        return "yes, stretch";
    return close ? "yes ~" : "yes";
}

static const char *text_value(const struct result *result, double value)
{
    static char text[4][32];
    static unsigned next;
    if (result->line->measure == MEMORY)
        return text_bytes(value);
    if (result->line->measure != LINEAR)
        return text_ns(value);
    snprintf(text[next % 4], sizeof text[0], "n^%.2f", value);
    return text[next++ % 4];
}

static void add_row(struct table *table, const struct result *result)
{
    const struct line *line = result->line;
    if (result->threads)
        table_cell(table, "%s, %zu", line->what, result->threads);
    else
        table_cell(table, "%s", line->what);
    table_cell(table, "%s", line->subject);
    table_cell(table, "%s", line->against);
    if (result->absent) {
        for (int i = 0; i < 5; i++)
            table_cell(table, "-");
        table_cell(table, "skipped: %s", result->absent);
        return;
    }
    int digits = result->ratio < 0.1 ? 3 : 2;
    table_cell(table, "%.*f", digits, result->ratio);
    table_cell(table, "%.*f to %.*f", digits, result->low, digits, result->high);
    table_cell(table, "%s", text_value(result, result->subject));
    table_cell(table, "%s", text_value(result, result->against));
    if (line->at_most == 0)
        table_cell(table, "%s", "");
    else if (line->stretch == 0)
        table_cell(table, "%.2f", line->at_most);
    else
        table_cell(table, "%.2f (%.2f)", line->at_most, line->stretch);
    table_cell(table, "%s", verdict(result));
}

void report_table(const struct facts *facts, FILE *out)
{
    static const char *const titles[] = {"what",    "bough by", "against",  "ratio", "quartiles",
                                         "bough's", "theirs",   "to reach", "met"};
    struct table table;
    facts_print(facts, out);
    fputc('\n', out);
    table_begin(&table, titles, "<<<>>>>><");
    for (size_t i = 0; i < result_count; i++)
        add_row(&table, &results[i]);
    table_print(&table, out);
    table_free(&table);
    fprintf(
        out,
        "\nratio: bough's time over the other's (ns added: minus it), the median over all rounds of batches that ran\n"
        "side by side; and the quartiles. In brackets: the stretch. ~: too close to the target to decide. Lines\n"
        "without a target are for information. Memory is resident memory and page tables, without kernel stacks.\n"
        "Growth: the power of the number of threads by which the time grows, from the smallest to the largest.\n");
}

static void json_line(FILE *out, const struct result *r)
{
    json_field(out, "what", r->line->what);
    json_field(out, "bough", r->line->subject);
    json_field(out, "against", r->line->against);
    fprintf(out, "\"threads\": %zu, ", r->threads);
    if (r->absent) {
        json_field(out, "skipped", r->absent);
    } else {
        json_number(out, "ratio", r->ratio);
        json_number(out, "low", r->low);
        json_number(out, "high", r->high);
        json_number(out, "bough_value", r->subject);
        json_number(out, "bough_low", r->subject_low);
        json_number(out, "bough_high", r->subject_high);
        json_number(out, "against_value", r->against);
        json_number(out, "against_low", r->against_low);
        json_number(out, "against_high", r->against_high);
        fprintf(out, "\"pairs\": %zu, ", r->pairs);
    }
    json_number(out, "at_most", r->line->at_most);
    json_number(out, "stretch", r->line->stretch);
    fprintf(out, "\"met\": %s", is_met(r) ? "true" : "false");
}

void report_json(const struct facts *facts, const char *path)
{
    FILE *out = json_open(path, facts);
    fputs(",\n \"lines\": [\n", out);
    for (size_t i = 0; i < result_count; i++) {
        fputs("  {", out);
        json_line(out, &results[i]);
        fputs(i + 1 < result_count ? "},\n" : "}\n", out);
    }
    fputs(" ]", out);
    json_close(out, path);
}
