# SPDX-License-Identifier: MIT
"""A version of anyio.to_thread.run_sync() whose call ends when the task is cancelled (rule 45)."""
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import anyio.to_thread

from bough import _to_thread

__all__ = ["run_sync"]


def _is_cancelled():
    """Whether a scope has cancelled the task: then the checkpoint raises or waits. anyio 3.7 has a function for that."""
    checkpoint = anyio.lowlevel.checkpoint_if_cancelled()
    try:
        checkpoint.send(None)
    except StopIteration:
        return False
    except anyio.get_cancelled_exc_class():
        return True
    checkpoint.close()
    return True


def _anyio():
    return SimpleNamespace(
        open=anyio.create_task_group,
        shield=lambda on: anyio.CancelScope(shield=on),
        Event=anyio.Event,
        checkpoint=anyio.lowlevel.checkpoint_if_cancelled,
        run_sync=anyio.to_thread.run_sync,
        Cancelled=anyio.get_cancelled_exc_class(),  # that of the running loop
        is_cancelled=_is_cancelled,
    )


async def run_sync(func, /, *args, limiter=None):
    """Call `func(*args)` on one of anyio's threads. If the task is cancelled, the call is interrupted, and the cancellation is
    raised when the call has ended. If the call completes nevertheless, its result is returned, and the cancellation is raised at
    the next checkpoint."""
    return await _to_thread.run_sync(_anyio(), func, args, limiter=limiter)
