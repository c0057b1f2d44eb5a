/* SPDX-License-Identifier: MIT */
#include "frame.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "label.h"
#include "svg.h"

enum { TITLE_Y = 36, SUBTITLE_Y = 58, LEGEND_Y = 88, LEGEND_LINE = 24, FAILURE_LINE = 22, AXIS = 28 };

static bool has_failure(const struct picture *p)
{
    return p->first_failure >= 0 && p->trace->events[p->first_failure].at >= p->from &&
           p->trace->events[p->first_failure].at <= p->until;
}

static int failure_y(const struct picture *p)
{
    return LEGEND_Y + (p->n_incidents ? LEGEND_LINE : 0) + 14;
}

int frame_height(const struct picture *p)
{
    return failure_y(p) + (has_failure(p) ? FAILURE_LINE : 0) + AXIS;
}

/* ---- title ------------------------------------------------------------------------------------------------------- */

static void put_count(FILE *out, uint64_t n, const char *one, const char *many)
{
    char number[32];
    fprintf(out, " · %s %s", label_number(number, sizeof number, n), n == 1 ? one : many);
}

static void put_date(FILE *out, const struct trace *t)
{
    time_t seconds = (time_t)(t->wall_at_begun / 1000000000);
    struct tm tm;
    char text[64];
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm))
        fprintf(out, " · %s", text);
}

static void put_warnings(FILE *out, const struct picture *p)
{
    char number[32];
    const struct trace *t = p->trace;
    if (t->lost)
        fprintf(out, "<tspan class=\"warning\"> · ⚠ %s events lost</tspan>",
                label_number(number, sizeof number, t->lost));
    if (t->was_cut_off)
        fputs("<tspan class=\"warning\"> · ⚠ cut off: killed, or still running</tspan>", out);
    if (p->arrows_left_out)
        fprintf(out, "<tspan class=\"warning\"> · %s more arrows not drawn</tspan>",
                label_number(number, sizeof number, (uint64_t)p->arrows_left_out));
}

void frame_title(FILE *out, const struct picture *p)
{
    const struct trace *t = p->trace;
    char text[LABEL], from[48], until[48];
    const char *command = t->n_processes ? t->processes[0].command : "an empty recording";
    fprintf(out, "<text class=\"title\" x=\"24\" y=\"%d\">", TITLE_Y);
    xml_put(out, label_fit(text, sizeof text, command && *command ? command : "a process", 20, WIDTH - 48));
    fprintf(out, "</text>\n<text class=\"subtitle\" x=\"24\" y=\"%d\">", SUBTITLE_Y);
    fprintf(out, "process %d", t->n_processes ? (int)t->processes[0].pid : 0);
    if (t->n_processes > 1)
        fprintf(out, " and %d more", t->n_processes - 1);
    put_date(out, t);
    fprintf(out, " · %s", label_time(text, sizeof text, t->ended - t->begun));
    if (p->from > t->begun || p->until < t->ended)
        fprintf(out, ", shown from %s to %s", label_time(from, sizeof from, p->from - t->begun),
                label_time(until, sizeof until, p->until - t->begun));
    put_count(out, (uint64_t)t->n_threads, "thread", "threads");
    put_count(out, (uint64_t)t->n_branches, "branch", "branches");
    put_count(out, (uint64_t)t->n_events, "event", "events");
    put_warnings(out, p);
    fputs("</text>\n", out);
}

/* ---- legend ------------------------------------------------------------------------------------------------------ */

static double legend_text(FILE *out, double x, int y, const char *text)
{
    fprintf(out, "<text class=\"key\" x=\"%.1f\" y=\"%d\">%s</text>\n", x, y, text);
    return x + label_width(text, 11.5) + 20;
}

static double legend_box(FILE *out, double x, int y, const char *class, const char *text)
{
    fprintf(out, "<g class=\"b %s\"><rect x=\"%.1f\" y=\"%d\" width=\"26\" height=\"12\" rx=\"2\"/></g>", class, x,
            y - 10);
    return legend_text(out, x + 33, y, text);
}

