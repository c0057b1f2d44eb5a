# SPDX-License-Identifier: MIT
"""sqlite3: locks of other connections, user functions that block, backups."""
import importlib
import sqlite3
import threading
import unittest
from contextlib import ExitStack, closing, contextmanager

import blocking
import bough
from blocking import Call
from channels import path

cases = blocking.Cases(__name__)
case = cases.case
UPDATE = "update t set x = x + 1"


@contextmanager
def database():
    bough.opt_in()  # a connection that was opened before the opt-in would wait in SQLite's function
    with path() as name, closing(sqlite3.connect(name, isolation_level=None)) as connection:
        connection.execute("create table t(x)")
        connection.execute("insert into t values (1)")
        connection.execute("create table blobs(x)")
        connection.execute("insert into blobs values (x'00')")
        yield name, connection


@contextmanager
def locked(begin="begin exclusive"):
    """Another connection holds the lock. Yields a connection, and a function that releases the lock."""
    with database() as (name, owner):
        owner.execute(begin)
        with closing(sqlite3.connect(name, timeout=3600, check_same_thread=False)) as connection:
            yield connection, lambda: owner.in_transaction and owner.rollback()


def waiting(call, function, result=None, **settings):
    @case(call, "another's lock")
    def _():
        with locked() as (connection, release):
            yield Call(lambda: function(connection), release, result, **settings)


waiting("sqlite3.Connection.execute()", lambda c: c.execute("select x from t").fetchall(), [(1,)])
waiting("sqlite3.Connection.executemany()", lambda c: c.executemany("update t set x = ?", [(1,)]).rowcount, 1)
waiting("sqlite3.Connection.executescript()", lambda c: c.executescript("select x from t"))
waiting(
    "sqlite3.Connection.blobopen()",
    lambda c: c.blobopen("blobs", "x", 1).close(),
    again=False,
    state="usable; the next blobopen() fails at once, as after a timeout",
)


@contextmanager
def reader_in_the_way():
    """Yields a connection whose commit waits for a reader, and a function that ends the reader."""
    with database() as (name, reader), closing(sqlite3.connect(name, timeout=3600, check_same_thread=False)) as writer:
        rows = reader.execute("select x from t")
        rows.fetchone()
        reader.execute("begin")
        reader.execute("select x from t").fetchall()
        writer.execute(UPDATE)
        yield writer, reader.rollback


@case("sqlite3.Connection.commit()", "another's lock")
def _():
    """the transaction stays open after the interrupt, and can be committed"""
    with reader_in_the_way() as (writer, release):
        yield Call(writer.commit, release)


@case("sqlite3.Connection.__exit__()", "another's lock")
def _():
    """if an interrupt ends the commit, the block's end rolls the transaction back"""
    with reader_in_the_way() as (writer, release):

        def call():
            with writer:
                pass

        yield Call(call, release, again=False, state="the transaction is rolled back")


# ---- functions of Python's --------------------------------------------------------------------------------------------------


@contextmanager
def blocking_function():
    event = threading.Event()
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        connection.create_function("wait", 0, lambda: event.wait() and 7)
        yield connection, event.set


@case("sqlite3.Connection.execute()", "a user function that blocks")
def _():
    with blocking_function() as (connection, release):
        yield Call(lambda: connection.execute("select wait()").fetchone(), release, (7,))


@case("sqlite3.Cursor.fetchone()", "a user function that blocks")
def _():
    """the function blocks for the second row"""
    with blocking_function() as (connection, release):
        rows = "select 1 union all select wait()"

        def call():
            cursor = connection.execute(rows)
            cursor.fetchone()
            return cursor.fetchone()

        yield Call(call, release, (7,))


@case("sqlite3.Cursor.fetchall()", "a user function that blocks")
def _():
    with blocking_function() as (connection, release):
        rows = "select 1 union all select wait()"
        yield Call(lambda: connection.execute(rows).fetchall(), release, [(1,), (7,)])


# ---- backups ------------------------------------------------------------------------------------------------------------------


@contextmanager
def backup(timeout):
    """A target that another connection has locked, and a source."""
    with database() as (name, owner), ExitStack() as stack:
        owner.execute("begin exclusive")
        open_ = lambda *args, **options: stack.enter_context(  # noqa: E731
            closing(sqlite3.connect(*args, check_same_thread=False, **options))
        )
        yield open_(":memory:"), open_(name, timeout=timeout), owner.rollback


@case("sqlite3.Connection.backup()", "another's lock")
def _():
    with backup(3600) as (source, target, release):
        yield Call(lambda: source.backup(target), release)


@case("sqlite3.Connection.backup()", "its sleep")
def _():
    with backup(0) as (source, target, release):
        yield Call(lambda: source.backup(target, sleep=0.5), release)


@case("sqlite3.Connection.backup()", "a progress function that blocks")
def _():
    event = threading.Event()
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as source:
        source.execute("create table t(x)")
        with closing(sqlite3.connect(":memory:", check_same_thread=False)) as target:
            yield Call(lambda: source.backup(target, progress=lambda *_: event.wait()), event.set)


# ---- dbm --------------------------------------------------------------------------------------------------------------------------


@case("dbm.sqlite3.open()", "another's lock")
def _():
    """waits for 5 s at most, the timeout of its connection; SQLite ignores the failure of its first statement"""
    module = importlib.import_module("dbm.sqlite3")
    with database() as (name, owner):
        owner.execute("begin exclusive")
        yield Call(lambda: module.open(name, "c").close(), lambda: owner.in_transaction and owner.rollback())


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
