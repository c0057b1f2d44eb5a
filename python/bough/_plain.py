# SPDX-License-Identifier: MIT
"""Plain threads, after opt_in(threads=True): a threading.Thread that is started later is opted in while its run() runs, so an
interrupt ends its blocking calls (rule 16).

Two groups are not opted in: bough's threads, and those with which the standard library serves its pools, queues and logs. The
object that has started such a thread also ends it, and could wait forever for a thread that an interrupt has ended.
"""
import threading
from functools import wraps

from bough import _bough, _check, _replace
from bough._run import Run

# A thread of these groups runs a function of one of these modules.
_SERVICES = ("asyncio.", "bough.", "concurrent.futures.", "logging.", "multiprocessing.")


def take_part():
    _replace.replace(threading.Thread, "_bootstrap_inner", _taking_part)


class _PlainRun(Run):
    def begin(self, thread):
        _bough.begin(_check.for_library(thread.name), False)
        return True, False


def _taking_part(original):
    @wraps(original)
    def _bootstrap_inner(self):
        if not hasattr(self, "_starts_disabled") and not is_service(self):  # only a bough.Thread has that
            self.__dict__["run"] = _bough.around(_PlainRun(self, self.run))
        original(self)

    return _bootstrap_inner


def is_service(thread):
    module = getattr(_function(thread), "__module__", None)
    return isinstance(module, str) and module.startswith(_SERVICES)


def _function(thread):
    """The function that the thread runs: its class's run(), or the constructor's argument if that run() is threading's."""
    run = type(thread).run
    if run is threading.Thread.run:
        return thread._target
    return thread.function if run is threading.Timer.run else run
