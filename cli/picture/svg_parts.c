/* SPDX-License-Identifier: MIT */
/* Parts of a row: its name, its incidents with their rungs, its marks. */
#include <inttypes.h>
#include <string.h>
#include "label.h"
#include "svg.h"

/* ---- the gutter -------------------------------------------------------------------------------------------------- */

static double indent_of(const struct row *row)
{
    int depth = row->depth < DEEPEST ? row->depth : DEEPEST;
    return 14 + depth * INDENT;
}

static void put_name(FILE *out, const struct row *row, const char *class, const char *name, const char *note)
{
    char text[LABEL];
    double x = indent_of(row), size = 12, note_width = *note ? label_width(note, 10.5) + 8 : 0;
    int y = y_of_bars(row) + 12;
    fprintf(out, "<text class=\"%s\" x=\"%.0f\" y=\"%d\">", class, x, y);
    xml_put(out, label_fit(text, sizeof text, name, size, PLOT_X - 12 - note_width - x));
    fputs("</text>", out);
    if (*note) {
        fprintf(out, "<text class=\"note\" x=\"%d\" y=\"%d\">", PLOT_X - 10, y);
        xml_put(out, note);
        fputs("</text>", out);
    }
}

static void put_life_text(FILE *out, const struct trace *t, int64_t begun, int64_t ended)
{
    char from[48], until[48];
    fprintf(out, "\nfrom %s to %s", label_time(from, sizeof from, begun - t->begun),
            ended == TRACE_OPEN ? "an end that was not seen" : label_time(until, sizeof until, ended - t->begun));
}

static void name_thread(FILE *out, const struct picture *p, const struct row *row)
{
    const struct trace_thread *thread = &p->trace->threads[row->index];
    char id[32], lost[32];
    snprintf(id, sizeof id, "%d", (int)thread->tid);
    fputs("<g class=\"name\"><title>", out);
    xml_put(out, *thread->name ? thread->name : "thread");
    fprintf(out, "\nthread %s%s", id, thread->is_library_thread ? ", of the library" : "");
    put_life_text(out, p->trace, thread->begun, thread->ended);
    if (thread->lost)
        fprintf(out, "\n%s of its events were lost", label_number(lost, sizeof lost, thread->lost));
    fputs("</title>", out);
    put_name(out, row, thread->is_library_thread ? "lane dim" : "lane", *thread->name ? thread->name : "thread", id);
    fputs("</g>", out);
}

static void name_branch(FILE *out, const struct picture *p, const struct row *row)
{
    const struct trace_branch *branch = &p->trace->branches[row->index];
    char number[32], note[48];
    int children = 0;
    for (int at = p->nodes[row->node].first; at >= 0; at = p->nodes[at].next)
        children += p->nodes[at].kind == ROW_THREAD;
    snprintf(note, sizeof note, "%s thread%s", label_number(number, sizeof number, (uint64_t)children),
             children == 1 ? "" : "s");
    fputs("<g class=\"name\"><title>branch ", out);
    xml_put(out, branch->name);
    if (branch->owner >= 0) {
        fputs("\nopened by ", out);
        xml_put(out, p->trace->threads[branch->owner].name);
    }
    put_life_text(out, p->trace, branch->begun, branch->ended);
    if (*branch->outcome) {
        fputs("\noutcome: ", out);
        xml_put(out, branch->outcome);
    }
    fputs("</title>", out);
    double x = indent_of(row);
    fprintf(out, "<path class=\"fold\" d=\"M%.1f %dh7l-3.5 5z\"/>", x - 10.5, y_of_bars(row) + 6);
    put_name(out, row, "group", *branch->name ? branch->name : "branch", note);
    fputs("</g>", out);
}

static void name_process(FILE *out, const struct picture *p, const struct row *row)
{
    const struct trace_process *process = &p->trace->processes[row->index];
    char id[32];
    snprintf(id, sizeof id, "%d", (int)process->pid);
    fputs("<g class=\"name\"><title>process ", out);
    fprintf(out, "%s: ", id);
    xml_put(out, process->command);
    if (process->parent >= 0)
        fprintf(out, "\nforked by %d", (int)p->trace->processes[process->parent].pid);
    put_life_text(out, p->trace, process->begun, process->ended);
    fputs("</title>", out);
    fprintf(out, "<path class=\"fold\" d=\"M4 %dh7l-3.5 5z\"/>", y_of_bars(row) + 6);
    put_name(out, row, "group process", *process->command ? process->command : "process", id);
    fputs("</g>", out);
}

