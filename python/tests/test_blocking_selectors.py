# SPDX-License-Identifier: MIT
"""Waits for one of many descriptors, and for signals."""
import os
import select
import selectors
import signal
import socket
import unittest
import warnings
from contextlib import contextmanager

import blocking
from blocking import Call
from channels import pipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import asyncore
    except ImportError:
        asyncore = None  # removed in 3.12

cases = blocking.Cases(__name__)
case = cases.case


# ---- descriptors ----------------------------------------------------------------------------------------------------------


@case("select.select()", "no descriptor is ready")
def _():
    with pipe() as (r, w):
        yield Call(lambda: select.select([r], [], [])[0], lambda: os.write(w, b"x"), [r])


@case("select.select()", "no descriptor is ready, with a timeout")
def _():
    with pipe() as (r, w):
        yield Call(lambda: select.select([r], [], [], 3600)[0], lambda: os.write(w, b"x"), [r])


def polling(make, *timeout):
    with pipe() as (r, w):
        poll = make()
        poll.register(r, select.POLLIN)
        yield Call(lambda: poll.poll(*timeout), lambda: os.write(w, b"x"), [(r, select.POLLIN)])
        if hasattr(poll, "close"):
            poll.close()


@case("select.poll.poll()", "no descriptor is ready")
def _():
    yield from polling(select.poll)


@case("select.poll.poll()", "no descriptor is ready, with a timeout")
def _():
    yield from polling(select.poll, 3_600_000)


@case("select.epoll.poll()", "no descriptor is ready")
def _():
    yield from polling(select.epoll)


@case("select.epoll.poll()", "no descriptor is ready, with a timeout")
def _():
    yield from polling(select.epoll, 3600)


for name in ("SelectSelector", "PollSelector", "EpollSelector", "DefaultSelector"):

    @case(f"selectors.{name}.select()", "no descriptor is ready")
    def _(kind=getattr(selectors, name)):
        with pipe() as (r, w), kind() as selector:
            selector.register(r, selectors.EVENT_READ)
            yield Call(lambda: [key.fd for key, _ in selector.select()], lambda: os.write(w, b"x"), [r])


@case("asyncore.loop()", "no descriptor is ready")
def _():
    a, b = socket.socketpair()
    with a, b:
        channel = asyncore.dispatcher(a, {})
        channel.writable = lambda: False
        channel.handle_read = lambda: channel.recv(10)
        yield Call(lambda: asyncore.loop(timeout=3600, map={a.fileno(): channel}, count=1), lambda: b.send(b"x"))


# ---- signals ----------------------------------------------------------------------------------------------------------------


@contextmanager
def blocked(signo):
    """Blocks the signals in this thread, and so in the worker that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signo})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def waiting(function):
    with blocked(signal.SIGUSR1):
        yield Call(
            lambda: signal.Signals(getattr((got := function()), "si_signo", got)),
            lambda: os.kill(os.getpid(), signal.SIGUSR1),
            signal.SIGUSR1,
        )


@case("signal.sigwait()", "no signal is pending")
def _():
    yield from waiting(lambda: signal.sigwait({signal.SIGUSR1}))


@case("signal.sigwaitinfo()", "no signal is pending")
def _():
    yield from waiting(lambda: signal.sigwaitinfo({signal.SIGUSR1}))


@case("signal.sigtimedwait()", "no signal is pending")
def _():
    yield from waiting(lambda: signal.sigtimedwait({signal.SIGUSR1}, 3600))


@case("signal.pause()", "no signal comes")
def _():
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    yield (call := Call(signal.pause, lambda: signal.pthread_kill(call.ident, signal.SIGUSR1)))
    signal.signal(signal.SIGUSR1, before)


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
