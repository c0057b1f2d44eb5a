# SPDX-License-Identifier: MIT
"""An executor whose running calls can be cancelled (rule 45). It changes no other pool.

It derives from the executor of concurrent.futures. Its work item is a Call, which runs its function in a separate branch
(pool_call.c), and its futures have another class.
"""
import concurrent.futures
import threading
import time
from concurrent.futures import thread as _thread

from bough import _bough, _check
from bough._call import in_time, named
from bough._exceptions import ThreadExit
from bough._own import without_frames

__all__ = ["Future", "ThreadPoolExecutor"]


@without_frames
class Future(_bough.Future, concurrent.futures.Future):
    """A concurrent.futures.Future whose cancel() also interrupts a running call."""

    def cancel(self):
        """Cancel the call: a waiting call is dropped, a running call is interrupted. Returns False if the call has ended.

        True means that the call was asked to stop. If this or another interrupt ends the call, the future is
        cancelled; if the call catches the interrupt and returns, the future has its result.
        """
        if super().cancel():
            return True
        call = self._bough_call
        return call is not None and not self.done() and call.interrupt("its future was cancelled")


Future.__module__ = "bough"
_bough.future_is(Future)
if vars(concurrent.futures.Future()).keys() != {"_condition", "_state", "_result", "_exception", "_waiters", "_done_callbacks"}:
    Future.__init__ = concurrent.futures.Future.__init__  # a later Python's, which sets more attributes


def checked_function(fn):
    return _check.function("submit() fn", fn, result_is_kept=True)


@without_frames
class _Submits(concurrent.futures.Executor):
    """The executor that options() returns."""

    def __init__(self, executor, timeout, name):
        self._executor, self._options = executor, {"timeout": timeout, "name": name}

    def __repr__(self):
        given = ", ".join(f"{key}={value!r}" for key, value in self._options.items() if value is not None)
        return f"<options({given}) of {self._executor!r}>"

    def submit(self, fn, /, *args, **kwargs):
        return self._executor._submit(fn, args, kwargs, **self._options)

    def options(self, *, timeout=None, name=None):
        given = _checked_options(timeout, name)
        return _Submits(self._executor, **{key: given[key] or self._options[key] for key in given})

    def shutdown(self, wait=True, **how):
        self._executor.shutdown(wait, **how)


# The message begins with that of the standard executor, which programs compare.
_LATE = "cannot schedule new futures after shutdown. Call submit() before shutdown() and inside the with block, or make another executor"


def _checked_arguments(max_workers, initializer, initargs):
    if max_workers is not None:
        what, expected = "ThreadPoolExecutor() max_workers", "a whole number, 1 or more, or None"
        try:
            enough = max_workers > 0
        except TypeError:
            raise _check.error(TypeError, what, expected, max_workers) from None
        if not enough:  # the standard executor's message, with the value
            raise ValueError(f"max_workers must be greater than 0, got {max_workers}. Leave it out for a number that suits the machine")
    if initializer is not None:
        _check.function("ThreadPoolExecutor() initializer", initializer)
        try:
            iter(initargs)
        except TypeError:
            advice = "Write initargs=(argument,) for one argument"
            raise _check.error(TypeError, "ThreadPoolExecutor() initargs", "a tuple of arguments", initargs, advice) from None


def _checked_options(timeout, name):
    timeout = _check.seconds("options() timeout", timeout, or_none=True, positive=True)
    if name is not None:
        _check.text("options() name", name)
    return {"timeout": timeout, "name": name}


