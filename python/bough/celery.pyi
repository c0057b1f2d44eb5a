# SPDX-License-Identifier: MIT
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["TaskPool"]

class TaskPool:
    body_can_be_buffer: bool
    signal_safe: bool
    asynchronous: bool
    def __init__(
        self,
        limit: int | None = None,
        putlocks: bool = True,
        forking_enable: bool = True,
        callbacks_propagate: tuple[Any, ...] = (),
        app: Any = None,
        **options: Any,
    ) -> None: ...
    def on_start(self) -> None: ...
    def on_apply(
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        timeout_callback: Callable[..., object] | None = None,
        error_callback: Callable[..., object] | None = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Any: ...
    def terminate_job(self, pid: int, signal: int | None = None) -> None: ...
    def on_stop(self) -> None: ...
    def on_terminate(self) -> None: ...
    def ended(self, job: Any) -> None: ...
