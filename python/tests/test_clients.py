# SPDX-License-Identifier: MIT
"""Client libraries that raise their exceptions for interrupted calls: the call counts as interrupted. With real
servers."""
import concurrent.futures
import contextlib
import importlib
import os
import random
import signal
import socket
import threading
import time
import unittest
from pathlib import Path

import bough
from bough import branch
from branching import A
from servers import server
from causes import Causes
from tools import until

limit = 120
stays = ("anon_inode:*event*", "/etc/*", "/dev/urandom")


def client(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Client:
    """A library: `module` is its name, `server` its server, `error` its exceptions, work() a call that does not return."""

    server = error = missing = None
    asks = False  # whether it checks for signals while it waits; then its call raises the interrupt's exception

    @classmethod
    def setUpClass(cls):
        cls.library = client(cls.module)
        if cls.library is None:
            cls.missing = f"{cls.module} is not installed for this interpreter"
        elif cls.server:
            try:
                cls.enterClassContext(server(cls.server))
            except unittest.SkipTest as why:
                cls.missing = str(why)

    def setUp(self):
        if self.missing:
            self.skipTest(self.missing)
        self.tids = []

    noted, until_blocked, ends_when_blocked = Causes.noted, Causes.until_blocked, Causes.ends_when_blocked

    def test_deadline(self):
        for child in False, True:
            with self.subTest(child=child):
                with self.assertRaises(TimeoutError) as caught, branch() as b:
                    if child:
                        b.add(self.noted(self.work))
                        self.ends_when_blocked(b)
                    else:
                        b.set_deadline(time.monotonic() + 0.5)
                        self.work()
                self.tids.clear()
                self.assertIsInstance(caught.exception.__cause__, type(None) if self.asks else self.error)
                self.assertIn("in work", caught.exception.__notes__[0])

    def test_own_stop(self):
        with branch() as b:
            child = b.add(self.noted(self.work))
            self.until_blocked()
            b.interrupt()
        self.assertEqual(child.outcome, "interrupted")

    def test_alone(self):
        with branch(supervisor=True) as b:
            child = b.add(self.noted(self.work))
            self.until_blocked()
            child.interrupt()
            child.join()
        self.assertEqual((child.outcome, b.failures), ("interrupted", []))

    def test_sibling(self):
        with self.assertRaises(A), branch() as b:
            for _ in range(2):
                b.add(self.noted(self.work))
            self.until_blocked(2)
            raise A

    def test_pool(self):
        bough.opt_in(pools=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            future = pool.submit(self.noted(self.work))
            self.until_blocked()
            future.cancel()
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()

    def test_at_random_moments(self):
        """also while it connects, or works"""
        for _ in range(30):
            with branch(supervisor=True) as b:
                child = b.add(self.work)
                time.sleep(random.random() * 0.02)
                child.interrupt()
                child.join()
            self.assertEqual((child.outcome, b.failures), ("interrupted", []))

    def test_real_error(self):
        """after an interrupt, and at another instruction: a failure"""
        def body():
            with contextlib.suppress(bough.ThreadExit if self.asks else self.error):
                self.work()
            self.fails()

        with branch(supervisor=True) as b:
            child = b.add(self.noted(body))
            self.until_blocked()
            child.interrupt()
            child.join()
        self.assertEqual(child.outcome, "error")
        self.assertIsInstance(child.exception, self.error)


class Psycopg(Client, unittest.TestCase):
    module, server = "psycopg2", "postgres"
    error = property(lambda self: self.library.Error)

    def connect(self):
        connection = self.library.connect("")
        connection.autocommit = True
        return contextlib.closing(connection)

    def execute(self, text):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()

    def work(self):
        self.execute("select pg_sleep(3600)")

    def fails(self):
        self.library.connect("dbname=nowhere connect_timeout=5 user=nobody options=--nonsense")

    def test_cancel(self):
        """on_interrupt(connection.cancel): the query ends, and the connection's next command works"""
        def body():
            with self.connect() as connection, connection.cursor() as cursor:
                pids.append(connection.info.backend_pid)
                try:
                    with bough.on_interrupt(connection.cancel, deadline=3600):
                        cursor.execute("select pg_sleep(3600)")
                finally:
                    cursor.execute("select 1")
                    seen.append(cursor.fetchone())

        def until_it_works():
            """Retries cancel() until it works, because the server drops a request that comes before the query."""
            until(lambda: pids, "a connection")
            query = f"select state = 'active' and query like '%pg_sleep%' from pg_stat_activity where pid = {pids.pop()}"
            until(lambda: self.execute(query) == [(True,)], "the query's begin")

        seen, pids = [], []
        for _ in range(5):
            with self.assertRaises(TimeoutError) as caught, branch() as b:
                b.add(body)
                until_it_works()
                b.set_deadline(time.monotonic())
            self.assertIsInstance(caught.exception.__cause__, self.library.extensions.QueryCanceledError)
            with branch() as b:
                child = b.add(body)
                until_it_works()
                child.interrupt()
            self.assertEqual(child.outcome, "interrupted")
        self.assertEqual(seen, [(1,)] * 10)

    def test_cancelled_by_the_server(self):
        """the server's timeout, while no interrupt is pending, is a failure"""
        with self.assertRaises(self.library.extensions.QueryCanceledError), branch() as b:
            b.add(self.execute, "set statement_timeout = 100; select pg_sleep(3600)")


class MySQL(Client, unittest.TestCase):
    module, server = "MySQLdb", "mariadb"
    error = property(lambda self: self.library.Error)

    def execute(self, text):
        port = int(os.environ["CLIENTS_MARIADB"])
        with contextlib.closing(self.library.connect(host="127.0.0.1", port=port, user="root")) as connection:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(text)
                return cursor.fetchall()

    def work(self):
        self.execute("select sleep(3600)")

    def fails(self):
        self.execute("nonsense")


class Ldap(Client, unittest.TestCase):
    """The server is stopped by SIGSTOP, and so does not answer."""

    module, server = "ldap", "slapd"
    error = property(lambda self: self.library.LDAPError)

    def setUp(self):
        super().setUp()
        pid = int(os.environ["CLIENTS_LDAP_PID"])
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        until(lambda: all(self.stands(task) for task in Path(f"/proc/{pid}/task").iterdir()), "the server stands still")

    @staticmethod
    def stands(task):
        return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"

    def work(self):
        connection = self.library.initialize(f"ldap://127.0.0.1:{os.environ['CLIENTS_LDAP']}")
        connection.search_s("dc=example", self.library.SCOPE_BASE)

    def fails(self):
        self.library.initialize("ldap://127.0.0.1:1").search_s("dc=example", self.library.SCOPE_BASE)


class Curl(Client, unittest.TestCase):
    module = "pycurl"
    error = property(lambda self: self.library.error)

    @property
    def asks(self):
        extension = getattr(self.library, "_pycurl", self.library)  # a package, in newer versions
        return b"PyErr_CheckSignals" in Path(extension.__file__).read_bytes()

    def setUp(self):
        super().setUp()
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(self.silent.close)

    def perform(self, url, write=None):
        with contextlib.closing(self.library.Curl()) as curl:
            curl.setopt(curl.URL, url)
            curl.setopt(curl.NOSIGNAL, 1)
            if write:
                curl.setopt(curl.WRITEFUNCTION, write)
            curl.perform()

    def work(self):
        self.perform(f"http://127.0.0.1:{self.silent.getsockname()[1]}/")

    def fails(self):
        self.perform("http://127.0.0.1:1/")

    def test_in_a_callback(self):
        """interrupted in a function that libcurl calls: pycurl prints its exception, which ends no process"""
        def body():
            self.perform(url, lambda data: time.sleep(3600))

        def serve():
            connection, _ = self.silent.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")

        url = f"http://127.0.0.1:{self.silent.getsockname()[1]}/"
        thread = threading.Thread(target=serve)
        thread.start()
        with branch() as b:
            child = b.add(self.noted(body))
            thread.join()
            self.until_blocked()
            child.interrupt()
        self.assertEqual(child.outcome, "interrupted")


if __name__ == "__main__":
    unittest.main()
