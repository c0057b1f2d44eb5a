# SPDX-License-Identifier: MIT
"""Plain threads, after opt_in(threads=True): a threading.Thread that is started from then on takes part while its run() runs, so an
interrupt ends its blocking calls (rule 16).

The threads by which the standard library serves its pools, queues and logs are left alone: each ends by the object that has started
it, which would wait without end for one that an interrupt has ended. So are the package's threads.
"""
import threading
from functools import wraps

from bough import _bough, _check, _replace
from bough._run import Run

# Whose functions such threads run.
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
        if not hasattr(self, "_starts_disabled") and not is_service(self):  # a bough.Thread has that
            self.__dict__["run"] = _bough.around(_PlainRun(self, self.run))
        original(self)

    return _bootstrap_inner


def is_service(thread):
    module = getattr(_function(thread), "__module__", None)
    return isinstance(module, str) and module.startswith(_SERVICES)


def _function(thread):
    """What the thread runs: its class's run(), if that is not threading's; else what the constructor was given."""
    run = type(thread).run
    if run is threading.Thread.run:
        return thread._target
    return thread.function if run is threading.Timer.run else run
