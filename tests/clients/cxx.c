/* SPDX-License-Identifier: MIT */
/* libpqxx, a client in C++ (cxx.cpp), with a real PostgreSQL. */
#include "client.h"
#include <libpq-fe.h>

int cxx_sleep(void (*begun)(int session), void (*back)(void));
int cxx_answer(void);

static _Atomic int session;
static PGconn *control;

static long count(const char *condition, int of)
{
    char query[200];
    snprintf(query, sizeof query, "select count(*) from pg_stat_activity where application_name = 'cut' and %s %d",
             condition, of);
    PGresult *result = PQexec(control, query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        FAIL("%s", PQerrorMessage(control));
    long n = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return n;
}

static void begun(int of)
{
    session = of;
}

static int request(void)
{
    session = 0;
    return cxx_sleep(begun, client_back);
}

static bool is_active(void)
{
    return session != 0 && count("state = 'active' and pid =", session) == 1;
}

static void check_new_connection(void)
{
    CHECK_EQ(cxx_answer(), 42);
    t_until(count("pid <>", 0) == 0);
}

TEST_LIMIT(a_query_ends_by_an_exception, 300)
{
    control = PQconnectdb("application_name=control gssencmode=disable sslmode=disable");
    CHECK_EQ(PQstatus(control), CONNECTION_OK);
    client.request = request;
    client.check = check_new_connection;
    client.blocked = is_active;
    client_cut("libpqxx", 500);
    PQfinish(control);
}
