# SPDX-License-Identifier: MIT
import enum
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from types import GenericAlias, TracebackType
from typing import IO, Any, Final, Generic, NamedTuple, Protocol, TypeVar, final

from _typeshed import structseq
from typing_extensions import Self, TypeAlias

__version__: str

_T = TypeVar("_T")
_E_co = TypeVar("_E_co", bound=BaseException, covariant=True)
_Exception: TypeAlias = BaseException | type[BaseException]
_Thread: TypeAlias = threading.Thread | int

class _Closes(Protocol):
    def close(self) -> Any: ...

class _Region(Protocol):
    def __enter__(self) -> Any: ...
    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

# ---- asking, and regions

@final
class Record(structseq[Any], tuple[str, str, int, float, int, int, int, int, int]):
    __match_args__: Final = ("kind", "reason", "source", "age", "count", "signo", "rung", "target", "since")
    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def source(self) -> int: ...
    @property
    def age(self) -> float: ...
    @property
    def count(self) -> int: ...  # type: ignore[override]
    @property
    def signo(self) -> int: ...
    @property
    def rung(self) -> int: ...
    @property
    def target(self) -> int: ...
    @property
    def since(self) -> int: ...

allow_interruption: _Region

def check_interrupt() -> None: ...
def cleanup(grace: float | None = 5.0) -> _Region: ...
def clear_interrupt() -> bool: ...
def critical_section(budget: float | None = 5.0, *, check: bool = False) -> _Region: ...
def interruption_requested() -> bool: ...
def library_version() -> str: ...
def opt_in() -> bool: ...
def opt_out() -> bool: ...
def reason() -> Record | None: ...
def report() -> dict[str, Any]: ...

# ---- threads

class ThreadExit(SystemExit):
    record: Record | None
    @staticmethod
    def clear() -> bool: ...

Interrupted = ThreadExit

class NotAliveError(RuntimeError, ValueError): ...

class Thread(threading.Thread):
    @property
    def enable_io_interrupt(self) -> bool: ...
    @enable_io_interrupt.setter
    def enable_io_interrupt(self, on: bool) -> None: ...
    @property
    def enable_interrupt_io(self) -> bool: ...
    @enable_interrupt_io.setter
    def enable_interrupt_io(self, on: bool) -> None: ...
    @property
    def enable_async_interrupt(self) -> bool: ...
    @enable_async_interrupt.setter
    def enable_async_interrupt(self, on: bool) -> None: ...
    def interrupt(self, reason: str | None = None) -> None: ...
    def raise_exc(self, exc: _Exception) -> None: ...
    def terminate(self) -> None: ...
    def isAlive(self) -> bool: ...

class ProtectedThread(Thread): ...

def interrupt(thread: _Thread, reason: str | None = None) -> None: ...
def interrupt_all_threads(reason: str | None = None) -> int: ...
def raise_exc(thread: _Thread, exc: _Exception) -> None: ...
def terminate(thread: _Thread) -> None: ...

class on_interrupt:
    callback: Callable[[], object]
    deadline: float
    def __init__(self, callback: Callable[[], object], *, deadline: float = 5.0) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

def set_enable_io_interrupt(on: bool = True) -> _Region: ...
def set_enable_async_interrupt(on: bool = True) -> None: ...

# ---- branches

class MultipleError(BaseExceptionGroup[_E_co]):
    def __new__(cls, message: str, errors: Iterable[_E_co]) -> Self: ...
    def derive(self, errors: Iterable[Any]) -> MultipleError[Any]: ...  # type: ignore[override]
    @property
    def primary(self) -> _E_co | BaseExceptionGroup[_E_co]: ...

def branch(
    name: str = "branch",
    *,
    strict: bool = False,
    supervisor: bool = False,
    limit: int | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
) -> Branch: ...

class Branch:
    name: str
    interrupted: bool
    failures: list[BaseException]
    def __init__(
        self,
        name: str,
        *,
        strict: bool,
        supervisor: bool,
        limit: int | None,
        timeout: float | None,
        deadline: float | None,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool: ...
    def __del__(self) -> None: ...
    def add(
        self,
        fn: Callable[..., _T],
        /,
        *args: Any,
        name: str | None = None,
        closing: _Closes | tuple[_Closes, ...] | list[_Closes] = (),
        **kwargs: Any,
    ) -> Child[_T]: ...
    def interrupt(self, reason: str | None = None) -> None: ...
    def clear_interrupt(self) -> bool: ...
    def set_deadline(self, deadline: float | None) -> None: ...

class Child(Generic[_T]):
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    name: str
    outcome: str
    result: _T | None
    exception: BaseException | None
    ident: int | None
    def __init__(
        self,
        owner: Branch,
        fn: Callable[..., _T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None,
        closing: Iterable[_Closes],
    ) -> None: ...
    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> bool: ...
    def interrupt(self, reason: str | None = None) -> None: ...
    def raise_exc(self, exc: _Exception) -> None: ...
    def terminate(self) -> None: ...
    def take(self) -> tuple[Any, ...]: ...

def current_child() -> Child[Any] | None: ...

# ---- the ladder

class Rung(enum.IntEnum):
    FLAG = 1
    HANDLER = 2
    FINAL = 3
    CLOSE = 4
    EXIT = 5
    KILL = 6

class Incident(NamedTuple):
    record: Record
    rung: Rung
    deadline: float | None
    cap: float | None

class Ladder(NamedTuple):
    grace: float
    cap: float
    times: dict[Rung, float]
    ceilings: dict[str, Rung]

class Transition(NamedTuple):
    kind: str
    before: int
    after: int
    name: str
    why: str
    place: str
    source: int
    age: float
    target: int

class _Verdict(NamedTuple):
    number: int
    name: str
    seconds: float = 0.0

_Target: TypeAlias = Branch | Child[Any] | threading.Thread | int | None
_File: TypeAlias = IO[Any] | int

UNWIND: _Verdict
PROMOTE: _Verdict
DISMISS: _Verdict

def resume(seconds: float) -> _Verdict: ...
def handler(callback: Callable[[Incident], _Verdict | None], *, final: bool = False) -> _Region: ...

class closer:
    def __init__(self, callback: Callable[[], object]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

def set_ladder(
    target: _Target = None,
    *,
    grace: float | None = None,
    cap: float | None = None,
    times: Mapping[int, float] | None = None,
    ceilings: Mapping[str, int] | None = None,
) -> None: ...
def get_ladder(target: _Target = None) -> Ladder: ...
def on_transition(callback: Callable[[Transition], object] | None) -> Callable[[Transition], object] | None: ...
def exit_tier(tier: int, callback: Callable[[], object]) -> None: ...
def last_words(file: str | os.PathLike[str] | _File | None = None, *, core: bool = False) -> None: ...
def dump(file: _File | None = None) -> None: ...