static void name_more(FILE *out, const struct picture *p, const struct row *row)
{
    char text[64], number[32];
    (void)p;
    snprintf(text, sizeof text, "%s more", label_number(number, sizeof number, (uint64_t)row->more->threads));
    fprintf(out, "<text class=\"lane dim\" x=\"%.0f\" y=\"29\">%s</text>", indent_of(row), text);
}

void svg_name(FILE *out, const struct picture *p, const struct row *row)
{
    switch (row->kind) {
    case ROW_OUTSIDE:
        fputs(
            "<g class=\"name\"><title>Interrupts that no thread of the recording has posted: timers, signals, other processes</title>",
            out);
        put_name(out, row, "lane dim", "outside, timers", "");
        fputs("</g>", out);
        break;
    case ROW_PROCESS:
        name_process(out, p, row);
        break;
    case ROW_BRANCH:
        name_branch(out, p, row);
        break;
    case ROW_THREAD:
        name_thread(out, p, row);
        break;
    case ROW_MORE:
        name_more(out, p, row);
        break;
    }
}

/* ---- incidents --------------------------------------------------------------------------------------------------- */

/* The x before which an incident's texts have to end: that of the next incident in its line. */
static double room_after(const struct picture *p, const struct row *row, int number)
{
    for (int i = number + 1; i < row->first_incident + row->n_incidents; i++)
        if (p->incidents[i].line == p->incidents[number].line)
            return picture_x(p, p->incidents[i].at) - 4;
    return PLOT_X + PLOT_WIDTH + 20;
}

static const struct trace_event *event_of(const struct picture *p, int event)
{
    static const struct trace_event none = {.text = "", .detail = ""};
    return event >= 0 ? &p->trace->events[event] : &none;
}

static void put_incident_title(FILE *out, const struct picture *p, const struct incident *i)
{
    const struct trace_event *posted = event_of(p, i->posted), *over = event_of(p, i->over);
    char time[48], other[48];
    fputs("<title>interrupt: ", out);
    xml_put(out, i->kind);
    if (i->posted < 0)
        fputs(", posted before the recording", out);
    if (*posted->detail) {
        fputs("\nreason: ", out);
        xml_put(out, posted->detail);
    }
    fprintf(out, "\n%s from %s", label_time(time, sizeof time, i->until - i->at),
            label_time(other, sizeof other, i->at - p->trace->begun));
    for (int s = 0; s < i->n_steps; s++) {
        const struct trace_event *e = event_of(p, i->steps[s].event);
        fprintf(out, "\nrung %d at %s", i->steps[s].rung,
                label_time(time, sizeof time, i->steps[s].at - p->trace->begun));
        if (e->what == TRACE_RUNG && *e->text) {
            fputs(": ", out);
            xml_put(out, e->text);
        }
        if (e->what == TRACE_RUNG && *e->detail) {
            fputs(", at ", out);
            xml_put(out, e->detail);
        }
    }
    if (i->over >= 0) {
        fputs("\nover: ", out);
        xml_put(out, over->text);
    } else
        fputs("\nits end was not seen", out);
    if (i->count > 1)
        fprintf(out, "\nand %d more at this time", i->count - 1);
    fputs("</title>", out);
}

static void put_step(FILE *out, const struct picture *p, const struct incident *i, int s, int bottom, const char *label)
{
    int64_t at = i->steps[s].at, until = s + 1 < i->n_steps ? i->steps[s + 1].at : i->until;
    int rung = i->steps[s].rung, height = height_of_step(rung);
    double x = picture_x(p, at), width = picture_x(p, until) - x;
    char text[LABEL], whole[LABEL + 16];
    if (s + 1 == i->n_steps && width < 12)
        width = 12;
    fprintf(out, "<g class=\"step r%d\" data-t=\"%" PRId64 "\" data-d=\"%" PRId64 "\" data-l=\"", rung,
            at - p->trace->begun, until - at);
    snprintf(whole, sizeof whole, "%d%s%s", rung, *label ? " " : "", label);
    xml_put(out, whole);
    fprintf(out, "\"><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" rx=\"%s\"/>", x, bottom - height, width,
            height, width > 6 ? "2" : "0");
    label_fit(text, sizeof text, whole, 10, width - 5);
    if (width >= 11) {
        fprintf(out, "<text x=\"%.2f\" y=\"%d\">", x + 3, bottom - 3);
        if (*text)
            xml_put(out, text);
        else
            fprintf(out, "%d", rung);
        fputs("</text>", out);
    }
    fputs("</g>", out);
}

