/* SPDX-License-Identifier: MIT */
/* A C++ client: libpqxx throws an exception when its call is interrupted, and its destructors clean up. */
#include <exception>
#include <pqxx/pqxx>

extern "C" int cxx_sleep(void (*begun)(int session), void (*back)(void));
extern "C" int cxx_answer(void);

static const char where[] = "application_name=cut gssencmode=disable sslmode=disable";

/* Returns 0 if the query ended by an exception, as expected. */
extern "C" int cxx_sleep(void (*begun)(int session), void (*back)(void))
{
    try {
        pqxx::connection db(where);
        pqxx::nontransaction work(db);
        begun(db.backendpid());
        work.exec("select pg_sleep(3600)");
        return 1;
    } catch (const std::exception &) {
        back();
        return 0;
    }
}

extern "C" int cxx_answer(void)
{
    try {
        pqxx::connection db(where);
        pqxx::nontransaction work(db);
        return work.exec("select 42")[0][0].as<int>();
    } catch (const std::exception &) {
        return -1;
    }
}