static double legend_torn(FILE *out, double x, int y)
{
    fprintf(out,
            "<g class=\"b call\"><rect x=\"%.1f\" y=\"%d\" width=\"26\" height=\"12\" rx=\"2\"/>"
            "<path class=\"torn\" d=\"M%.1f %dl-4 3 4 3-4 3 4 3h2v-12z\"/></g>",
            x, y - 10, x + 25, y - 10);
    return legend_text(out, x + 33, y, "end not seen");
}

static double legend_arrow(FILE *out, double x, int y)
{
    fprintf(out, "<g class=\"arrow\"><circle cx=\"%.1f\" cy=\"%d\" r=\"2.5\"/><path d=\"M%.1f %dh20\"/>", x + 3, y - 4,
            x + 3, y - 4);
    fprintf(out, "<path class=\"tip\" d=\"M%.1f %dl-6 -3.5v7z\"/></g>", x + 29, y - 4);
    return legend_text(out, x + 36, y, "interrupt");
}

static void legend_marks(FILE *out, double x, int y, bool has_failures)
{
    fprintf(out, "<g class=\"mark\"><path class=\"delivered\" d=\"M%.1f %dh9l-4.5 8z\"/></g>", x, y - 8);
    x = legend_text(out, x + 15, y, "delivered");
    if (!has_failures)
        return;
    fprintf(out,
            "<g class=\"mark\"><circle class=\"failure\" cx=\"%.1f\" cy=\"%d\" r=\"5.5\"/>"
            "<path class=\"cross\" d=\"M%.1f %dl5 5m0-5l-5 5\"/></g>",
            x + 5, y - 4, x + 2.5, y - 6);
    legend_text(out, x + 17, y, "failure");
}

static void legend_rungs(FILE *out, int y)
{
    static const char *const names[] = {"flag", "handler", "final handler", "close", "exit", "kill"};
    double x = legend_text(out, 24, y, "Rungs of the ladder:");
    for (int i = 0; i < RUNGS; i++) {
        int height = height_of_step(i + 1);
        fprintf(out,
                "<g class=\"step r%d\"><rect x=\"%.1f\" y=\"%d\" width=\"22\" height=\"%d\" rx=\"2\"/>"
                "<text x=\"%.1f\" y=\"%d\">%d</text></g>",
                i + 1, x, y + 3 - height, height, x + 8, y, i + 1);
        x = legend_text(out, x + 29, y, names[i]);
    }
}

static bool has_bars(const struct picture *p, enum bar_kind kind)
{
    for (int i = 0; i < p->n_bars; i++)
        if (p->bars[i].kind == kind)
            return true;
    return false;
}

void frame_legend(FILE *out, const struct picture *p)
{
    double x = 24;
    fputs("<g class=\"legend\">\n", out);
    x = legend_box(out, x, LEGEND_Y, "alive", "thread, not blocked");
    x = legend_box(out, x, LEGEND_Y, "call", "blocking call");
    x = legend_box(out, x, LEGEND_Y, "section", "critical section or region");
    if (has_bars(p, BAR_GIL))
        x = legend_box(out, x, LEGEND_Y, "gil", "wait for the GIL");
    x = legend_box(out, x, LEGEND_Y, "scope", "branch");
    x = legend_torn(out, x, LEGEND_Y);
    if (p->n_arrows)
        x = legend_arrow(out, x, LEGEND_Y);
    if (p->n_marks)
        legend_marks(out, x, LEGEND_Y, p->first_failure >= 0);
    if (p->n_incidents)
        legend_rungs(out, LEGEND_Y + LEGEND_LINE);
    fputs("</g>\n", out);
}

/* ---- the axis ---------------------------------------------------------------------------------------------------- */

