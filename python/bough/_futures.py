# SPDX-License-Identifier: MIT
"""Changes to concurrent.futures and multiprocessing.pool for threads that have opted in. _pools.py changes the pools' calls.

A thread that has opted in may set a future's result or wait for it, and an interrupt must not break the future's state. An
exception that is posted to a pool's worker is not raised while the worker waits for work.
"""
from bough import _own, _replace


def _base(module):
    """concurrent.futures._base"""
    _replace.never_interrupt(
        module,
        "Future.add_done_callback Future.cancel Future.set_exception Future.set_result "
        "Future.set_running_or_notify_cancel _AcquireFutures.__enter__",  # which would keep the locks that it has acquired
    )
    future = module.Future
    for method in future.set_running_or_notify_cancel, future.set_result, future.set_exception:
        _own.workers.add(method.__code__)


def _thread(module):
    """concurrent.futures.thread"""
    _replace.never_interrupt(module, "ThreadPoolExecutor.submit")
    _own.workers.add(module._worker.__code__)
    _own.loops.add(module._worker.__code__)
    _own.items.add(module._WorkItem.run.__code__)


def _pool(module):
    """multiprocessing.pool"""
    _own.workers.add(module.worker.__code__)


CHANGES = {"concurrent.futures._base": _base, "concurrent.futures.thread": _thread, "multiprocessing.pool": _pool}
