/* SPDX-License-Identifier: MIT */
/* MariaDB's client with a real server, and with a silent host. */
#include "silent.h"
#include <mysql.h>

/* ---- a query ----------------------------------------------------------------------------------------------------- */

static MYSQL *connect_to_it(void)
{
    MYSQL *db = mysql_init(NULL);
    CHECK(db);
    if (!mysql_real_connect(db, "127.0.0.1", "root", "", NULL, (unsigned)atoi(getenv("CLIENTS_MARIADB")), NULL, 0))
        FAIL("%s", mysql_error(db));
    return db;
}

static volatile bool asks;

static bool is_asking(void)
{
    return asks;
}

static int query(void)
{
    asks = false;
    MYSQL *db = connect_to_it();
    asks = true;
    int code = mysql_query(db, "select sleep(3600)");
    mysql_close(db);
    mysql_thread_end();
    return code == 0;
}

static void check_new_connection(void)
{
    MYSQL *db = connect_to_it();
    CHECK_EQ(mysql_query(db, "select 42"), 0);
    MYSQL_RES *result = mysql_store_result(db);
    CHECK(result);
    CHECK_STR(mysql_fetch_row(result)[0], "42");
    mysql_free_result(result);
    mysql_close(db);
}

static void end(void)
{
    mysql_library_end();
}

WAIT(mysql_query, .library = "libmariadb", .call = "mysql_query(), select sleep()", .run = query, .ready = is_asking,
     .check = check_new_connection, .finish = end)

/* ---- connections ------------------------------------------------------------------------------------------------- */

/* Makes one connection after the other. After connect() the library pauses and ignores the pause's result. Fixed bug:
 * when that pause counted as the delivery of an interrupt, the library went on waiting until the grace period was
 * over. */
static int connect_again_and_again(void)
{
    for (bool connected = true; connected;) {
        MYSQL *db = mysql_init(NULL);
        connected = mysql_real_connect(db, "127.0.0.1", "root", "", NULL, (unsigned)atoi(getenv("CLIENTS_MARIADB")),
                                       NULL, 0) != NULL;
        mysql_close(db);
    }
    mysql_thread_end();
    return 0;
}

WAIT(connections, .library = "libmariadb", .call = "mysql_real_connect() in a loop, at any moment",
     .run = connect_again_and_again, .check = check_new_connection, .finish = end, .anywhere = true, .count = 1000)

/* ---- a silent host ----------------------------------------------------------------------------------------------- */

static void begin_silence(void)
{
    silent_begin(SOCK_STREAM);
}

static int connect_in_vain(void)
{
    MYSQL *db = mysql_init(NULL);
    bool connected = mysql_real_connect(db, "127.0.0.1", "root", "", NULL, (unsigned)silent_port, NULL, 0);
    mysql_close(db);
    mysql_thread_end();
    return connected;
}

static void end_silence(void)
{
    silent_end();
    mysql_library_end();
}

WAIT(mysql_real_connect, .library = "libmariadb", .call = "mysql_real_connect() to a silent host",
     .prepare = begin_silence, .run = connect_in_vain, .finish = end_silence)
