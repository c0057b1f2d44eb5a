/* SPDX-License-Identifier: MIT */
/*
 * The demonstration: a server of 500 handler threads that is stopped by SIGINT while its clients idle, stream, or do
 * not read what they asked for. Three processes, which share one mapping to keep account:
 *
 *      demo.c           starts the others, waits until all is as it should be, sends the signal
 *      demo_server.c    server.c, with its calls counted
 *      demo_clients.c   all the clients, in one thread
 *      demo_show.c      what is printed, and the verdict
 */
#ifndef DEMO_H
#define DEMO_H

#include <bough.h>
#include <netinet/in.h>
#include <stdint.h>

enum kind { IDLE, STREAMING, STUCK, VISITOR, KINDS };
enum { CLIENTS = 525, STAYING = 500 };

/* 200 idle, 150 streaming, 150 stuck, mixed; then 25 visitors, which leave by themselves. */
static inline enum kind kind_of(int client)
{
    static const enum kind ten[] = {IDLE, STREAMING, STUCK, IDLE, STREAMING, STUCK, IDLE, STREAMING, STUCK, IDLE};
    return client < STAYING ? ten[client % 10] : VISITOR;
}

enum doing { NOTHING, READING, WRITING, ENDED };

/* A connection as the server has it, found by its client's port. */
struct served {
    _Atomic int fd; /* and one more; 0: none yet */
    _Atomic int doing;
    _Atomic uint64_t in, out;  /* the numbers of bytes that its calls have returned */
    _Atomic int end_of_file;   /* the client has closed its side */
    _Atomic int queued, still; /* what waits in the send buffer, for how many looks it has not moved */
    int unread, unsent;        /* in the kernel's buffers at its end */
    uint64_t taken, given;     /* in and out again, as the kernel has counted them */
    int audited;
};

/* The same as its client has it. */
struct client {
    _Atomic int port; /* 0: not connected yet */
    _Atomic uint64_t sent, received;
    _Atomic uint64_t wrong; /* bytes that are not the next ones: something was lost or came twice */
    _Atomic int ended;
};

struct shared {
    struct served served[65536];
    struct client client[CLIENTS];
    _Atomic int stop_watching, watched, clients_failed;
    int descriptors_before, descriptors_after, clients_before, clients_after;
    bough_time joined; /* CLOCK_MONOTONIC */
    struct bough_tally tally;
};

static inline const struct served *served_of(const struct shared *s, int client)
{
    return &s->served[s->client[client].port];
}

/* How many descriptors the calling process has open. */
int open_descriptors(void);
int64_t monotonic(void);

/* The two other processes; they return what main() is to return. */
int run_server(struct shared *shared, int listener);
int run_clients(struct shared *shared, struct sockaddr_in address);

/* How many clients of a kind are where they are to be, and how many there are. */
struct where {
    int there, all;
};
void look_around(const struct shared *s, struct where where[KINDS]);

void show_begin(void);
/* One line of progress, which the next replaces on a terminal; `done` ends it. */
void show_progress(int done, const char *format, ...) __attribute__((format(printf, 2, 3)));
void show_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
void show_tree(const struct shared *s, int server, uint64_t echoed_in_a_second);
/* Prints the balance; returns how much of it is wrong. */
int show_balance(const struct shared *s, bough_time signalled, int status);

#endif
