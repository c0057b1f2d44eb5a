/* SPDX-License-Identifier: MIT */
/*
 * The drawing. Each element whose place depends on time has its time in `data-t` and `data-d`, in ns since the
 * recording's start; each element in a row has the row's number. The page's script computes the places from these.
 */
#include "svg.h"
#include <inttypes.h>
#include "frame.h"
#include "label.h"
#include "style.inc"

/* ---- arrows ------------------------------------------------------------------------------------------------------ */

/* Where an arrow leaves a row, from its top: the middle of its first line. */
static int y_of_source(const struct row *row)
{
    return row->kind == ROW_MORE ? row->height / 2 + 8 : y_of_bars(row) + BAR_HEIGHT / 2;
}

/* Where an arrow arrives: at the top or bottom of the incident's box, or of the row's first line. */
static int y_of_target(const struct picture *p, const struct arrow *a, bool is_from_above)
{
    const struct row *row = &p->rows[a->to];
    if (row->kind == ROW_MORE)
        return row->height / 2 + 8;
    if (a->incident < 0)
        return y_of_bars(row) + (is_from_above ? 0 : BAR_HEIGHT);
    int bottom = y_of_incidents(row) + p->incidents[a->incident].line * STEP_LINE + STEP_LINE - 2;
    return is_from_above ? bottom - height_of_step(p->incidents[a->incident].steps[0].rung) : bottom;
}

/* Halos are under all arrows, so that no halo hides an arrow's tip. */
static void put_halo(FILE *out, const struct picture *p, const struct arrow *a)
{
    const struct row *from = &p->rows[a->from], *to = &p->rows[a->to];
    fprintf(out, "<path class=\"halo\" d=\"M%.2f %dV%d\"/>\n", picture_x(p, a->at), from->y + y_of_source(from),
            to->y + y_of_target(p, a, from->y <= to->y));
}

static void put_arrow(FILE *out, const struct picture *p, const struct arrow *a)
{
    const struct trace_event *e = &p->trace->events[a->event];
    const struct row *from = &p->rows[a->from], *to = &p->rows[a->to];
    char time[48];
    bool is_down = from->y <= to->y; /* a thread's interrupt of itself leads down to its box */
    int fy = y_of_source(from), ty = y_of_target(p, a, is_down);
    double x = picture_x(p, a->at), y1 = from->y + fy, y2 = to->y + ty;
    fprintf(out,
            "<g class=\"arrow\" data-t=\"%" PRId64
            "\" data-from=\"%d\" data-to=\"%d\" data-fy=\"%d\" data-ty=\"%d\"><title>",
            a->at - p->trace->begun, a->from, a->to, fy, ty);
    fputs("interrupt: ", out);
    xml_put(out, e->text);
    if (*e->detail) {
        fputs("\nreason: ", out);
        xml_put(out, e->detail);
    }
    if (a->count > 1)
        fprintf(out, "\nand %d more from here to there at this time", a->count - 1);
    fprintf(out, "\nposted at %s</title>", label_time(time, sizeof time, a->at - p->trace->begun));
    fprintf(out, "<path d=\"M%.2f %.1fV%.1f\"/><circle cx=\"%.2f\" cy=\"%.1f\" r=\"2.5\"/>", x, y1,
            is_down ? y2 - 5 : y2 + 5, x, y1);
    fprintf(out, "<path class=\"tip\" d=\"M%.2f %.1fl-3.5 %sh7z\"/></g>\n", x, y2, is_down ? "-6" : "6");
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void put_patterns(FILE *out)
{
    fputs("<defs>\n<pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
          "patternTransform=\"rotate(45)\"><rect class=\"hatch-a\" width=\"6\" height=\"6\"/>"
          "<rect class=\"hatch-b\" width=\"2\" height=\"6\"/></pattern>\n",
          out);
    fprintf(out,
            "<clipPath id=\"plot\"><rect x=\"%d\" y=\"0\" width=\"%d\" height=\"100000000\"/></clipPath>\n</defs>\n",
            PLOT_X - 1, PLOT_WIDTH + 26);
}

static void put_description(FILE *out, const struct picture *p)
{
    fputs("<title id=\"picture-title\">", out);
    xml_put(out, p->trace->n_processes ? p->trace->processes[0].command : "an empty recording");
    fprintf(
        out,
        "</title>\n<desc id=\"picture-desc\">A recording of bough: %d threads in %d branches, a lane for each thread.</desc>\n",
        p->trace->n_threads, p->trace->n_branches);
}

bool picture_svg(FILE *out, const struct picture *p)
{
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"picture\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
        "aria-labelledby=\"picture-title picture-desc\" data-from=\"%" PRId64 "\" data-until=\"%" PRId64
        "\" data-top=\"%d\" data-x=\"%d\" data-width=\"%d\">\n<!-- SPDX-License-Identifier: MIT. Drawn by bough picture. -->\n",
        WIDTH, p->height, WIDTH, p->height, p->from - p->trace->begun, p->until - p->trace->begun, p->top, PLOT_X,
        PLOT_WIDTH);
    put_description(out, p);
    fputs("<style>\n", out);
    for (const char *const *line = style; *line; line++)
        fputs(*line, out);
    fputs("</style>\n", out);
    put_patterns(out);
    fprintf(out, "<rect class=\"page\" id=\"paper\" width=\"%d\" height=\"%d\"/>\n", WIDTH, p->height);
    frame_title(out, p);
    frame_legend(out, p);
    fputs("<g id=\"rows\">\n", out);
    for (int i = 0; i < p->n_rows; i++)
        svg_row(out, p, i);
    fputs("</g>\n<g clip-path=\"url(#plot)\">\n", out);
    frame_grid(out, p);
    fputs("<g id=\"halos\">\n", out);
    for (int i = 0; i < p->n_arrows; i++)
        put_halo(out, p, &p->arrows[i]);
    fputs("</g>\n<g id=\"arrows\">\n", out);
    for (int i = 0; i < p->n_arrows; i++)
        put_arrow(out, p, &p->arrows[i]);
    fputs("</g>\n</g>\n", out);
    if (!p->n_rows)
        fprintf(out, "<text class=\"empty\" x=\"24\" y=\"%d\">The recording has no threads.</text>\n", p->top + 6);
    frame_axis(out, p);
    fputs("<g clip-path=\"url(#plot)\">\n", out);
    frame_failure(out, p);
    fputs("</g>\n", out);
    fputs("</svg>\n", out);
    return !ferror(out);
}