/* A box with a step for each rung; after the box, the incident's end. */
static void put_incident(FILE *out, const struct picture *p, const struct row *row, int number)
{
    const struct incident *i = &p->incidents[number];
    int bottom = y_of_incidents(row) + i->line * STEP_LINE + STEP_LINE - 2;
    const struct trace_event *posted = event_of(p, i->posted);
    char label[LABEL], text[LABEL];
    fprintf(out, "<g class=\"incident\" data-line=\"%d\">", i->line);
    put_incident_title(out, p, i);
    snprintf(label, sizeof label, "%s%s%s", posted->text, *posted->detail ? ": " : "", posted->detail);
    for (int s = 0; s < i->n_steps; s++)
        put_step(out, p, i, s, bottom, s == 0 ? label : "");
    double end = picture_x(p, i->until);
    double least = i->n_steps ? picture_x(p, i->steps[i->n_steps - 1].at) + 12 : end;
    end = end > least ? end : least;
    if (i->over < 0)
        fprintf(out, "<path class=\"torn\" transform=\"translate(%.2f %d)\" d=\"M0 0l-4 5 4 5-4 5 4 5h2v-20z\"/>", end,
                bottom - 20);
    const char *over = i->over >= 0 ? event_of(p, i->over)->text : "";
    if (i->count > 1)
        snprintf(label, sizeof label, "%s × %d", over, i->count);
    label_fit(text, sizeof text, i->count > 1 ? label : over, 10, room_after(p, row, number) - end - 5);
    if (*text) {
        fprintf(out, "<text class=\"over\" x=\"%.2f\" y=\"%d\">", end + 5, bottom - 3);
        xml_put(out, text);
        fputs("</text>", out);
    }
    fputs("</g>\n", out);
}

void svg_incidents(FILE *out, const struct picture *p, const struct row *row)
{
    for (int i = row->first_incident; i < row->first_incident + row->n_incidents; i++)
        put_incident(out, p, row, i);
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */

static void put_mark(FILE *out, const struct picture *p, const struct row *row, int number)
{
    const struct mark *m = &p->marks[number];
    const struct trace_event *e = &p->trace->events[m->event];
    char text[LABEL], time[48];
    int y = y_of_marks(row);
    double x = picture_x(p, m->at), end = PLOT_X + PLOT_WIDTH + 20;
    if (number + 1 < row->first_mark + row->n_marks)
        end = picture_x(p, p->marks[number + 1].at) - 9;
    fprintf(out, "<g class=\"mark\" data-t=\"%" PRId64 "\"><title>%s: ", m->at - p->trace->begun,
            m->is_failure ? "failure" : "delivered");
    xml_put(out, e->text);
    if (m->count > 1)
        fprintf(out, "\nand %d more marks at this time", m->count - 1);
    fprintf(out, "\nat %s</title><g transform=\"translate(%.2f %d)\">",
            label_time(time, sizeof time, m->at - p->trace->begun), x, y);
    if (m->is_failure)
        fprintf(
            out,
            "<circle class=\"failure%s\" cx=\"0\" cy=\"6\" r=\"5.5\"/><path class=\"cross\" d=\"M-2.5 3.5l5 5m0-5l-5 5\"/>",
            m->event == p->first_failure ? " is-first" : "");
    else
        fputs("<path class=\"delivered\" d=\"M-4.5 4h9l-4.5 8z\"/>", out);
    label_fit(text, sizeof text, e->text, 10.5, end - x - 9);
    if (*text && m->is_failure) {
        fputs("<text class=\"failure\" x=\"9\" y=\"10\">", out);
        xml_put(out, text);
        fputs("</text>", out);
    }
    fputs("</g></g>\n", out);
}

void svg_marks(FILE *out, const struct picture *p, const struct row *row)
{
    for (int i = row->first_mark; i < row->first_mark + row->n_marks; i++)
        put_mark(out, p, row, i);
}
