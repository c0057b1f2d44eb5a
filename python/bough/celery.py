# SPDX-License-Identifier: MIT
"""A pool of threads for Celery's worker, in which one task can be stopped while the others go on.

    app = Celery("shop", broker="redis://...", backend="redis://...")
    app.conf.worker_pool = "bough.celery:TaskPool"              # then: celery -A shop worker --concurrency 8

    result = order.apply_async(args, soft_time_limit=50, time_limit=60)
    result.revoke(terminate=True)                               # the task ends in its blocking call: REVOKED

With Celery 5.3 and newer also `CELERY_CUSTOM_WORKER_POOL=bough.celery:TaskPool celery -A shop worker --pool=custom`.

The following end a task, and its state becomes the same as in Celery's prefork pool:

    revoke(terminate=True)      ThreadExit is raised in the task, and its state is REVOKED. The signal's number does not matter,
                                except SIGUSR1, for which SoftTimeLimitExceeded is raised in the task
    soft_time_limit             SoftTimeLimitExceeded is raised in the task, which may catch it
    time_limit                  ThreadExit is raised in the task, which fails with TimeLimitExceeded
    a cold shutdown             ThreadExit is raised in all tasks, and no result is stored. Tasks with acks_late are delivered again

ThreadExit is a SystemExit, which `except Exception` does not catch. A task that catches it does not change its state by that. It
ends a blocking call at once and a computation in Python within a tenth of a second; with `app.conf.bough_asynchronous = False` it
is raised only in blocking calls and by `bough.check_interrupt()`.

Beside the documented interface of pools, this module depends on these details: `on_apply()` gets `timeout_callback` and
`error_callback`, Request keeps the result of `on_apply()` and calls its `terminate(signal)`, and a task's tracer calls `task.run`.
It was tried with Celery 5.2.6 and 5.6.3.
"""
import concurrent.futures
import functools
import queue
import signal
import threading
import time

from bough import _bough, _check
from bough._engine import Call, anywhere, imported, warn_unless_tried, was_stopped
from bough._own import items

_celery, _base, _trace, _signals, _exceptions, _einfo, _log = (
    imported(module, "bough.celery", "python3-celery of Debian, or celery of PyPI")
    for module in (
        "celery", "celery.concurrency.base", "celery.app.trace", "celery.signals", "celery.exceptions", "billiard.einfo", "celery.utils.log"
    )
)
warn_unless_tried("bough.celery", "Celery", _celery.__version__, ("5.2.", "5.6."))

__all__ = ["TaskPool"]

COLD = 5.0  # seconds that a cold shutdown waits for tasks; then the process ends, even if tasks still run

_logger = _log.get_logger("celery.pool")
_local = threading.local()  # `job`: the _Job that the calling thread runs


class _ColdShutdown(Exception):
    """The verdict on tasks that a cold shutdown stops."""


class TaskPool(_base.BasePool):
    """A pool of threads whose tasks can be stopped. Celery's worker creates it: see the module's documentation."""

    body_can_be_buffer = True
    signal_safe = False

    def on_start(self):
        """Celery calls this when the worker starts: from then on tasks can be stopped."""
        from bough import _patch_stdlib

        _patch_stdlib.opt_in()
        self._jobs, self._news = set(), queue.SimpleQueue()
        self._executor = concurrent.futures.ThreadPoolExecutor(self.limit, "celery-task")
        self.asynchronous = _check.flag("bough_asynchronous", self.app.conf.get("bough_asynchronous", True))
        for task in self.app.tasks.values():
            _make_stoppable(task)

    def on_apply(self, target, args=(), kwargs=None, callback=None, accept_callback=None, timeout_callback=None,
                 error_callback=None, soft_timeout=None, timeout=None, **_):
        """Celery calls this with a task that it has received."""
        if target in (_trace.trace_task_ret, _trace.fast_trace_task):
            self._look_for_new(args[0])
        limits = soft_timeout or self.options.get("soft_timeout"), timeout or self.options.get("timeout")
        job = _Job(self, target, args, kwargs or {}, limits, callback, accept_callback, timeout_callback, error_callback)
        self._jobs.add(job)
        try:
            self._executor.submit(job)
        except BaseException:
            self._jobs.discard(job)
            raise
        return job

    def _look_for_new(self, name):
        """A task that was registered after the start has a tracer with its original run(), and gets a new tracer here."""
        task = self.app.tasks[name]
        if _make_stoppable(task):
            task.__trace__ = _trace.build_tracer(name, task, self.app.loader, app=self.app)

    def terminate_job(self, pid, signal=None):
        """Celery calls this with the id of a task's thread. It does nothing, since the thread may have taken the next task: Celery
        then calls terminate() of the job that on_apply() has returned, which stops the right task."""

    def on_stop(self):
        """A warm shutdown waits for all tasks. A cold shutdown may follow and ends them."""
        self._executor.shutdown(wait=False)
        news = self._news

        def cold(how=None, **_):
            news.put(how)  # perhaps in a signal handler, which SimpleQueue allows

        _signals.worker_shutting_down.connect(cold, weak=False)
        if self._jobs:
            _logger.info("waiting for %d tasks", len(self._jobs))
        try:
            while self._jobs:
                if self._news.get() == "Cold":
                    return self.on_terminate()
        finally:
            _signals.worker_shutting_down.disconnect(cold)
        self._executor.shutdown()

    def on_terminate(self):
        """A cold shutdown stops all tasks, and waits at most COLD seconds until they have ended."""
        self._executor.shutdown(wait=False)
        end = time.monotonic() + COLD
        for job in list(self._jobs):
            job.stop(_ColdShutdown("the worker was shut down"))
        while self._jobs and (left := end - time.monotonic()) > 0:
            try:
                self._news.get(timeout=left)
            except queue.Empty:
                pass
        for job in list(self._jobs):
            _logger.warning("%s does not end", job)

    def ended(self, job):
        self._jobs.discard(job)
        self._news.put(job)

    def _get_info(self):
        return {"max-concurrency": self.limit, "threads": len(self._executor._threads), "running": len(self._jobs)}


