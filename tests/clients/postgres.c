/* SPDX-License-Identifier: MIT */
/* libpq with a real PostgreSQL: each request is interrupted while it waits, PQfinish() sends its closing message, and
 * no session remains. */
#include <netinet/in.h>
#include <sys/socket.h>
#include "database.h"

static const char *text;

static PGconn *connect_to_it(void)
{
    PGconn *db = PQconnectdb("application_name=cut gssencmode=disable sslmode=disable");
    if (PQstatus(db) != CONNECTION_OK)
        FAIL("%s", PQerrorMessage(db));
    return db;
}

static PGconn *begin_session(void)
{
    PGconn *db = connect_to_it();
    session = PQbackendPID(db);
    return db;
}

static void end_session(PGconn *db)
{
    session = 0;
    PQfinish(db);
}

static int ask(void)
{
    PGconn *db = begin_session();
    PGresult *result = PQexec(db, text);
    client_back();
    int wrong = PQresultStatus(result) != PGRES_FATAL_ERROR;
    PQclear(result);
    end_session(db);
    return wrong;
}

/* Holds the lock that keeps the server from reading: a client's closing message is hidden behind the data that was not
 * read. */
static PGconn *stopper;

static void check_new_connection(void)
{
    PGconn *db = connect_to_it();
    PGresult *result = PQexec(db, "select 42");
    CHECK_EQ(PQresultStatus(result), PGRES_TUPLES_OK);
    CHECK_EQ(strcmp(PQgetvalue(result, 0, 0), "42"), 0);
    PQclear(result);
    PQfinish(db);
    if (stopper)
        PQclear(PQexec(stopper, "select pg_advisory_unlock(2)"));
    until_no_session_is_left();
    if (stopper)
        PQclear(PQexec(stopper, "select pg_advisory_lock(2)"));
}

static void run(const char *what, int (*request)(void), bool (*blocked)(void), int count)
{
    cut_sessions(what, request, check_new_connection, blocked, count);
}

TEST_LIMIT(a_query_that_sleeps_is_interrupted, 300)
{
    text = "select pg_sleep(3600)";
    run("libpq|PQexec(), select pg_sleep()", ask, is_active, 500);
}

TEST_LIMIT(a_wait_for_a_lock_is_interrupted, 300)
{
    PGconn *holder = connect_to_it();
    PQclear(PQexec(holder, "set application_name = 'holder'; select pg_advisory_lock(1)"));
    text = "select pg_advisory_lock(1)";
    run("libpq|PQexec(), a lock", ask, is_active, 200);
    PQfinish(holder);
}

static _Atomic bool copying;

static int copy_out(void)
{
    copying = false;
    PGconn *db = begin_session();
    PGresult *result = PQexec(db, "copy (select repeat('x', 10000) from generate_series(1, 10) as s, "
                                  "lateral (select pg_sleep(case when s > 5 then 3600 else 0 end)) as p) to stdout");
    int wrong = PQresultStatus(result) != PGRES_COPY_OUT, n;
    PQclear(result);
    char *row = NULL;
    copying = !wrong;
    while ((n = PQgetCopyData(db, &row, 0)) > 0)
        PQfreemem(row);
    client_back();
    end_session(db);
    return wrong || n != -2;
}

static bool is_in_its_middle(void)
{
    return copying && is_active();
}

TEST_LIMIT(a_copy_that_stalls_is_interrupted, 300)
{
    run("libpq|PQgetCopyData()", copy_out, is_in_its_middle, 100);
}

/* The server stops reading: a trigger waits for a lock. */
static int copy_in(void)
{
    static char rows[1 << 16];
    memset(rows, 'x', sizeof rows);
    for (size_t i = 1023; i < sizeof rows; i += 1024)
        rows[i] = '\n';
    PGconn *db = begin_session();
    PGresult *result = PQexec(db, "copy slow from stdin");
    int wrong = PQresultStatus(result) != PGRES_COPY_IN, n;
    PQclear(result);
    while ((n = PQputCopyData(db, rows, sizeof rows)) > 0)
        ;
    client_back();
    end_session(db);
    return wrong || n != -1;
}

static bool waits_for_lock(void)
{
    return session != 0 && count_sessions("wait_event = 'advisory'") == 1;
}

TEST_LIMIT(a_copy_that_the_server_does_not_read_is_interrupted, 300)
{
    PGconn *holder = connect_to_it();
    PQclear(PQexec(holder, "set application_name = 'holder'; select pg_advisory_lock(2);"
                           "create table slow (line text);"
                           "create function wait() returns trigger language plpgsql as "
                           "'begin perform pg_advisory_xact_lock(2); return null; end';"
                           "create trigger t before insert on slow for each statement execute function wait()"));
    stopper = holder;
    /* PQfinish() tries to send a last message, and waits for room until it is interrupted again */
    client.ways.grace = BOUGH_MS(50);
    run("libpq|PQputCopyData()", copy_in, waits_for_lock, 60);
    PQfinish(holder);
}

/* ---- a silent host ----------------------------------------------------------------------------------------------- */

static int silent_port;

static int connect_in_vain(void)
{
    char where[100];
    snprintf(where, sizeof where, "host=127.0.0.1 port=%d dbname=x gssencmode=disable", silent_port);
    PGconn *db = PQconnectdb(where);
    client_back();
    int wrong = PQstatus(db) != CONNECTION_BAD;
    PQfinish(db);
    return wrong;
}

TEST_LIMIT(a_connect_to_a_silent_host_is_interrupted, 300)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(fd, 1000), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    silent_port = ntohs(at.sin_port);
    run("libpq|PQconnectdb() to a silent host", connect_in_vain, NULL, 100);
    close(fd);
}
