# SPDX-License-Identifier: MIT
from collections.abc import Callable
from typing import Any, TypeVar
from typing_extensions import TypeVarTuple, Unpack

__all__ = ["run_sync"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

async def run_sync(func: Callable[[Unpack[_Ts]], _T], /, *args: Unpack[_Ts], limiter: Any = None) -> _T: ...
