# SPDX-License-Identifier: MIT
"""Calls on the threads of pools (pool_call.c) that fail or have options, for bough.ThreadPoolExecutor, event loops and engines."""
import threading

from bough import _bough, _own
from bough._exceptions import consists_of, is_a_stop

Call = _bough.Call


def failed(future, error):
    """`error` ended the call. The future of an interrupted call becomes cancelled."""
    if consists_of(error, is_a_stop):
        become_cancelled(future)
    else:
        future.set_exception(error)


def become_cancelled(future):
    """Cancel a running future, which no method of the future does."""
    from concurrent.futures._base import CANCELLED_AND_NOTIFIED

    with future._condition:
        future._state = CANCELLED_AND_NOTIFIED
        for waiter in future._waiters:
            waiter.add_cancelled(future)
        future._condition.notify_all()
    future._invoke_callbacks()


_own.workers.update((failed.__code__, become_cancelled.__code__))


def pass_on_ctrl_c(call):
    from bough import _signals

    handle = call.handle
    if handle is None:
        call.interrupt("SIGINT")
    else:
        _signals.pass_on(handle)


def named(name, function, args, kwargs):
    """Name the worker after the call while the call runs, for log records, the tree and interrupt()."""
    worker = threading.current_thread()
    before, worker.name = worker.name, name
    try:
        return function(*args, **kwargs)
    finally:
        worker.name = before


def in_time(timeout, name, function, args, kwargs):
    from bough._branch import branch

    with branch(name or "call", timeout=timeout):
        return function(*args, **kwargs)
