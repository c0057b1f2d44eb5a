# SPDX-License-Identifier: MIT
"""Runs a blocking call on another thread, for a task of an event loop that waits for the call (rule 45).

A task that is cancelled interrupts the call and waits until the call has ended. If the call has completed by then, the task gets
the result, so that nothing that the call has taken is lost, and the cancellation comes at the task's next await.
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
    """`what` is the user's name for the function: args[0] of to_thread(), otherwise `function`."""
    given = args[0] if what.startswith("to_thread") else function
    _check.function(what, given, result_is_kept=True, of_async="It needs no thread: await it")
    from bough import _patch_stdlib

    _patch_stdlib.opt_in()
    return _bough.Call(function, args, kwargs)


def cancel_at_next_await(task, requests, *message):
    """Cancel the task when it waits again: a task that is cancelled while it runs would lose what it returns. If the block that
    requested the cancellation is left before, asyncio.timeout() has called task.uncancel(), and nothing is cancelled."""

    def cancel():
        if task.done() or task.cancelling() < requests:
            return
        waits_for = task._fut_waiter
        if waits_for is None or waits_for.done():
            loop.call_soon(cancel)  # the task runs before that call
        else:
            task.cancel(*message)
            task.uncancel()

    loop = task.get_loop()
    loop.call_soon(cancel)


# ---- trio and anyio ---------------------------------------------------------------------------------------------------------


async def run_sync(library, func, args, **options):
    """`library` has open(), a group of tasks; shield(), a scope; Event; checkpoint(); Cancelled; is_cancelled(), by a scope; and
    run_sync(), which no cancellation ends. A separate task makes the call, so that the calling task notices its cancellation."""
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
                        group.cancel_scope.cancel()  # ends a call that still waits for a thread
                        call.interrupt(CANCELLED)
        except BaseException as error:
            if outcome is None or not consists_of(error, lambda inner: isinstance(inner, library.Cancelled)):
                raise
        return await _outcome(library, cancelled, native, *outcome)
    finally:
        del outcome, cancelled, native


async def _outcome(library, cancelled, native, has_result, result):
    """`cancelled`: what has interrupted the call. `native`: a CancelledError of asyncio that Task.cancel() has raised, not a scope."""
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
            return result  # the next checkpoint raises the cancellation again
        raise
    if has_result:
        if native is not None:
            cancel_at_next_await(task, task.cancelling(), *native.args)
        return result
    raise native or cancelled or result
