# SPDX-License-Identifier: MIT
"""
The functions of docs/python.md that stop a query, a request or a subprocess, against the real servers. Each is interrupted in
a branch's child and by a deadline while the server reports that it works; then the server has stopped, and the connection has
the state that the guide describes.
"""
import os
import re
import sqlite3
import threading
import time
import unittest
from pathlib import Path

import bough
import servers
from guide import load
from installed import needs
from process import run
from tools import until

limit = 120
stays = ("anon_inode:*event*",)
guide = load()
SCALE = float(os.environ.get("T_SCALE", 1))
HOUR = 3600
MARK = os.getpid()  # distinguishes commands from those of other runs on this machine


class Client(unittest.TestCase):
    """A test with `server` of with_servers.py. setUp() opens the connection that waits() uses. waits() is interrupted
    when works() is true."""

    server = error = None

    @classmethod
    def setUpClass(cls):
        bough.opt_in()
        if cls.server:
            cls.enterClassContext(servers.server(cls.server))

    def interrupted(self, waits, works):
        """Interrupts waits() in both ways, one after the other."""
        with bough.branch() as b:
            child = b.add(waits)
            until(works, "the server's work")
            begin = time.monotonic()
            child.interrupt("enough")
            child.join()
            took = time.monotonic() - begin
        self.assertEqual((child.outcome, child.exception), ("interrupted", None))
        self.assertLess(took, 4.5 * SCALE)  # after 5 s the calls are interrupted
        self.is_over(works)
        with self.assertRaises(TimeoutError), bough.branch() as b:
            b.add(waits)
            until(works, "the server's work")
            b.set_deadline(time.monotonic())
        self.is_over(works)

    def is_over(self, works):
        until(lambda: not works(), "the end of the server's work")
        self.usable()


@needs("psycopg2")
class Postgres(Client):
    server = "postgres"

    def test_query(self):
        import psycopg2

        self.connection, admin = psycopg2.connect(""), psycopg2.connect("")
        admin.autocommit = True
        pid = self.connection.info.backend_pid
        query = f"select state = 'active' and query like '%pg_sleep%' from pg_stat_activity where pid = {pid}"

        def works():
            with admin.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchone()[0]

        self.interrupted(lambda: guide.postgres_query(self.connection, f"select pg_sleep({HOUR})"), works)
        self.connection.close()
        admin.close()

    def usable(self):
        self.connection.rollback()
        for n in range(20):
            assert guide.postgres_query(self.connection, f"select {n}") == [(n,)]


@needs("MySQLdb")
class MariaDB(Client):
    server = "mariadb"

    def test_query(self):
        import MySQLdb

        address = {"host": "127.0.0.1", "port": int(os.environ["CLIENTS_MARIADB"]), "user": "root"}
        self.address, self.connection, admin = address, MySQLdb.connect(**address), MySQLdb.connect(**address)

        def works():
            with admin.cursor() as cursor:
                cursor.execute("SHOW PROCESSLIST")
                return any(row[7] and "SLEEP" in row[7] for row in cursor.fetchall())

        self.interrupted(lambda: guide.maria_query(self.connection, f"SELECT SLEEP({HOUR})", **address), works)
        self.connection.close()
        admin.close()

    def usable(self):
        for n in range(20):
            assert guide.maria_query(self.connection, f"SELECT {n}", **self.address) == ((n,),)


class SQLite(Client):
    def test_query(self):
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        running = threading.Event()
        self.connection.create_function("begins", 0, lambda: running.set() or 1)
        statement = "with recursive t(n) as (select begins() union all select n + 1 from t) select count(*) from t"

        def waits():
            try:
                guide.sqlite_query(self.connection, statement)
            finally:
                running.clear()

        self.interrupted(waits, running.is_set)
        self.connection.close()

    def usable(self):
        assert guide.sqlite_query(self.connection, "select 1") == [(1,)]


@needs("requests")
class Requests(Client):
    server = "nginx"

    def active(self):
        text = guide.fetch(os.environ["CLIENTS_WEB"] + "/status", verify=os.environ["CLIENTS_CA"]).decode()
        return int(re.search(r"Active connections: (\d+)", text).group(1)) > 1

    def request(self, path):
        url = os.environ["CLIENTS_WEB"] + path
        self.interrupted(lambda: guide.fetch(url, verify=os.environ["CLIENTS_CA"]), self.active)

    def test_no_answer(self):
        self.request("/silent")

    def test_slow_answer(self):
        self.request("/slow")

    def usable(self):
        answer = guide.fetch(os.environ["CLIENTS_WEB"] + "/quick", verify=os.environ["CLIENTS_CA"])
        self.assertEqual(answer, b"quick\n")


@needs("redis")
class Redis(Client):
    server = "redis"

    def test_take(self):
        import redis

        def works():
            return self.client.info("clients")["blocked_clients"] > 0

        self.client = redis.Redis(port=int(os.environ["CLIENTS_REDIS"]))
        self.interrupted(lambda: guide.take(self.client, "queue"), works)
        self.client.connection_pool.disconnect()

    def usable(self):
        self.client.rpush("queue", "next")
        self.assertEqual(guide.take(self.client, "queue"), (b"queue", b"next"))


def processes(word):
    """The processes on this machine that run this command."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in cmdline.read_bytes().split(b"\0"):
                found.append(int(cmdline.parent.name))
        except OSError:
            pass  # it has ended
    return found


@needs("paramiko")
class SSH(Client):
    server = "sshd"

    def test_command(self):
        import paramiko

        with paramiko.SSHClient() as self.client:
            self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            self.client.connect(
                "127.0.0.1",
                int(os.environ["CLIENTS_SSH"]),
                os.environ["CLIENTS_SSH_USER"],
                key_filename=os.environ["CLIENTS_SSH_KEY"],
                allow_agent=False,
                look_for_keys=False,
            )
            self.interrupted(lambda: guide.remote(self.client, f"sleep 3601.{MARK}"), lambda: processes(f"3601.{MARK}"))

    def usable(self):
        self.assertEqual(guide.remote(self.client, "echo hello"), b"hello\r\n")


class Group(Client):
    def test_group(self):
        command = ["sh", "-c", f"sleep 3602.{MARK} & sleep 3602.{MARK}; true"]
        self.interrupted(lambda: guide.run_group(command), lambda: len(processes(f"3602.{MARK}")) == 2)

    def usable(self):
        until(lambda: not processes(f"3602.{MARK}"), "the end of the whole group")
        self.assertEqual(guide.run_group(["echo", "hello"]), b"hello\n")


@needs("grpc")
class GRPC(unittest.TestCase):
    """In separate processes, because grpc keeps threads and descriptors until its process ends."""

    def test_call(self):
        process = run(Path(__file__).parent / "grpc_call.py")
        self.assertEqual((process.status, process.out.splitlines()), (0, ["interrupted", "usable", "TimeoutError", "usable"]), str(process))


if __name__ == "__main__":
    unittest.main()
