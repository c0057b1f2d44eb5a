# SPDX-License-Identifier: MIT
"""A worker plugin for Dask: a task that is cancelled while it runs stops, and its thread takes the next task.

    import bough.dask
    from distributed import Client

    client = Client("tcp://scheduler:8786")
    client.register_worker_plugin(bough.dask.Plugin(timeout=3600))

    future = client.submit(fetch, url)
    future.cancel()                             # fetch() ends in its blocking call, on whichever machine it runs

    with dask.annotate(bough_timeout=10):       # seconds; fetch() fails with TimeoutError
        future = client.submit(fetch, url)

The plugin is also set up on workers that start later. bough has to be installed where the workers run. A scheduler that is
restarted has forgotten the plugin; workers that load it themselves do not depend on the scheduler:

    dask worker tcp://scheduler:8786 --preload bough.dask       # settings: DASK_BOUGH__TIMEOUT=3600, DASK_BOUGH__ASYNCHRONOUS=True

Beside the documented interface of plugins, this module depends on these details: the worker calls each task on a thread of one of
`Worker.executors`, as `apply_function(function, args, kwargs, execution_state, key, ...)` or, from 2024.12 on, as `_run_task(task,
data, execution_state, key, ...)`, and a cancelled task is in the state "cancelled" or "resumed" of `Worker.state.tasks` until its
function has ended. It was tried with distributed 2022.12.1 and 2024.12.1.
"""
import concurrent.futures
import functools
import threading
import weakref

from bough import _check
from bough._call import in_time
from bough._engine import Call, anywhere, imported, warn_unless_tried, was_stopped
from bough._own import items

_distributed, _worker, _pool, _config = (
    imported(module, "bough.dask", "python3-distributed of Debian, or distributed of PyPI")
    for module in ("distributed", "distributed.worker", "distributed.threadpoolexecutor", "dask.config")
)
warn_unless_tried("bough.dask", "distributed", _distributed.__version__, ("2022.12.", "2024.12."))
if not hasattr(_worker, "apply_function") and not hasattr(_worker, "_run_task"):
    raise ImportError(
        f"bough.dask does not know how distributed {_distributed.__version__} calls a task: distributed.worker has neither "
        f"apply_function() nor _run_task(). Use distributed 2024.12.1 or 2022.12.1, with which it was tried",
        name="distributed.worker",
    )

__all__ = ["Plugin", "dask_setup"]

ANNOTATION = "bough_timeout"
CANCELLED, CLOSES = "its task was cancelled", "its worker closes"


