# SPDX-License-Identifier: MIT
"""Lookups at a silent name server."""
import socket
import sys
import unittest

import blocking
import namespaces
from blocking import Call

cases = blocking.Cases(__name__)


def setUpModule():
    if not namespaces.is_root() or not namespaces.enter():
        raise unittest.SkipTest("a separate network needs root")


def looking(call, function):
    @cases.case(call, "a silent name server")
    def _():
        with namespaces.NameServer() as server:

            def ask():
                try:
                    function()
                except OSError:  # there is no such name
                    pass

            yield Call(ask, server.release)


NAME, NUMBER = "silent.example", "192.0.2.1"
looking("socket.getaddrinfo()", lambda: socket.getaddrinfo(NAME, 80, socket.AF_INET))
looking("socket.gethostbyname()", lambda: socket.gethostbyname(NAME))
looking("socket.gethostbyname_ex()", lambda: socket.gethostbyname_ex(NAME))
looking("socket.gethostbyaddr()", lambda: socket.gethostbyaddr(NUMBER))
looking("socket.getfqdn()", lambda: socket.getfqdn(NUMBER))
looking("socket.create_connection()", lambda: socket.create_connection((NAME, 80)))
if sys.version_info >= (3, 12):  # before, the call holds the GIL, so no other thread runs
    looking("socket.getnameinfo()", lambda: socket.getnameinfo((NUMBER, 80), 0))

Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
