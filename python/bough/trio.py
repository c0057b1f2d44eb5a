# SPDX-License-Identifier: MIT
"""A version of trio.to_thread.run_sync() whose call ends when the task is cancelled (rule 45)."""
from types import SimpleNamespace

import trio

from bough import _to_thread

__all__ = ["run_sync"]


_trio = SimpleNamespace(
    open=trio.open_nursery,
    shield=lambda on: trio.CancelScope(shield=on),
    Event=trio.Event,
    checkpoint=trio.lowlevel.checkpoint_if_cancelled,
    run_sync=trio.to_thread.run_sync,
    Cancelled=trio.Cancelled,
    is_cancelled=lambda: True,
)


async def run_sync(sync_fn, /, *args, limiter=None):
    """Call `sync_fn(*args)` on one of trio's threads. If the task is cancelled, the call is interrupted, and Cancelled is raised
    when the call has ended. If the call completes nevertheless, its result is returned, and Cancelled is raised at the next
    checkpoint."""
    return await _to_thread.run_sync(_trio, sync_fn, args, limiter=limiter)