class Plugin(_distributed.WorkerPlugin):
    """Stops tasks on a worker's threads when they are cancelled, when their time is over and when the worker closes.

    timeout       seconds from a task's start until it fails with TimeoutError, for tasks without an annotation `bough_timeout`.
                  None: no limit
    asynchronous  whether an interrupt also ends a computation in Python, anywhere between two bytecodes. Otherwise a task ends in
                  a blocking call or at `bough.check_interrupt()`

    A task is cancelled when its last future was cancelled or dropped. If it is requested again before it has stopped, it runs
    again. If a task catches the interrupt and returns, and was requested again, this is its result. The plugin does not stop
    coroutine functions, methods of actors and tasks of process pools.
    """

    name = "bough"

    def __init__(self, *, timeout=None, asynchronous=False):
        self.timeout = _check.seconds("Plugin() timeout", timeout, or_none=True, positive=True)
        self.asynchronous = _check.flag("Plugin() asynchronous", asynchronous)
        self._worker = None  # until setup()

    def __reduce__(self):
        return functools.partial(type(self), timeout=self.timeout, asynchronous=self.asynchronous), ()

    def __repr__(self):
        return f"<bough.dask.Plugin(timeout={self.timeout}, asynchronous={self.asynchronous})>"

    # ---- the interface of plugins, called on the thread of the worker's event loop ----------------------------------------------

    def setup(self, worker):
        """Dask calls this: tasks that start from now on can be stopped."""
        from bough import _patch_stdlib

        if self._worker is not None:
            raise RuntimeError(f"{self!r} is set up on {self._worker.address} already. Make a Plugin for each worker")
        _patch_stdlib.opt_in()
        self._worker, self._closing, self._running, self._submits = worker, False, {}, []
        if hasattr(_worker, "_run_task"):
            _plugins[worker] = self
            return
        for executor in worker.executors.values():
            if "ThreadPoolExecutor" in str(type(executor)):  # the test of Worker.execute()
                self._replace_submit(worker, executor)

    def teardown(self, worker):
        """Dask calls this: stop the tasks of a worker that closes. If the worker goes on without the plugin, its tasks run on."""
        if _plugins.get(worker) is self:
            del _plugins[worker]
        self._worker = None
        for executor, submit in self._submits:
            if vars(executor).get("submit") is submit:
                del executor.submit
        self._submits.clear()
        if worker.status not in (_distributed.Status.running, _distributed.Status.paused):
            self._closing = True  # before the loop: a starting task publishes its call and then reads this
            for call in list(self._running.values()):
                call.interrupt(CLOSES)

    def transition(self, key, start, finish, **more):
        """Dask calls this: stop a task that was cancelled."""
        call = self._running.get(key)
        if call is not None and call.asked is None and _is_cancelled(self._worker, key):
            call.interrupt(CANCELLED)

    # ---- tasks -----------------------------------------------------------------------------------------------------------------

    def _replace_submit(self, worker, executor):
        """Wrap the tasks of apply_function(). Other workers of the process may share the executor."""
        original = executor.submit

        @functools.wraps(original)
        def submit(function, /, *args, **kwargs):
            if function is _worker.apply_function and args[3]["worker"] is worker and self._worker is worker:
                task, given, keywords, state, key, *rest = args
                args = (functools.partial(self._run, worker, key, task), given, keywords, state, key, *rest)
            return original(function, *args, **kwargs)

        executor.submit = submit
        self._submits.append((executor, submit))

    def _run(self, worker, key, function, *args, **kwargs):
        """Run a task on a thread of the executor. The event loop changes the task's state and then looks for its call; this thread
        publishes the call and then reads the state. So no cancellation is missed."""
        label = _check.for_library(str(key))
        if self.asynchronous:
            function, args, kwargs = anywhere, (function, args, kwargs), {}
        if (limit := self._limit(worker, key)) is not None:
            function, args, kwargs = in_time, (limit, label, function, args, kwargs), {}
        call = self._running[key] = Call(function, args, kwargs, None, label)
        try:
            if self._closing or _is_cancelled(worker, key):
                call.interrupt(CLOSES if self._closing else CANCELLED)
            return call()
        except BaseException as error:
            if call.asked is not None:  # whatever the error is: a task that was requested again runs again
                instead = _distributed.Reschedule()
            elif was_stopped(error):  # Dask closes a worker whose task raises a SystemExit
                instead = concurrent.futures.CancelledError(str(error))
            else:
                raise
        finally:
            if self._running.get(key) is call:
                del self._running[key]
            _stay_in_pool()
        raise instead  # outside the `except`, so without a context: Dask keeps it in a cycle, with all frames and their futures

    def _limit(self, worker, key):
        task = worker.state.tasks.get(key)
        annotations = task.annotations if task is not None else None
        return _check.seconds(ANNOTATION, (annotations or {}).get(ANNOTATION, self.timeout), or_none=True, positive=True)


items.add(Plugin._run.__code__)


# The plugin of each worker of the process, if distributed has _run_task().
_plugins = weakref.WeakKeyDictionary()


def _with_plugin(original):
    """Wrap the tasks of _run_task(), which Worker.execute() looks up in the module."""

    @functools.wraps(original)
    def _run_task(task, data, execution_state, key, *rest, **more):
        worker = execution_state["worker"]
        plugin = _plugins.get(worker)
        if plugin is not None:
            task = functools.partial(plugin._run, worker, key, task)
        return original(task, data, execution_state, key, *rest, **more)

    return _run_task


if hasattr(_worker, "_run_task"):
    _worker._run_task = _with_plugin(_worker._run_task)


async def dask_setup(worker):
    """Dask calls this in a worker that has the option `--preload bough.dask`."""
    settings = {name: _config.get(f"bough.{name}", default) for name, default in (("timeout", None), ("asynchronous", False))}
    await worker.plugin_add(Plugin(**settings), catch_errors=False)


def _is_cancelled(worker, key):
    """Until its function has ended, a cancelled task is "cancelled", or "resumed" if another worker has to provide its result."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state in ("cancelled", "resumed") and task.previous in ("executing", "long-running")


def _stay_in_pool():
    """Correct the pool's state if an interrupt was raised inside Dask's secede() or rejoin(): a thread that ends must not be
    counted as one of the pool, and a thread that was to leave the pool in its place must not wait for it."""
    executor, me = getattr(_pool.thread_state, "executor", None), threading.current_thread()
    if executor is None or _pool.thread_state.proceed:
        return
    with executor._rejoin_lock:
        executor._rejoin_list[:] = [entry for entry in executor._rejoin_list if entry[0] is not me]
        _pool.thread_state.proceed = me in executor._threads
