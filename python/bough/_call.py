# SPDX-License-Identifier: MIT
"""A call on a thread of a pool that goes on when the call has ended: bough.ThreadPoolExecutor's, or an event loop's. pool_call.c
runs it."""
import threading

from bough import _bough


class Call(_bough.Call):
    """Call(function, args, kwargs, running=None, name=None): another thread may interrupt it."""

    is_bough_call = True  # for _pools.py and _loops.py: not to be made a work item once more

    def interrupt(self, reason="its event loop was interrupted"):
        """Returns whether the call had not ended. One that has not begun ends as it begins."""
        self.asked = reason  # first: a call that begins publishes its handle and then looks here
        handle = self.handle
        return handle is None or _bough.interrupt_handle(handle, reason)

    def pass_on_ctrl_c(self):
        from bough import _signals

        self.asked = "SIGINT"
        handle = self.handle
        if handle is not None:
            _signals.pass_on(handle)


def named(name, function, args, kwargs):
    """The worker has the call's name for as long as the call runs: for log records, the tree and interrupt()."""
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
