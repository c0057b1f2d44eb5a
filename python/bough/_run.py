# SPDX-License-Identifier: MIT
"""A thread's run(), for the package's threads and for plain ones."""
from bough import _bough, _check, _watch
from bough._exceptions import ThreadExit


class Run:
    """A thread's run(), inside of which it takes part. Not before and after: threading's own bookkeeping is no place to
    be interrupted at."""

    def __init__(self, thread, run):
        self.thread, self.run = thread, run

    def begin(self, thread):
        """The thread becomes known. Returns whether its blocking calls are interrupted, and whether all its code is."""
        _bough.begin(_check.for_library(thread.name), thread._starts_disabled)
        thread._post_what_came_before()
        return thread._io or thread._async, thread._async

    def __call__(self):
        thread, run = self.thread, self.run
        self.thread = self.run = None
        del thread.__dict__["run"]  # it was put there by start(), and keeps the thread alive
        takes_part, asynchronous = self.begin(thread)
        try:
            with _bough.taking_part(takes_part):
                if asynchronous:
                    _bough.set_asynchronous(True)
                try:
                    run()
                except BaseException as error:
                    interrupt = _bough.as_interrupt(error)
                    if interrupt is error:
                        if _watch.on_failure is not None and not isinstance(error, SystemExit):
                            _watch.on_failure(thread.name, None, error)
                        raise
                    raise interrupt from error
                finally:
                    _bough.set_asynchronous(False)
                    _bough.leave_open(1)  # a generator that was not run to its end may hold a region
        except ThreadExit:
            pass  # threading is silent about a plain SystemExit only
