# SPDX-License-Identifier: MIT
"""A blocking call that a task of an event loop waits for, on another thread (rule 45).

A task that is cancelled interrupts the call and waits until the call has ended. A call that has completed by then has a result,
which the task gets: the cancellation comes at the task's next await, so what the call has taken is not lost.
"""
import asyncio
import contextvars

from bough import _bough, _check
from bough._exceptions import consists_of, is_a_stop
from bough._own import without_frames

__all__ = ["to_thread"]

CANCELLED = "its task was cancelled"


async def to_thread(func, /, *args, **kwargs):
    """asyncio.to_thread(), whose call ends when the task is cancelled.

    Call `func(*args, **kwargs)` on a thread of the loop's default executor, with a copy of the current context. If the task is
    cancelled, the call is interrupted, and CancelledError is raised when the call has ended. If the call completes nevertheless,
    its result is returned, and the task is cancelled at its next await.
    """
    call = new_call("to_thread() func", contextvars.copy_context().run, (func, *args), kwargs)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    future = loop.run_in_executor(None, call)
    cancelled, requests = None, 0
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            if call.forgo():
                future.cancel()
                raise
            cancelled, requests = error, task.cancelling()
            call.interrupt(CANCELLED)
    try:
        result = future.result()
    except BaseException as error:
        if not consists_of(error, is_a_stop):
            raise
        raise cancelled or asyncio.CancelledError(str(error)) from None
    finally:
        del future
    if cancelled is not None:
        cancel_at_next_await(task, requests, *cancelled.args)
    return result


@without_frames
def new_call(what, function, args, kwargs):
    """`what` the first argument, or `function`, is to the user."""
    given = args[0] if what.startswith("to_thread") else function
    _check.function(what, given, result_is_kept=True, of_async="It needs no thread: await it")
    from bough import _patch_stdlib

    _patch_stdlib.opt_in()
    return _bough.Call(function, args, kwargs)


def cancel_at_next_await(task, requests, *message):
    """Unless the block that has asked for it is left before: asyncio.timeout() then has called task.uncancel(). A task that is
    cancelled as it runs would lose what it returns."""

    def cancel():
        if task.done() or task.cancelling() < requests:
            return
        waits_for = task._fut_waiter
        if waits_for is None or waits_for.done():
            loop.call_soon(cancel)  # it runs before that
        else:
            task.cancel(*message)
            task.uncancel()

    loop = task.get_loop()
    loop.call_soon(cancel)


# ---- trio and anyio ---------------------------------------------------------------------------------------------------------


async def run_sync(library, func, args, **options):
    """`library` has open(), a group of tasks; shield(), a scope; Event; checkpoint(); Cancelled; is_cancelled(), by a scope; and
    run_sync(), which no cancellation ends. The call is a task's that waits for nothing else: this one can see that it is cancelled."""
    call = new_call("run_sync() sync_fn", func, args, {})
    outcome, ended, cancelled, native = None, library.Event(), None, None

    async def runs():
        nonlocal outcome
        try:
            outcome = True, await library.run_sync(call, **options)
        except BaseException as error:
            outcome = False, error
        ended.set()

    try:
        try:
            async with library.open() as group:
                group.start_soon(runs)
                while not ended.is_set():
                    try:
                        with library.shield(cancelled is not None):
                            await ended.wait()
                    except library.Cancelled as error:
                        if cancelled is not None or not library.is_cancelled():
                            native = error
                        cancelled = error
                        group.cancel_scope.cancel()  # for a call that waits for its turn
                        call.interrupt(CANCELLED)
        except BaseException as error:
            if outcome is None or not consists_of(error, lambda inner: isinstance(inner, library.Cancelled)):
                raise
        return await _outcome(library, cancelled, native, *outcome)
    finally:
        del outcome, cancelled, native


async def _outcome(library, cancelled, native, has_result, result):
    """`cancelled` what has interrupted the call; `native` a CancelledError of asyncio's that no scope has raised, but Task.cancel()."""
    if has_result and cancelled is None:
        return result
    if not has_result and not consists_of(result, lambda error: is_a_stop(error) or isinstance(error, library.Cancelled)):
        raise result
    task = native and asyncio.current_task()
    try:
        await library.checkpoint()
    except library.Cancelled:
        if native is not None:
            cancel_at_next_await(task, 1, *native.args)
        if has_result:
            return result  # the next checkpoint raises it again
        raise
    if has_result:
        if native is not None:
            cancel_at_next_await(task, task.cancelling(), *native.args)
        return result
    raise native or cancelled or result
