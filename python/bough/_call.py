# SPDX-License-Identifier: MIT
"""A call on a thread of a pool that goes on when the call has ended: bough.ThreadPoolExecutor's, or an event loop's."""
import threading

from bough import _bough, _check
from bough._exceptions import ThreadExit


class Call:
    """Another thread may interrupt it. To call_item() this is the future: `_bough_item` is the handle of the call's branch while
    the call runs."""

    is_bough_call = True  # for _pools.py and _loops.py: not to be made a work item once more
    _bough_item = asked = None

    def __init__(self, function, args, kwargs, *, name=None, timeout=None, running=None):
        self._waiting = [(function, args, kwargs)]  # empty: it has begun, or never will
        self.name, self.timeout, self.running = name, timeout, running

    def interrupt(self, reason="its event loop was interrupted"):
        """Returns whether the call had not ended. One that has not begun ends as it begins."""
        self.asked = reason  # first: a call that begins publishes its handle and then looks here
        item = self._bough_item
        return item is None or _bough.interrupt_handle(item, reason)

    def forgo(self):
        """Returns whether the call has not begun, and so never will."""
        try:
            self._waiting.pop()
        except IndexError:
            return False
        return True

    def pass_on_ctrl_c(self):
        from bough import _signals

        self.asked = "SIGINT"
        if self._bough_item is not None:
            _signals.pass_on(self._bough_item)

    def set_running_or_notify_cancel(self):
        return self.asked is None

    def __call__(self):
        try:
            function, args, kwargs = self._waiting.pop()
        except IndexError:
            raise ThreadExit("cancelled before it began") from None
        if self.timeout is not None:
            function, args, kwargs = _in_time, (self.timeout, self.name, function, args, kwargs), {}
        if self.running is not None:
            self.running.add(self)
        try:
            done = self._named(function, args, kwargs)
        finally:
            if self.running is not None:
                self.running.discard(self)
            del self, function, args, kwargs
        if done is None:
            raise ThreadExit("cancelled before it began")
        return done[0]

    def _named(self, function, args, kwargs):
        """The worker has the call's name for as long as the call runs: for log records, the tree and interrupt()."""
        if self.name is None:
            return _bough.call_item(self, function, args, kwargs)
        worker = threading.current_thread()
        before, worker.name = worker.name, self.name
        try:
            return _bough.call_item(self, function, args, kwargs, _check.for_library(self.name))
        finally:
            worker.name = before


def _in_time(timeout, name, function, args, kwargs):
    from bough._branch import branch

    with branch(name or "call", timeout=timeout):
        return function(*args, **kwargs)