@without_frames
class ThreadPoolExecutor(_bough.Executor, concurrent.futures.ThreadPoolExecutor):
    """A concurrent.futures.ThreadPoolExecutor whose running calls can be stopped.

    Future.cancel() interrupts a call that runs. `shutdown(cancel_futures=True, grace=0)` and leaving the with block by an exception stop
    all calls; the end of the block waits for them. options() gives calls a time limit and a name.
    """

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **ctxkwargs):
        from bough import _patch_stdlib

        _checked_arguments(max_workers, initializer, initargs)
        _patch_stdlib.opt_in()
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, **ctxkwargs)
        self._running = set()

    def _put(self, call):
        """The last step of submit(), if a thread may have to be started or the pool accepts no more calls."""
        with self._shutdown_lock, _thread._global_shutdown_lock:
            if self._broken:
                raise getattr(self, "BROKEN", _thread.BrokenThreadPool)(self._broken)
            if self._shutdown or _thread._shutdown:
                raise RuntimeError(_LATE if self._shutdown else "cannot schedule new futures after interpreter shutdown")
            self._work_queue.put(call)
            self._adjust_thread_count()

    _put = _bough.around(_put, uninterruptible=True)

    def _submit(self, fn, args, kwargs, *, name=None, timeout=None):
        checked_function(fn)
        if timeout is not None:
            fn, args, kwargs = in_time, (timeout, name, fn, args, kwargs), {}
        label = None
        if name is not None:
            fn, args, kwargs, label = named, (name, fn, args, kwargs), {}, _check.for_library(name)
        return self._submit_call(_bough.Call(fn, args, kwargs, self._running, label))

    def options(self, *, timeout=None, name=None):
        """An executor with submit() and map() of this pool, whose calls have a limit and a name:

            pool.options(timeout=2, name="save").submit(save, path, timeout=5)

        timeout  seconds from the start of the call; then the call is interrupted, and its future fails with TimeoutError
        name     the thread's name while it runs the call: in log records, in `bough tree`, for interrupt()
        """
        return _Submits(self, **_checked_options(timeout, name))

    def shutdown(self, wait=True, *, cancel_futures=False, grace=None):
        """Refuse new calls. With `wait`, return when all threads of the pool have ended. `cancel_futures` cancels the waiting
        calls. Running calls go on, unless `grace` is given: they are interrupted after that many seconds, at once for 0.
        Without `wait` another thread waits for that time; if it can't be started, running calls are interrupted at once."""
        grace = _check.seconds("shutdown() grace", grace, or_none=True, below=threading.TIMEOUT_MAX)
        if grace is not None and not cancel_futures:
            raise ValueError(
                f"shutdown() grace is the time that running calls have before they are stopped, got grace={grace:g} without "
                f"cancel_futures=True. Add cancel_futures=True, or leave grace out"
            )
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        if grace and not wait:
            self._stop_later(grace)
        elif grace is not None:
            self._stop_after(grace)
        if wait:
            super().shutdown(wait=True)

    def _stop(self):
        for call in list(self._running):
            call.interrupt("its executor was shut down")

    def _stop_later(self, grace):
        try:
            threading.Thread(target=self._stop_after, args=(grace,), name="bough-shutdown", daemon=True).start()
        except (RuntimeError, MemoryError):  # too many threads, or the interpreter is shutting down (from 3.12 on)
            self._stop()  # now, since no thread will do it when the time is over

    def _stop_after(self, grace):
        until = time.monotonic() + grace
        for thread in list(self._threads):
            left = until - time.monotonic()
            if left > 0:
                thread.join(left)
        self._stop()

    def __exit__(self, kind, error, trace):
        if error is None:
            try:
                self.shutdown()
                return False
            except BaseException as late:
                self._stop_by(late)
                raise
        self._stop_by(error)
        return False

    def _stop_by(self, error):
        """Stop all calls and wait until they have ended, so that no call outlives the block. `error` left the block, or came while
        the block's end waited. Each Ctrl-C is passed on, so that the second begins the exit and the third kills the process."""
        while True:
            try:
                from bough import _signals

                super().shutdown(wait=False, cancel_futures=True)
                for call in list(self._running):
                    call.pass_on_ctrl_c() if _signals.is_ctrl_c(error) else call.interrupt("its executor was left by an exception")
                with _bough.cleanup(None):
                    return super().shutdown(wait=True)
            except (KeyboardInterrupt, ThreadExit) as again:
                error = again


ThreadPoolExecutor.__module__ = "bough"
