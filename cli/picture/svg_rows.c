/* SPDX-License-Identifier: MIT */
/* A row: its gutter's guides, the thread's or branch's life, its bars, and the sum of threads that are not drawn. */
#include <inttypes.h>
#include "label.h"
#include "svg.h"

/* ---- bars -------------------------------------------------------------------------------------------------------- */

static const char *const classes[] = {"call", "section", "gil", "scope", "branch"};

/* "read(5)". */
static void name_bar(const struct picture *p, const struct bar *b, char *text, size_t size)
{
    const struct trace *t = p->trace;
    char number[32];
    if (b->kind == BAR_SCOPE || b->kind == BAR_BRANCH) {
        const struct trace_branch *branch = &t->branches[b->of];
        snprintf(text, size, "%s%s%s", *branch->name ? branch->name : "branch", *branch->outcome ? ": " : "",
                 branch->outcome);
    } else if (b->count > 1)
        snprintf(text, size, "%s × %s", label_number(number, sizeof number, (uint64_t)b->count),
                 b->kind == BAR_GIL ? "GIL" : t->events[b->of].text);
    else if (b->kind == BAR_GIL)
        snprintf(text, size, "GIL");
    else if (*t->events[b->of].detail)
        snprintf(text, size, "%s(%s)", t->events[b->of].text, t->events[b->of].detail);
    else
        snprintf(text, size, "%s", t->events[b->of].text);
}

static void put_times(FILE *out, const struct picture *p, int64_t at, int64_t until, bool is_open)
{
    char length[48], from[48];
    fprintf(out, "\n%s from %s", label_time(length, sizeof length, until - at),
            label_time(from, sizeof from, at - p->trace->begun));
    if (is_open)
        fputs("\nits end was not seen", out);
}

static void put_bar_title(FILE *out, const struct picture *p, const struct bar *b, const char *name)
{
    static const char *const kinds[] = {"", "region: ", "wait for the GIL: ", "branch: ", "branch: "};
    fprintf(out, "<title>%s", b->count > 1 || b->kind == BAR_GIL ? "" : kinds[b->kind]);
    xml_put(out, name);
    put_times(out, p, b->at, b->until, b->is_open);
    if (b->count > 1)
        fputs(p->is_page ? "" : "\ntoo short to be drawn apart", out);
    fputs("</title>", out);
}

/* A bar is at least 1.5 pixels wide, but does not reach into the next one of its line. */
static double width_of(const struct picture *p, const struct row *row, int bar)
{
    const struct bar *b = &p->bars[bar];
    double x = picture_x(p, b->at), width = picture_x(p, b->until) - x, room = 1.5;
    for (int i = bar + 1; i < row->first_bar + row->n_bars; i++)
        if (p->bars[i].line == b->line) {
            double next = picture_x(p, p->bars[i].at) - x;
            room = next < room ? next : room;
            break;
        }
    width = width > room ? width : room;
    return width > 0.3 ? width : 0.3;
}

static void put_torn(FILE *out, double x, double y)
{
    fprintf(out, "<path class=\"torn\" transform=\"translate(%.2f %.1f)\" d=\"M0 0l-4 4 4 4-4 4 4 4h2v-16z\"/>", x, y);
}

static void put_bar(FILE *out, const struct picture *p, const struct row *row, int bar)
{
    const struct bar *b = &p->bars[bar];
    char name[LABEL], label[LABEL];
    int y = y_of_bars(row) + b->line * BAR_LINE;
    double x = picture_x(p, b->at), width = width_of(p, row, bar);
    name_bar(p, b, name, sizeof name);
    fprintf(out, "<g class=\"b %s%s\" data-t=\"%" PRId64 "\" data-d=\"%" PRId64 "\" data-l=\"", classes[b->kind],
            b->is_open ? " open" : "", b->at - p->trace->begun, b->until - b->at);
    xml_put(out, name);
    fputs("\">", out);
    put_bar_title(out, p, b, name);
    fprintf(out, "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"%s\"/>", x, y, width, BAR_HEIGHT,
            width > 6 ? "2" : "0");
    if (b->is_open)
        put_torn(out, x + width, y);
    label_fit_call(label, sizeof label, name, 11, width - (b->is_open ? 14 : 9));
    if (*label) {
        fprintf(out, "<text x=\"%.2f\" y=\"%d\">", x + 5, y + 12);
        xml_put(out, label);
        fputs("</text>", out);
    }
    fputs("</g>\n", out);
}

/* The time in which a thread existed, under its bars. */
static void put_life(FILE *out, const struct picture *p, const struct row *row)
{
    const struct node *n = &p->nodes[row->node];
    const struct trace *t = p->trace;
    bool is_open = row->kind == ROW_THREAD ? t->threads[row->index].ended == TRACE_OPEN
                                           : t->processes[row->index].ended == TRACE_OPEN;
    int64_t until = row->kind == ROW_THREAD ? n->until : t->processes[row->index].ended;
    int lines = row->bar_lines ? row->bar_lines : 1, y = y_of_bars(row),
        height = lines * BAR_LINE - (BAR_LINE - BAR_HEIGHT);
    if (until == TRACE_OPEN)
        until = t->ended;
    if (until < n->begun)
        until = n->begun;
    double x = picture_x(p, n->begun), width = picture_x(p, until) - x;
    fprintf(out,
            "<g class=\"b alive\" data-t=\"%" PRId64 "\" data-d=\"%" PRId64
            "\"><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"2\"/>",
            clamped(p, n->begun) - t->begun, clamped(p, until) - clamped(p, n->begun), x, y, width > 1 ? width : 1,
            height);
    if (is_open)
        put_torn(out, x + width, y);
    fputs("</g>\n", out);
}

