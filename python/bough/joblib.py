# SPDX-License-Identifier: MIT
"""A version of joblib's threading backend whose calls stop when Parallel stops.

    import bough.joblib
    from joblib import Parallel, delayed

    Parallel(n_jobs=8, backend="bough", timeout=60)(delayed(fetch)(url) for url in urls)

    with joblib.parallel_backend("bough", asynchronous=False):      # for other people's code that uses joblib
        ...

With joblib's backend calls go on after Parallel has raised because of a failed call, a timeout or a Ctrl-C. With this backend the
other calls are interrupted, and Parallel raises when they have ended. A failure interrupts them at once, where joblib 1.2 first
waits for the calls that were submitted before. The second Ctrl-C begins the exit of the process.

A call ends in its blocking call, or within a tenth of a second if it computes in Python; with `asynchronous=False` only in blocking
calls and at `bough.check_interrupt()`. A long call of C code is not interrupted: the call ends when the C code returns.

This module depends on these details: a ThreadingBackend is created for each Parallel, which calls its `apply_async()` (or
`submit()`), `abort_everything()`, `stop_call()` and `terminate()`. It was tried with joblib 1.2.0 and 1.5.3.
"""
import concurrent.futures
import functools
import queue
import sys

from bough import _bough, _check
from bough._engine import Call, anywhere, imported, warn_unless_tried, was_stopped
from bough._exceptions import ThreadExit
from bough._own import items

_joblib, _backends = (
    imported(module, "bough.joblib", "python3-joblib of Debian, or joblib of PyPI") for module in ("joblib", "joblib._parallel_backends")
)
warn_unless_tried("bough.joblib", "joblib", _joblib.__version__, ("1.2.", "1.5."))

__all__ = ["Backend"]

ENDED = "its Parallel has ended"


class Backend(_backends.ThreadingBackend):
    """joblib creates it for `backend="bough"`.

    asynchronous  whether an interrupt also ends a computation in Python
    """

    def __init__(self, *, asynchronous=True, **options):
        from bough import _patch_stdlib

        self.asynchronous = _check.flag("Backend() asynchronous", asynchronous)
        super().__init__(**options)
        _patch_stdlib.opt_in()
        self._calls, self._ended = set(), queue.SimpleQueue()
        self._stopping, self._failure = False, None

    def get_nested_backend(self):
        """joblib calls this for the backend of a Parallel within a call."""
        backend, n_jobs = super().get_nested_backend()
        if isinstance(backend, _backends.ThreadingBackend):
            backend = type(self)(nesting_level=backend.nesting_level, asynchronous=self.asynchronous)
        return backend, n_jobs

    def start_call(self):
        """joblib calls this as a call of Parallel begins."""
        self._stopping, self._failure = False, None
        super().start_call()

    def apply_async(self, func, callback=None):
        """joblib calls this."""
        return _Result(super().apply_async(self._stoppable(func), callback), self)

    def submit(self, func, callback=None):
        """joblib 1.5 calls this."""
        return super().submit(self._stoppable(func), callback)

    def retrieve_result_callback(self, result):
        """joblib 1.5 calls this. For a stopped call it raises the failure that has stopped the call."""
        try:
            return super().retrieve_result_callback(result)
        except concurrent.futures.CancelledError:
            if self._failure is None:
                raise
        raise self._failure

    def _stoppable(self, function):
        call = Call(anywhere, (function, (), {}), {}) if self.asynchronous else Call(function, (), {})
        self._calls.add(call)
        if self._stopping:  # _interrupt() sets it and then looks for calls
            call.interrupt(ENDED)
        return functools.partial(self._run, call)

    def _run(self, call):
        """Execute a call, on a thread of the pool."""
        try:
            return call()
        except BaseException as error:
            if not was_stopped(error):
                self._fail(error)
                raise
            reason = str(error)
        finally:
            self._calls.discard(call)
            if self._stopping:
                self._ended.put(None)
        raise concurrent.futures.CancelledError(reason)  # a SystemExit would end the pool's thread

    def _fail(self, error):
        self._failure = self._failure or error
        self._interrupt(error)

    def _interrupt(self, error):
        """Each Ctrl-C is passed on, so that the second begins the exit and the third kills the process."""
        from bough import _signals

        self._stopping = True
        self._calls.difference_update([call for call in list(self._calls) if call.forgo()])  # first: a thread whose call ends takes the next
        for call in list(self._calls):
            if _signals.is_ctrl_c(error):
                call.pass_on_ctrl_c()
            else:
                call.interrupt(ENDED)

    # ---- the end of a call of Parallel

    def abort_everything(self, ensure_ready=True):
        """joblib calls this when a call of Parallel fails, times out or gets a Ctrl-C."""
        self._stop(sys.exc_info()[1])
        super().abort_everything(ensure_ready)

    def stop_call(self):
        """joblib calls this at the end of a call of Parallel, however it ends: by an error of its iterable, for instance."""
        self._stop(sys.exc_info()[1])
        super().stop_call()

    def terminate(self):
        """joblib calls this."""
        self._stop(sys.exc_info()[1])
        super().terminate()

    def _stop(self, error):
        """Interrupt all calls, and wait until they have ended. Calls that wait for a thread never begin."""
        again = None
        while self._calls:
            self._interrupt(again or error)
            again = self._wait() or again
        if again is not None:
            raise again

    def _wait(self):
        try:
            with _bough.cleanup(None):
                while self._calls:
                    self._ended.get()
        except (KeyboardInterrupt, ThreadExit) as again:
            return again
        return None


class _Result:
    """joblib gets a call's result here. For a stopped call get() raises the failure that has stopped the call."""

    def __init__(self, result, backend):
        self._result, self._backend = result, backend

    def get(self, timeout=None):
        try:
            return self._result.get(timeout)
        except concurrent.futures.CancelledError:
            if self._backend._failure is None:
                raise
        raise self._backend._failure


items.add(Backend._run.__code__)
_joblib.register_parallel_backend("bough", Backend)
