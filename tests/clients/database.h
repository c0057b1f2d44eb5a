/* SPDX-License-Identifier: MIT */
/* Queries of the test to PostgreSQL, on a connection that is not interrupted. The requests that are interrupted have
 * the application name "cut". */
#ifndef CLIENTS_DATABASE_H
#define CLIENTS_DATABASE_H

#include <libpq-fe.h>
#include "client.h"

#define CONTROL "application_name=control gssencmode=disable sslmode=disable"

static PGconn *control;
static _Atomic int session; /* the server's process for the request that is to be interrupted; 0: there is none yet */

static inline long number(const char *query)
{
    PGresult *result = PQexec(control, query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        FAIL("%s", PQerrorMessage(control));
    long n = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return n;
}

static inline long count_sessions(const char *condition)
{
    char query[200];
    snprintf(query, sizeof query, "select count(*) from pg_stat_activity where pid = %d and %s", session, condition);
    return number(query);
}

/* The server has the request, so the client waits for the answer. */
static inline bool is_active(void)
{
    return session != 0 && count_sessions("state = 'active'") == 1;
}

static inline void until_no_session_is_left(void)
{
    t_until(number("select count(*) from pg_stat_activity where application_name = 'cut'") == 0);
}

static inline void cut_sessions(const char *what, int (*request)(void), void (*check)(void), bool (*blocked)(void),
                                int count)
{
    control = PQconnectdb(CONTROL);
    CHECK_EQ(PQstatus(control), CONNECTION_OK);
    client.request = request;
    client.check = check;
    client.blocked = blocked;
    client_cut(what, count);
    PQfinish(control);
}

#endif
