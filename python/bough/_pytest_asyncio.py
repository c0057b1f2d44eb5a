# SPDX-License-Identifier: MIT
"""Tests that wait in an event loop of asyncio: the limit cancels the task, as asyncio.timeout() does, so that the task cleans up
and its traceback ends where it waits."""
import sys
import traceback

import pytest

MOST_TASKS = 32


def waiting_in(frame):
    """(loop, task) if the thread waits in a loop's selector for a task; otherwise (None, None)."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or frame is None or frame.f_globals.get("__name__") != "selectors":
        return None, None
    while frame is not None:
        if frame.f_code.co_name == "run_until_complete":
            loop, task = frame.f_locals.get("self"), frame.f_locals.get("future")
            if isinstance(loop, asyncio.AbstractEventLoop) and isinstance(task, asyncio.Task):
                return loop, task
        frame = frame.f_back
    return None, None


def cancel(loop, task, message):
    """Ask the loop to cancel the task. Returns False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(task.cancel, message)
    except RuntimeError:
        return False
    return True


def tasks(loop, task):
    """The stacks of the loop's other tasks, as text."""
    if loop is None:
        return ""
    others = [other for other in sys.modules["asyncio"].all_tasks(loop) if other is not task][:MOST_TASKS]
    return "\n".join(f"{other.get_name()}:\n{''.join(stack_of(other))}" for other in others)


def stack_of(task):
    return [line for frame in task.get_stack() for line in traceback.format_stack(frame, limit=1)]


# ---- at the end of the phase -------------------------------------------------------------------------------------------


def failure_of(error, message):
    """If `error` is a cancellation, return the failure that replaces it; otherwise None."""
    asyncio = sys.modules["asyncio"]
    if not isinstance(error, asyncio.CancelledError):
        return None
    return pytest.fail.Exception(message).with_traceback(error.__traceback__)


def replace(infos, message):
    """Replace the cancellations in `infos`, the errors of a unittest.TestCase."""
    for i, info in enumerate(infos):
        failure = failure_of(info.value, message)
        if failure is not None:
            infos[i] = pytest.ExceptionInfo.from_exc_info((type(failure), failure, info.tb))
