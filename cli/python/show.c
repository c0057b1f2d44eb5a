/* SPDX-License-Identifier: MIT */
#include "show.h"
#include <string.h>
#include "text.h"

/* "function at file.py:12" */
static void put_frame(FILE *out, const struct stacks *s, const struct py_frame *f, bool is_short)
{
    const char *file = s->text + f->file, *slash = is_short ? strrchr(file, '/') : NULL;
    put_text(out, s->text + f->function);
    fputs(" at ", out);
    put_text(out, slash && slash[1] ? slash + 1 : file);
    if (f->line)
        fprintf(out, ":%d", f->line);
}

static void put_line(FILE *out, const struct stacks *s, pid_t own, bool is_short)
{
    const struct py_thread *t = stacks_thread(s, own);
    const struct py_frame *f = stacks_innermost(s, t);
    if (f)
        fputs(", ", out), put_frame(out, s, f, is_short);
    if (t && t->has_gil)
        fputs(", holds the GIL", out);
}

void python_put_line(FILE *out, const struct stacks *s, pid_t own)
{
    put_line(out, s, own, false);
}

void python_put_short_line(FILE *out, const struct stacks *s, pid_t own)
{
    put_line(out, s, own, true);
}

/* The frames from `from` to the outermost. */
static void put_frames(FILE *out, const struct stacks *s, const struct py_thread *t, size_t from, int indent)
{
    for (size_t i = from; i < t->count; i++)
        fprintf(out, "%*s", indent + 2, ""), put_frame(out, s, &s->frame[t->first + i], false), fputs("\n", out);
    if (t->is_cut)
        fprintf(out, "%*sand more, which are not shown\n", indent + 2, "");
}

void python_put_stack(FILE *out, const struct stacks *s, pid_t own, int indent)
{
    const struct py_thread *t = stacks_thread(s, own);
    if (!t || (!t->count && !t->has_gil))
        return;
    fprintf(out, "%*sPython stack%s:\n", indent, "", t->has_gil ? ", this thread holds the GIL" : "");
    put_frames(out, s, t, 0, indent);
}

void python_put_before(FILE *out, struct mixed *m, const char *line, int indent)
{
    size_t count = mixed_before(m, line);
    if (!m)
        return;
    for (size_t i = m->next - count; count; i++, count--) {
        fprintf(out, "%*s", indent + 4, "");
        put_frame(out, m->python, &m->python->frame[m->thread->first + i], false);
        fputs("\n", out);
    }
}

void python_put_left(FILE *out, const struct mixed *m, int indent)
{
    const struct py_thread *t = m ? m->thread : NULL;
    if (!t || (m->next == t->count && !t->has_gil && !t->is_cut))
        return;
    fprintf(out, "%*sPython stack%s%s:\n", indent, "", m->next ? ", farther out" : "",
            t->has_gil ? ", this thread holds the GIL" : "");
    put_frames(out, m->python, t, m->next, indent);
}

void python_put_problem(FILE *out, const struct stacks *s)
{
    if (!*s->why)
        return;
    fputs("\nPython stacks: ", out);
    put_text(out, s->why);
    fputs("\n", out);
}

void python_put_all(FILE *out, const struct stacks *s)
{
    if (s->threads)
        fprintf(out, "\nthe threads of Python %u.%u\n", s->version >> 24, s->version >> 16 & 255);
    for (size_t i = 0; i < s->threads; i++) {
        fprintf(out, "  %d\n", (int)s->thread[i].own);
        python_put_stack(out, s, s->thread[i].own, 4);
    }
    python_put_problem(out, s);
}

static void write_frame(struct json *j, const struct stacks *s, const struct py_frame *f)
{
    json_string(j, "function", s->text + f->function);
    json_string(j, "file", s->text + f->file);
    json_number(j, "line", f->line);
}

void python_line_as_json(struct json *j, const char *key, const struct stacks *s, pid_t own)
{
    const struct py_thread *t = stacks_thread(s, own);
    const struct py_frame *f = stacks_innermost(s, t);
    if (!f) {
        json_string(j, key, NULL);
        return;
    }
    json_begin(j, key, '{');
    write_frame(j, s, f);
    json_bool(j, "gil", t->has_gil);
    json_end(j, '}');
}

static void write_thread(struct json *j, const struct stacks *s, const struct py_thread *t, const struct view *v)
{
    json_begin(j, NULL, '{');
    json_number(j, "tid", view_tid(v, t->own));
    json_number(j, "ns_tid", t->own);
    json_bool(j, "gil", t->has_gil);
    json_bool(j, "cut", t->is_cut);
    json_begin(j, "frames", '[');
    for (size_t i = 0; i < t->count; i++) {
        json_begin(j, NULL, '{');
        write_frame(j, s, &s->frame[t->first + i]);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_end(j, '}');
}

void python_as_json(struct json *j, const char *key, const struct stacks *s, const struct view *v)
{
    char version[16];
    if (!s->is_python) {
        json_string(j, key, NULL);
        return;
    }
    snprintf(version, sizeof version, "%u.%u", s->version >> 24 & 255, s->version >> 16 & 255);
    json_begin(j, key, '{');
    json_string(j, "version", s->version ? version : NULL);
    json_string(j, "problem", *s->why ? s->why : NULL);
    json_begin(j, "threads", '[');
    for (size_t i = 0; i < s->threads; i++)
        write_thread(j, s, &s->thread[i], v);
    json_end(j, ']');
    json_end(j, '}');
}
