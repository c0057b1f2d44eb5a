# SPDX-License-Identifier: MIT
"""Pools of threads, after opt_in(pools=True) (rule 45): concurrent.futures, and with it asyncio's; multiprocessing.pool.ThreadPool.

While a work item runs, its worker is opted in, in a separate branch. Future.cancel() on a running item interrupts the item
and returns True, which means that the end was requested, as with an asyncio task. If this or another interrupt ends the
item, its future is cancelled (`cancelled()`, CancelledError); if the item catches the interrupt and returns, the future has
its result. The worker goes on either way.
"""
from functools import wraps

from bough import _bough, _replace
from bough._exceptions import consists_of, is_a_stop


def _base(module):
    """concurrent.futures._base"""
    _replace.replace(module.Future, "cancel", _cancel)


def _thread(module):
    """concurrent.futures.thread"""
    _replace.replace(module._WorkItem, "run", _run)


def _pool(module):
    """multiprocessing.pool"""
    _replace.replace(module, "worker", _thread_pool_worker)


CHANGES = {"concurrent.futures._base": _base, "concurrent.futures.thread": _thread, "multiprocessing.pool": _pool}


# ---- concurrent.futures ---------------------------------------------------------------------------------------------


def _run(original):
    @wraps(original)
    def run(self, *context):
        if hasattr(function_of(self), "is_bough_call"):
            return original(self, *context)
        if context:  # from 3.14 on
            call = _bough.Call(context[0].run, (self.task,), {}, future=self.future)
        else:
            call = _bough.Call(self.fn, self.args, self.kwargs, future=self.future)
        del self, context  # the future keeps an exception, whose traceback keeps this frame
        call.run()

    return run


def function_of(item):
    return item.task[0] if hasattr(item, "task") else item.fn  # task: from 3.14 on


def _cancel(original):
    @wraps(original)
    def cancel(self):
        if original(self):
            return True
        call = getattr(self, "_bough_call", None)
        return call is not None and call.interrupt("its future was cancelled")

    return cancel


# ---- multiprocessing.pool.ThreadPool --------------------------------------------------------------------------------


def _thread_pool_worker(original):
    @wraps(original)
    def worker(inqueue, *args, **kwargs):
        from queue import SimpleQueue

        if isinstance(inqueue, SimpleQueue):
            inqueue = _Tasks(inqueue)
        return original(inqueue, *args, **kwargs)

    return worker


class _Tasks:
    """The queue from which a ThreadPool's worker gets tasks. An interrupted task fails with CancelledError, because a ThreadExit
    would end the worker, and the task's result would never come."""

    def __init__(self, queue):
        self.queue = queue

    def get(self):
        task = self.queue.get()
        if task is None:
            return None
        job, i, function, args, kwargs = task
        return job, i, _call, (function, args, kwargs), {}


def _call(function, args, kwargs):
    try:
        return _bough.Call(function, tuple(args), dict(kwargs))()
    except BaseException as error:
        if not consists_of(error, is_a_stop):
            raise
        reason = str(error)
    from concurrent.futures import CancelledError

    raise CancelledError(reason)
