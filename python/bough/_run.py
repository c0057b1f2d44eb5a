# SPDX-License-Identifier: MIT
"""What opts in a thread's run(), for bough's threads and for plain ones."""
from bough import _bough, _check, _watch
from bough._exceptions import ThreadExit


class Run:
    """Calls a thread's run() with the thread opted in. Before and after run() the thread is not opted in: an interrupt could
    damage threading's bookkeeping."""

    def __init__(self, thread, run):
        self.thread, self.run = thread, run

    def begin(self, thread):
        """Make the thread known. Returns whether interrupts end its blocking calls, and whether they come anywhere in its code."""
        _bough.begin(_check.for_library(thread.name), thread._starts_disabled)
        thread._post_what_came_before()
        return thread._io or thread._async, thread._async

    def __call__(self):
        thread, run = self.thread, self.run
        self.thread = self.run = None
        vars(thread).pop("run", None)  # put there before the start; it would keep the thread alive
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
                    _bough.leave_open(1)  # an unfinished generator may have left a region open
        except ThreadExit:
            pass  # threading's hook ignores a SystemExit, but not its subclasses