/* The distance between two ticks: 1, 2 or 5 of a power of ten, so that there are at most a dozen. */
static int64_t tick_distance(int64_t span)
{
    static const int factors[] = {1, 2, 5};
    for (int64_t power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (span / (power * factors[i]) <= 11 || power > INT64_MAX / 50)
                return power * factors[i];
}

struct ticks {
    int64_t distance, first, last; /* ns since the recording's start */
};

static struct ticks ticks_of(const struct picture *p)
{
    int64_t begin = p->from - p->trace->begun, end = p->until - p->trace->begun;
    int64_t distance = tick_distance(end - begin);
    return (struct ticks){distance, (begin + distance - 1) / distance * distance, end};
}

/* All ticks have the same unit and as many digits as the distance needs: "0.50 s", "250 ms", "2:03:04". */
static void tick_label(char *to, size_t size, int64_t at, const struct ticks *t)
{
    static const char *const names[] = {"s", "ms", "µs", "ns"};
    int64_t unit = 1000000000, part = t->distance;
    int k = 0, digits = 0;
    for (; k < 3 && t->last < unit; k++)
        unit /= 1000;
    for (; digits < 9 && part % unit; part = part % unit * 10)
        digits++;
    int64_t s = at / 1000000000;
    if (t->last < 600 * INT64_C(1000000000))
        snprintf(to, size, "%.*f %s", digits, (double)at / (double)unit, names[k]);
    else
        snprintf(to, size, "%" PRId64 ":%02d:%0*.*f", s / 3600, (int)(s / 60 % 60), digits ? digits + 3 : 2, digits,
                 (double)(at % (60 * INT64_C(1000000000))) / 1e9);
}

void frame_grid(FILE *out, const struct picture *p)
{
    struct ticks t = ticks_of(p);
    fputs("<path class=\"grid\" d=\"", out);
    for (int64_t at = t.first; at <= t.last; at += t.distance)
        fprintf(out, "M%.2f %dV%d", picture_x(p, p->trace->begun + at), p->top, p->height - 16);
    fputs("\"/>\n", out);
}

void frame_axis(FILE *out, const struct picture *p)
{
    struct ticks t = ticks_of(p);
    char text[48];
    fprintf(
        out,
        "<g id=\"axis\" transform=\"translate(0 %d)\">\n<rect class=\"page\" x=\"0\" y=\"0\" width=\"%d\" height=\"%d\"/>\n",
        p->top - AXIS, WIDTH, AXIS);
    fprintf(out, "<path class=\"axis\" d=\"M%d %dh%d\"/>\n<g id=\"ticks\">", PLOT_X, AXIS, PLOT_WIDTH);
    for (int64_t at = t.first; at <= t.last; at += t.distance) {
        double x = picture_x(p, p->trace->begun + at);
        tick_label(text, sizeof text, at, &t);
        fprintf(out, "<path class=\"axis\" d=\"M%.2f %dv-6\"/>", x, AXIS);
        fprintf(out, "<text class=\"tick\" x=\"%.2f\" y=\"%d\">%s</text>\n", x, AXIS - 11, text);
    }
    fputs("</g>\n</g>\n", out);
}

/* ---- the first failure ------------------------------------------------------------------------------------------- */

void frame_failure(FILE *out, const struct picture *p)
{
    if (!has_failure(p))
        return;
    const struct trace_event *e = &p->trace->events[p->first_failure];
    const struct trace *t = p->trace;
    double x = picture_x(p, e->at);
    bool is_left = x < PLOT_X + PLOT_WIDTH / 2.0;
    const char *where = e->thread >= 0          ? t->threads[e->thread].name
                        : e->target_branch >= 0 ? t->branches[e->target_branch].name
                                                : "";
    char whole[LABEL], text[LABEL], time[48];
    snprintf(whole, sizeof whole, "first failure%s%s: %s", *where ? ", " : "", where, e->text);
    label_fit(text, sizeof text, whole, 11.5, is_left ? PLOT_X + PLOT_WIDTH - x - 12 : x - PLOT_X - 12);
    fprintf(out, "<g id=\"first\" data-t=\"%" PRId64 "\"><title>", e->at - t->begun);
    xml_put(out, whole);
    fprintf(out, "\nat %s</title><path class=\"first\" d=\"M%.2f %dV%d\"/>",
            label_time(time, sizeof time, e->at - t->begun), x, failure_y(p) + 3, p->height - 16);
    fprintf(out, "<text class=\"first\" x=\"%.2f\" y=\"%d\" text-anchor=\"%s\">", x + (is_left ? 6 : -6),
            failure_y(p) + 12, is_left ? "start" : "end");
    xml_put(out, text);
    fputs("</text></g>\n", out);
}
