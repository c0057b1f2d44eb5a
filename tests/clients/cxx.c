/* SPDX-License-Identifier: MIT */
/* libpqxx, a client in C++ (cxx.cpp), with a real PostgreSQL. */
#include "database.h"

int cxx_sleep(void (*begun)(int session), void (*back)(void));
int cxx_answer(void);

static void begun(int of)
{
    session = of;
}

static int request(void)
{
    session = 0;
    return cxx_sleep(begun, client_back);
}

static void check_new_connection(void)
{
    CHECK_EQ(cxx_answer(), 42);
    until_no_session_is_left();
}

TEST_LIMIT(an_interrupted_query_throws_an_exception, 300)
{
    cut_sessions("libpqxx|nontransaction::exec()", request, check_new_connection, is_active, 500);
}
