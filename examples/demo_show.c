/* SPDX-License-Identifier: MIT */
/* What the demonstration prints: in colour on a terminal, unless NO_COLOR is set; plain elsewhere. */
#include "demo.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define GREEN "\033[32m"

static int terminal, coloured;
static const char *const colours[KINDS] = {"\033[34m", GREEN, "\033[35m", ""};

static const char *in(const char *colour)
{
    return coloured ? colour : "";
}

static const char *out(void)
{
    return in("\033[0m");
}

/* 1,234,567. A few may be used in one line. */
static const char *number(uint64_t n)
{
    static char texts[8][32];
    static int next;
    char *at = texts[next++ % 8] + 31;
    *at = 0;
    for (int digits = 1;; digits++) {
        *--at = (char)('0' + n % 10);
        if ((n /= 10) == 0)
            return at;
        if (digits % 3 == 0)
            *--at = ',';
    }
}

/* ---- progress ------------------------------------------------------------------------------------------------- */

void show_begin(void)
{
    const char *no_colour = getenv("NO_COLOR");
    terminal = isatty(STDOUT_FILENO);
    coloured = terminal && !(no_colour && *no_colour);
    printf("%sA server, a thread for each client, is stopped by SIGINT%s\n", in(BOLD), out());
    fflush(stdout);
}

void show_progress(int done, const char *format, ...)
{
    va_list arguments;
    if (!terminal && !done)
        return;
    va_start(arguments, format);
    printf("%s", terminal ? "\r\033[K" : "");
    vprintf(format, arguments);
    printf("%s", done ? "\n" : "");
    va_end(arguments);
    fflush(stdout);
}

