/* SPDX-License-Identifier: MIT */
/* The function of each key. */
#include <curses.h>
#include <string.h>
#include "base/plain.h"
#include "top.h"

/* ---- moving ------------------------------------------------------------------------------------------------------ */

static void move_by(struct top *t, long by)
{
    long to = (long)t->cursor + by, last = (long)t->rows.count - 1;
    t->cursor = to < 0 || last < 0 ? 0 : (size_t)(to > last ? last : to);
    rows_remember(t);
}

static bool has_incident(const struct top *t, const struct node *n)
{
    (void)t;
    return n->record_count;
}

static bool fits_search(const struct top *t, const struct node *n)
{
    return row_matches(t, n, t->search);
}

/* The search wraps around. */
static void find_next(struct top *t, int step, bool (*fits)(const struct top *, const struct node *), const char *none)
{
    size_t count = t->rows.count;
    for (size_t i = 1; i <= count; i++) {
        size_t at = step > 0 ? (t->cursor + i) % count : (t->cursor + count - i) % count;
        if (fits(t, t->rows.row[at].node)) {
            t->cursor = at;
            rows_remember(t);
            return;
        }
    }
    snprintf(t->message, sizeof t->message, "%s", none);
}

static void search(struct top *t, int step)
{
    if (*t->search)
        find_next(t, step, fits_search, "no row contains this text");
}

/* ---- input in the last line -------------------------------------------------------------------------------------- */

static void entered(struct top *t)
{
    enum prompt what = t->prompt;
    t->prompt = NO_PROMPT;
    if (what == FILTER_PROMPT) {
        strcpy(t->filter, t->input);
        rows_build(t);
    } else if (what == SEARCH_PROMPT) {
        strcpy(t->search, t->input);
        search(t, 1);
    } else if (what == REASON_PROMPT) {
        act_reason_given(t);
    } else {
        act_rung_given(t);
    }
}

/* Removes a whole UTF-8 character: each of its bytes after the first one begins with the bits 10. */
static void rub_out(struct top *t)
{
    size_t length = strlen(t->input);
    while (length && ((unsigned char)t->input[--length] & 0xc0) == 0x80)
        ;
    t->input[length] = '\0';
}

static void type(struct top *t, int key)
{
    size_t length = strlen(t->input);
    bool is_byte = key >= ' ' && key < 256 && key != 127;
    if (key == 27) {
        t->prompt = NO_PROMPT;
    } else if (key == '\n' || key == '\r' || key == KEY_ENTER) {
        entered(t);
    } else if (key == KEY_BACKSPACE || key == 127 || key == '\b') {
        rub_out(t);
    } else if (key == 'U' - '@') {
        *t->input = '\0';
    } else if (is_byte && t->prompt == RUNG_PROMPT) { /* one digit */
        t->input[0] = (char)key;
        t->input[1] = '\0';
    } else if (is_byte && length < sizeof t->input - 1) {
        t->input[length] = (char)key;
        t->input[length + 1] = '\0';
    }
}

static void begin_prompt(struct top *t, enum prompt what, const char *text)
{
    t->prompt = what;
    strcpy(t->input, text);
}

/* ---- what is shown ---------------------------------------------------------------------------------------------- */

static void order(struct top *t, int by)
{
    t->order = (enum order)(((int)t->order + by + ORDERS) % ORDERS);
    rows_build(t);
}

static void show_pane(struct top *t, enum pane pane)
{
    t->pane = t->pane == pane ? NO_PANE : pane;
    t->pane_first = 0;
}

static void scroll_pane(struct top *t, int by)
{
    if (by > 0 || t->pane_first)
        t->pane_first += (unsigned)by;
}

/* Stops reading; 'r' reads once. */
static void pause_or_continue(struct top *t)
{
    t->paused = !t->paused;
    t->next = 0;
}

static bool moved(struct top *t, int key)
{
    int page = draw_room(t) > 1 ? draw_room(t) - 1 : 1;
    switch (key) {
    case KEY_UP:
    case 'k':
        return move_by(t, -1), true;
    case KEY_DOWN:
    case 'j':
        return move_by(t, 1), true;
    case KEY_PPAGE:
        return move_by(t, -page), true;
    case KEY_NPAGE:
        return move_by(t, page), true;
    case KEY_HOME:
    case 'g':
        return move_by(t, -(long)t->cursor), true;
    case KEY_END:
    case 'G':
        return move_by(t, (long)t->rows.count), true;
    case 'n':
        return search(t, 1), true;
    case 'N':
        return search(t, -1), true;
    case '!':
        return find_next(t, 1, has_incident, "there is no incident"), true;
    default:
        return false;
    }
}

static bool changed_view(struct top *t, int key)
{
    switch (key) {
    case 's':
        return order(t, 1), true;
    case 'S':
        return order(t, -1), true;
    case 'f':
        return begin_prompt(t, FILTER_PROMPT, t->filter), true;
    case '/':
        return begin_prompt(t, SEARCH_PROMPT, ""), true;
    case ' ':
        return fold_toggle(t), true;
    case 'z':
        return fold_all(t), true;
    case 'a':
        t->every_worker = !t->every_worker;
        t->next = 0;
        return true;
    case 'e':
        return show_pane(t, INCIDENTS_PANE), true;
    case '?':
    case 'h':
        return show_pane(t, HELP_PANE), true;
    case '[':
        return scroll_pane(t, -1), true;
    case ']':
        return scroll_pane(t, 1), true;
    case 27:
        t->pane = NO_PANE;
        return true;
    default:
        return false;
    }
}

static void act(struct top *t, int key)
{
    switch (key) {
    case '\n':
    case '\r':
    case KEY_ENTER:
        act_show_details(t);
        break;
    case 'i':
        act_begin_interrupt(t);
        break;
    case 'p':
        act_begin_promote(t);
        break;
    case 'P':
        pause_or_continue(t);
        break;
    case 'r':
        t->next = 0;
        t->reading = true;
        break;
    case 'q':
        t->leaving = true;
        break;
    default:
        snprintf(t->message, sizeof t->message, "? lists the keys");
    }
}

/* After the end of the process, any key quits. */
void top_key(struct top *t, int key)
{
    if (key == KEY_RESIZE)
        return;
    *t->message = '\0';
    if (*t->end) {
        t->leaving = true;
    } else if (t->prompt == QUESTION) {
        t->prompt = NO_PROMPT;
        act_answered(t, key == 'y' || key == 'Y');
    } else if (t->prompt) {
        type(t, key);
    } else if (!moved(t, key) && !changed_view(t, key)) {
        act(t, key);
    }
}