/* ---- threads that are not drawn ---------------------------------------------------------------------------------- */

static void put_area(FILE *out, const char *class, const int32_t *columns, int most)
{
    enum { BOTTOM = 46, HIGH = 24 };
    fprintf(out, "<path class=\"%s\" d=\"M%d %d", class, PLOT_X, BOTTOM);
    for (int i = 0; i < COLUMNS - 1; i++) {
        double y = BOTTOM - (double)columns[i] * HIGH / most;
        fprintf(out, "L%.1f %.1fH%.1f", PLOT_X + (double)i * PLOT_WIDTH / (COLUMNS - 1), y,
                PLOT_X + (double)(i + 1) * PLOT_WIDTH / (COLUMNS - 1));
    }
    fprintf(out, "V%dz\"/>", BOTTOM);
}

static int largest(const int32_t *columns)
{
    int most = 1;
    for (int i = 0; i < COLUMNS; i++)
        most = columns[i] > most ? columns[i] : most;
    return most;
}

/* "4,937 more threads of branch accept: up to 812 at a time; 12 failed, 300 were interrupted". */
static void describe_more(const struct picture *p, const struct more *m, char *text, size_t size)
{
    char a[32], b[32], c[32], d[32];
    const struct node *parent = &p->nodes[m->parent];
    const struct trace *t = p->trace;
    size_t n = (size_t)snprintf(text, size, "%s more thread%s", label_number(a, sizeof a, (uint64_t)m->threads),
                                m->threads == 1 ? "" : "s");
    if (m->branches && n < size)
        n += (size_t)snprintf(text + n, size - n, " and %s branch%s", label_number(b, sizeof b, (uint64_t)m->branches),
                              m->branches == 1 ? "" : "es");
    if (m->processes && n < size)
        n += (size_t)snprintf(text + n, size - n, " in %s process%s", label_number(c, sizeof c, (uint64_t)m->processes),
                              m->processes == 1 ? "" : "es");
    if (parent->kind == ROW_BRANCH && n < size)
        n += (size_t)snprintf(text + n, size - n, " of branch %.60s", t->branches[parent->index].name);
    else if (parent->kind == ROW_THREAD && n < size)
        n += (size_t)snprintf(text + n, size - n, " under thread %.60s", t->threads[parent->index].name);
    if (n < size)
        n += (size_t)snprintf(text + n, size - n, ": up to %s at a time",
                              label_number(d, sizeof d, (uint64_t)largest(m->alive)));
    if (m->failures && n < size)
        n += (size_t)snprintf(text + n, size - n, "; %s failed", label_number(a, sizeof a, (uint64_t)m->failures));
    if (m->interrupted && n < size)
        snprintf(text + n, size - n, "; %s interrupted", label_number(a, sizeof a, (uint64_t)m->interrupted));
}

static void put_more(FILE *out, const struct picture *p, const struct row *row)
{
    char whole[LABEL], text[LABEL];
    int most = largest(row->more->alive);
    describe_more(p, row->more, whole, sizeof whole);
    fputs("<g class=\"more\"><title>", out);
    xml_put(out, whole);
    fputs("\nlight: threads that exist; dark: those in a blocking call</title><g class=\"areas\">", out);
    put_area(out, "area alive", row->more->alive, most);
    put_area(out, "area busy", row->more->busy, most);
    fprintf(out, "</g><text class=\"more\" x=\"%d\" y=\"15\">", PLOT_X + 5);
    xml_put(out, label_fit(text, sizeof text, whole, 11.5, PLOT_WIDTH - 10));
    fputs("</text></g>\n", out);
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

static void put_guides(FILE *out, const struct row *row)
{
    fputs("<path class=\"guide\" d=\"", out);
    for (int depth = 1; depth <= row->depth && depth <= DEEPEST; depth++)
        fprintf(out, "M%d.5 0V%d", 22 + (depth - 1) * INDENT, row->height);
    fputs("\"/>", out);
}

void svg_row(FILE *out, const struct picture *p, int number)
{
    static const char *const kinds[] = {"outside", "process", "branches", "thread", "rest"};
    const struct row *row = &p->rows[number];
    fprintf(out, "<g class=\"row %s\" id=\"r%d\" data-depth=\"%d\" data-h=\"%d\" transform=\"translate(0 %d)\">\n",
            kinds[row->kind], number, row->depth, row->height, row->y);
    fprintf(out, "<rect class=\"band\" x=\"0\" y=\"0\" width=\"%d\" height=\"%d\"/>", WIDTH, row->height);
    put_guides(out, row);
    svg_name(out, p, row);
    fputs("<g class=\"plot\" clip-path=\"url(#plot)\">\n", out);
    if (row->kind == ROW_THREAD || row->kind == ROW_PROCESS)
        put_life(out, p, row);
    for (int i = row->first_bar; i < row->first_bar + row->n_bars; i++)
        put_bar(out, p, row, i);
    if (row->more)
        put_more(out, p, row);
    svg_incidents(out, p, row);
    svg_marks(out, p, row);
    fprintf(out, "</g><path class=\"rule\" d=\"M0 %d.5H%d\"/></g>\n", row->height - 1, WIDTH);
}