void show_failure(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s%sfailed:%s ", terminal ? "\n" : "", in(RED), out());
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* ---- the tree --------------------------------------------------------------------------------------------------- */

static int is_there(const struct shared *s, int i)
{
    const struct client *c = &s->client[i];
    const struct served *v = served_of(s, i);
    switch (kind_of(i)) {
    case IDLE:
        return v->doing == READING && v->in == 0;
    case STREAMING:
        return c->received > 100000;
    case STUCK:
        return v->still >= 3;
    default:
        return v->doing == ENDED;
    }
}

void look_around(const struct shared *s, struct where where[KINDS])
{
    memset(where, 0, KINDS * sizeof *where);
    for (int i = 0; i < CLIENTS; i++) {
        where[kind_of(i)].all++;
        where[kind_of(i)].there += s->client[i].port && is_there(s, i);
    }
}

static int threads_of(int pid)
{
    char path[40];
    int count = -2;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* One mark for each handler: what it is doing at this moment. */
static void show_handlers(const struct shared *s, enum kind kind, const char *indent)
{
    static const char marks[] = {[NOTHING] = '-', [READING] = 'r', [WRITING] = 'w', [ENDED] = 'x'};
    int column = 0;
    for (int i = 0; i < STAYING; i++) {
        if (kind_of(i) != kind)
            continue;
        if (column++ % 100 == 0)
            printf("%s\n%s%s", out(), indent, in(colours[kind]));
        putchar(marks[served_of(s, i)->doing]);
    }
    printf("%s\n", out());
}

static void show_kind(const struct shared *s, enum kind kind, const char *amount, const char *what)
{
    static const char *const names[KINDS] = {"idle", "streaming", "stuck", ""};
    int last = kind == STUCK;
    struct where w[KINDS];
    look_around(s, w);
    printf("      %s %d handle_client, %s%s%s: %s%s", last ? "`-" : "|-", w[kind].all, in(colours[kind]), names[kind],
           out(), amount, what);
    show_handlers(s, kind, last ? "         " : "      |  ");
}

void show_tree(const struct shared *s, int server, uint64_t echoed)
{
    uint64_t queued = 0;
    for (int i = 0; i < STAYING; i++)
        queued += kind_of(i) == STUCK ? (uint64_t)served_of(s, i)->queued : 0;
    printf("\n%sserver%s, process %d, %d threads\n", in(BOLD), out(), server, threads_of(server));
    printf("`- main, in accept_loop: blocked in bough_accept\n");
    printf("   `- branch %sclients%s: %d run, %d have ended    r: in bough_read, w: in bough_write_all, -: neither\n",
           in(BOLD), out(), STAYING, CLIENTS - STAYING);
    show_kind(s, IDLE, "", "nothing has come");
    show_kind(s, STREAMING, number(echoed / 1000), " kB/s there and back");
    show_kind(s, STUCK, number(queued / 1000), " kB in full send buffers");
    printf("\n");
    fflush(stdout);
}

/* ---- the balance ------------------------------------------------------------------------------------------------- */

struct balance {
    uint64_t read, taken, written, given, sent, received, unread, unsent;
    uint64_t wrong;
    int unequal; /* connections on which the server's and the kernel's counts differ */
    int missing; /* connections on which a client got less than was sent, or more */
    int unaudited;
};

/* What was still in the send buffer at the end may have arrived or not: a close with bytes unread resets the
 * connection. All that had left it has to be there. */
static void add_up(struct balance *b, const struct client *c, const struct served *v)
{
    b->read += v->in;
    b->taken += v->taken;
    b->written += v->out;
    b->given += v->given;
    b->sent += c->sent;
    b->received += c->received;
    b->unread += (uint64_t)v->unread;
    b->unsent += v->out - c->received;
    b->wrong += c->wrong;
    b->unequal += v->audited && (v->in != v->taken || v->out != v->given);
    b->missing += c->received > v->out || v->out - c->received > (uint64_t)v->unsent || v->in > c->sent;
    b->unaudited += !v->audited;
}

/* Ends a line by what is to be thought of it. */
static int verdict(int fine, const char *wrong)
{
    printf("  %s%s%s%s\n", in(fine ? GREEN : RED), fine ? "ok" : "WRONG: ", fine ? "" : wrong, out());
    return !fine;
}

static int show_outcomes(const struct bough_tally *t)
{
    printf("outcomes      %zu ok, %zu interrupted, %zu error, %zu not started, %zu lost", t->count[BOUGH_OK],
           t->count[BOUGH_INTERRUPTED], t->count[BOUGH_ERROR], t->count[BOUGH_NOT_STARTED], t->count[BOUGH_LOST]);
    int fine = t->added == CLIENTS && t->count[BOUGH_OK] == CLIENTS - STAYING && t->count[BOUGH_INTERRUPTED] == STAYING;
    return verdict(fine, "500 should have been interrupted, 25 have left by themselves");
}

static int show_descriptors(const struct shared *s)
{
    printf("descriptors   server: %d before, %d after; clients: %d before, %d after", s->descriptors_before,
           s->descriptors_after, s->clients_before, s->clients_after);
    return verdict(s->descriptors_before == s->descriptors_after && s->clients_before == s->clients_after, "leaked");
}

static int show_bytes(const struct balance *b)
{
    int wrong = 0;
    printf("bytes in      %s sent by the clients: %s read, %s in the kernel's buffers", number(b->sent),
           number(b->read), number(b->sent - b->read));
    wrong += verdict(b->unread <= b->sent - b->read, "more was read than was sent");
    printf("bytes out     %s written: %s read by the clients, %s in full send buffers", number(b->written),
           number(b->received), number(b->unsent));
    wrong += verdict(b->missing == 0, "a connection's count does not add up");
    printf("              each byte was the one that was to come next");
    wrong += verdict(b->wrong == 0, "the echo is not what was sent");
    printf("by the kernel %s read, %s written", number(b->taken), number(b->given));
    if (!b->unaudited)
        return wrong + verdict(b->unequal == 0, "a call has lost bytes, or had them twice");
    printf("  %d connections could not be asked (TCP_INFO)\n", b->unaudited);
    return wrong;
}

static int show_status(int status)
{
    int fine = status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
    printf("exit status   ");
    if (fine)
        printf("%d for a shell: ended by SIGINT", 128 + SIGINT);
    else if (status == -1)
        printf("none: the server did not end, and was killed");
    else
        printf("%d", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    return verdict(fine, "should be SIGINT's, 130");
}

int show_balance(const struct shared *s, bough_time signalled, int status)
{
    struct balance b = {.wrong = 0};
    int wrong = 0;
    for (int i = 0; i < CLIENTS; i++)
        add_up(&b, &s->client[i], served_of(s, i));
    if (s->joined)
        printf("%s%.1f ms%s from SIGINT to the last join\n", in(BOLD), (double)(s->joined - signalled) / 1e6, out());
    wrong += show_outcomes(&s->tally);
    wrong += show_descriptors(s);
    wrong += show_bytes(&b);
    wrong += show_status(status);
    printf("%s%s%s\n", in(wrong ? RED : GREEN), wrong ? "Something is wrong." : "Nothing was lost.", out());
    return wrong;
}