# ---- one task --------------------------------------------------------------------------------------------------------------------


class _Job:
    """A task of the pool, with the methods by which Celery stops it."""

    is_bough_call = True  # _pools.py must not make this a work item again

    def __init__(self, pool, target, args, kwargs, limits, callback, accept_callback, timeout_callback, error_callback):
        self.pool, self.target, self.args, self.kwargs = pool, target, args, kwargs
        self.soft_limit, self.limit = limits
        self.callback, self.accept_callback = callback, accept_callback
        self.timeout_callback, self.error_callback = timeout_callback, error_callback
        self.lock = threading.Lock()
        self.call = self.thread = self.verdict = None
        self.over = False

    def __repr__(self):
        return f"<task {self.args[0]}[{self.args[1]}]>" if len(self.args) > 1 else f"<task {self.target!r}>"

    # ---- on the pool's thread

    def __call__(self):
        _local.job = self
        try:
            if self.accept_callback is not None:
                self.accept_callback(threading.get_native_id(), time.monotonic())
            if self.verdict is None:  # the task may have been stopped while it waited for a thread
                with _Timer(self.soft_limit, self.soft_limit_passed), _Timer(self.limit, self.limit_passed):
                    result = self.target(*self.args, **self.kwargs)
        except BaseException as error:
            self.report(self.failed, error)
        else:
            self.report(self.has_ended, None if self.verdict is not None else result)
        finally:
            _local.job = None
            self.pool.ended(self)

    def report(self, function, *args):
        try:
            function(*args)
        except BaseException:
            _logger.error("the end of %s could not be reported", self, exc_info=True)

    def has_ended(self, result):
        if isinstance(self.verdict, _exceptions.Terminated):  # reported by Request.terminate(), unless the task was just starting
            self.failed(self.verdict)
        elif self.verdict is None and self.callback is not None:
            self.callback(result)

    def failed(self, error):
        """Report a failure as the prefork pool does, where a SystemExit ends the process that runs the task."""
        if not isinstance(error, Exception):
            error = _exceptions.WorkerLostError(repr(error))
        if self.error_callback is not None:
            try:
                raise error
            except Exception:
                self.error_callback(_einfo.ExceptionInfo())

    def run(self, function, args, kwargs):
        """Run the task's function. Only this function is interrupted, not Celery's code before and after it."""
        name = _check.for_library(str(self.args[0])) if self.args else "task"
        self.call = call = Call(self.within, (function, args, kwargs), {}, None, name)
        if self.verdict is not None:  # stop() sets the verdict and then reads self.call
            call.interrupt(str(self.verdict))
        try:
            result = call()
        except BaseException as error:
            if self.verdict is None:
                if was_stopped(error):
                    raise concurrent.futures.CancelledError(str(error)) from None
                raise
        else:
            if self.verdict is None:
                return result
        raise _exceptions.Ignore(str(self.verdict))  # the code that has stopped the task stores the state

    def within(self, function, args, kwargs):
        self.thread = threading.get_ident()
        try:
            return anywhere(function, args, kwargs) if self.pool.asynchronous else function(*args, **kwargs)
        finally:
            with _bough.critical_section(), self.lock:
                self.thread, self.over = None, True

    # ---- on other threads

    def stop(self, verdict):
        """Stop the task. Returns False if the task had ended, or was stopped before."""
        with self.lock:
            if self.over or self.verdict is not None:
                return False
            self.verdict = verdict
        if self.call is not None:
            self.call.interrupt(str(verdict))
        return True

    def terminate(self, signum):
        """Request.terminate() calls this for revoke(terminate=True)."""
        if signum == signal.SIGUSR1:
            self.raise_soft_limit()
        else:
            self.stop(_exceptions.Terminated(signum))

    def raise_soft_limit(self):
        """Raise SoftTimeLimitExceeded in the task. Returns whether the task runs."""
        import bough

        with self.lock:
            if self.thread is not None:
                bough.raise_exc(self.thread, _exceptions.SoftTimeLimitExceeded())
            return self.thread is not None

    def soft_limit_passed(self):
        if self.raise_soft_limit():
            self.report(self.timeout_callback, True, self.soft_limit)

    def limit_passed(self):
        if self.stop(_exceptions.TimeLimitExceeded(self.limit)):
            self.report(self.timeout_callback, False, self.limit)


class _Timer:
    """with _Timer(seconds, function): a separate thread calls `function()` then, unless the block has ended. None means never."""

    def __init__(self, seconds, function):
        self.timer = threading.Timer(seconds, function) if seconds else None

    def __enter__(self):
        if self.timer is not None:
            self.timer.name, self.timer.daemon = "bough-time-limit", True
            self.timer.start()

    def __exit__(self, *error):
        if self.timer is not None:
            self.timer.cancel()


items.add(_Job.run.__code__)


# ---- the task's function ------------------------------------------------------------------------------------------------------------


def _make_stoppable(task):
    """Replace task.run by a function that finds its job. Returns False if that was done. Celery's tracer keeps `task.run`."""
    original = task.run
    if hasattr(original, "is_bough_run"):
        return False

    @functools.wraps(original)
    def run(*args, **kwargs):
        job = getattr(_local, "job", None)
        if job is None or job.call is not None:  # called by other code of the process, or within the task
            return original(*args, **kwargs)
        return job.run(original, args, kwargs)

    run.is_bough_run = True
    task.run = run
    return True
