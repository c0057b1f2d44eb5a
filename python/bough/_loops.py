# SPDX-License-Identifier: MIT
"""Event loops: an interrupt of the thread in which a loop runs ends the loop by the loop's documented means.

The C code of a loop ignores a failed call, or aborts if the call fails with an error that it does not expect. So the loop waits
for one more descriptor: the thread's, which is readable while an interrupt is due for the thread. The loop then calls back on its
thread, and the callback asks the loop to stop, as the loop's documentation says. When run() has returned, the interrupt's
exception is raised there. So the loop's usual cleanup is done: asyncio.run() cancels the tasks and lets them clean up.

An interrupt that has ended the loop is suppressed while the loop cleans up, for the grace period of a blocking call (rule 22).

The libraries differ only in how their loops get a descriptor and how they are asked to stop.
"""
import threading
from collections.abc import Coroutine
from functools import wraps
from weakref import WeakSet

from bough import _bough, _replace
from bough._exceptions import ThreadExit, consists_of, is_a_stop

LOOK_AGAIN = 0.05  # seconds after which an interrupt that was not admitted is tried again: a critical section may be over


class _Run:
    """One run of a loop. `stop()` asks the loop to end; it is called on the loop's thread. `cleans_up`: the loop's cleanup is a part
    of the run. If not, functions that the loop calls before it stops are interrupted as those before."""

    def __init__(self, stop, cleans_up=True):
        self.stop, self.cleans_up, self.error, self.over = stop, cleans_up, None, False
        self.fd = _bough.event_fd()

    def look(self):
        """Called when the descriptor is readable. Returns whether to watch it again in LOOK_AGAIN seconds, because the thread
        admits no interrupt now, or the interrupt has been raised already or was cleared meanwhile."""
        if self.over or self.error is not None:
            return False
        error = _bough.take_due()
        if error is not None:
            self.error = error
            if self.cleans_up:
                _suppress(error)
            self.stop()
            _interrupt_calls()
        return error is None

    def __enter__(self):
        _tls.runs += 1
        return self

    def __exit__(self, kind, value, trace):
        self.over = True
        _tls.runs -= 1
        error, self.error = self.error, None
        if error is None:
            if value is not None and consists_of(value, is_a_stop):
                _interrupt_calls()  # the interrupt has ended a blocking call of the loop's thread
            return
        if value is None:
            if not self.cleans_up:
                _suppress(error)
            raise error
        if not self.cleans_up and _is_same(value, error):
            return  # the interrupt has ended a function that the loop called before it stopped
        _bough.rearm(error)  # another exception has ended the loop, so the interrupt is due again


def _is_same(one, other):
    """Whether two exceptions are of the same interrupt."""
    if not isinstance(one, ThreadExit) or not isinstance(other, ThreadExit):
        return False
    return all(getattr(one.record, name) == getattr(other.record, name) for name in ("kind", "target", "since"))


ASKED = "its event loop was interrupted"


class _Tls(threading.local):
    runs = 0  # the number of nested runs of loops

    def __init__(self):
        self.calls = WeakSet()  # the _Call and Call objects of this thread's loops, until these calls have returned


_tls = _Tls()


def _interrupt_calls():
    calls = [getattr(call, "call", call) for call in list(_tls.calls)]
    for call in calls:
        call.asked = ASKED  # all calls first: an interrupted worker takes the next one
    for call in calls:
        call.interrupt(ASKED)


class _Call:
    """A call on another thread that a loop waits for, even if the task that requested it is cancelled. The call can be interrupted;
    if its loop is interrupted, it ends with the exception `cancelled`."""

    def __init__(self, function, args=(), cancelled=None):
        self.call, self.cancelled = _bough.Call(function, args, {}), cancelled
        _tls.calls.add(self)

    def __call__(self):
        try:
            return self.call()
        except BaseException as error:
            if self.cancelled is None or not consists_of(error, is_a_stop):
                raise
        raise self.cancelled


_never = threading.Lock()
_never.acquire()


def _take_due():
    """The exception of an interrupt that is due and was not raised in this thread for a grace period, or None."""
    error = _bough.take_due()
    _suppress(error)
    return error


def _suppress(error):
    """The interrupt would end a blocking call, too: it is suppressed for a grace period (rule 22), so that the loop's cleanup can
    block."""
    if isinstance(error, ThreadExit):
        try:
            _never.acquire(True, 0.001)
        except ThreadExit:
            pass  # the same interrupt
        except BaseException as other:  # raise_exc() has posted it meanwhile, for this thread alone, so it came first
            if not _bough.leave_due(other):
                raise


def _polls(original):
    """Wrap a poll() of Python code whose caller does not expect an exception; its last argument is the time to wait. If an
    interrupt ends the poll, it is repeated with the time 0, since a wait would be interrupted again, and returns what is ready."""

    @wraps(original)
    def poll(*args):
        try:
            return original(*args)
        except BaseException as error:
            if not _tls.runs or not _bough.leave_due(error):
                raise
        return original(*args[:-1], 0)

    return poll


def _replace_if_there(owner, name, new):
    """Replace an attribute that this version of the library has. Without the attribute its loops stay unchanged."""
    if hasattr(owner, name):
        _replace.replace(owner, name, new)


# ---- asyncio, and with it uvloop, tornado and anyio ------------------------------------------------------------------------


def _asyncio(owner):
    """`owner` is the name of a class of loops."""

    def new(original):
        @wraps(original)
        def run_forever(self):
            if not _bough.takes_part() or self.is_closed() or self.is_running():
                return original(self)
            with _Run(self.stop, cleans_up=False) as run:
                watch = _Reader(self, run)
                try:
                    return original(self)
                finally:
                    watch.end()

        return run_forever

    def change(module):
        loops = getattr(module, owner, None)
        _replace_if_there(loops, "run_forever", new)
        _replace_if_there(loops, "run_in_executor", _in_executor)

    return change


def _in_executor(original):
    """Pass a _Call to an executor that runs calls on threads of this interpreter."""

    @wraps(original)
    def run_in_executor(self, executor, func, *args):
        used = executor if executor is not None else getattr(self, "_default_executor", None)
        if not _tls.runs or not callable(func) or not _is_of_threads(used):
            return original(self, executor, func, *args)
        if hasattr(func, "is_bough_call"):
            _tls.calls.add(func)
            return original(self, executor, func, *args)
        from concurrent.futures import CancelledError

        return original(self, executor, _Call(func, args, CancelledError()))

    return run_in_executor


def _is_of_threads(executor):
    """None stands for the executor that a loop creates."""
    if executor is None:
        return True
    from concurrent.futures import ThreadPoolExecutor

    return type(executor) is ThreadPoolExecutor


class _Reader:
    """The descriptor, watched by a loop with asyncio's methods."""

    def __init__(self, loop, run):
        self.loop, self.run, self.timer = loop, run, None
        try:
            loop.add_reader(run.fd, self.ready)
        except NotImplementedError:
            pass  # the loop can't watch descriptors

    def ready(self):
        self.loop.remove_reader(self.run.fd)
        if self.run.look():
            self.timer = self.loop.call_later(LOOK_AGAIN, self.again)

    def again(self):
        self.loop.add_reader(self.run.fd, self.ready)

    def end(self):
        if self.timer is not None:
            self.timer.cancel()
        if not self.loop.is_closed():
            try:
                self.loop.remove_reader(self.run.fd)
            except NotImplementedError:
                pass


# ---- GLib ---------------------------------------------------------------------------------------------------------------------


def _glib(module):
    """gi.overrides.GLib. A main loop runs in the context that it was made for."""
    _replace_if_there(module.MainLoop, "run", lambda original: _run_glib(original, lambda loop: loop.get_context()))


def _gio(module):
    """gi.overrides.Gio. An application runs in the default context."""
    _replace_if_there(module.Application, "run", lambda original: _run_glib(original, lambda application: None))


def _run_glib(original, context_of):
    @wraps(original)
    def run(self, *args, **kwargs):
        if not _bough.takes_part():
            return original(self, *args, **kwargs)
        with _Run(self.quit) as run:
            source = _source(run)
            source.attach(context_of(self))
            try:
                return original(self, *args, **kwargs)
            finally:
                source.destroy()

    return run


def _source(run):
    from gi.repository import GLib

    class Source(GLib.Source):
        def prepare(self):
            return False, -1

        def check(self):
            return bool(self.poll.revents)

        def dispatch(self, callback, args):
            if run.look():
                self.remove_poll(self.poll)
                again = GLib.timeout_source_new(int(LOOK_AGAIN * 1000))
                again.set_callback(lambda *_: self.add_poll(self.poll) or False)
                again.attach(self.get_context())
            elif run.error is not None:
                self.remove_poll(self.poll)
            return True

    source = Source()
    source.poll = GLib.PollFD(run.fd, GLib.IO_IN)
    source.add_poll(source.poll)
    return source


# ---- trio, and with it anyio --------------------------------------------------------------------------------------------------


def _trio(module):
    """trio._core._run: the main task runs in a cancel scope."""

    async def watch(run):
        from trio import lowlevel, sleep

        while not run.over:
            await lowlevel.wait_readable(run.fd)
            while call := next((call for call in list(_tls.calls) if call.cancelled is None), None):
                call.cancelled = await cancelled()
            if not run.look():
                return
            await sleep(LOOK_AGAIN)

    async def cancelled():
        """A Cancelled exception, which only trio can create."""
        from trio import Cancelled, CancelScope, lowlevel

        with CancelScope() as scope:
            scope.cancel()
            try:
                await lowlevel.checkpoint()
            except Cancelled as error:
                made = error.with_traceback(None)
        return made

    async def in_scope(coroutine):
        from trio import CancelScope, lowlevel

        scope = CancelScope()
        with _Run(scope.cancel) as run, scope:
            lowlevel.spawn_system_task(watch, run)
            return await coroutine

    def with_scope(async_fn):
        """Anything but an async function is left to trio, which refuses it."""
        if not callable(async_fn):
            return async_fn

        @wraps(getattr(async_fn, "func", async_fn))  # trio names the task after the function
        def main(*args):
            coroutine = async_fn(*args)
            return in_scope(coroutine) if isinstance(coroutine, Coroutine) else coroutine

        return main

    def new(original):
        @wraps(original)
        async def init(self, async_fn, args):
            return await original(self, with_scope(async_fn) if _bough.takes_part() else async_fn, args)

        return init

    _replace_if_there(module.Runner, "init", new)


def _trio_threads(module):
    """trio._threads"""

    def new(original):
        @wraps(original)
        def start_thread_soon(function, deliver, *more):
            return original(_Call(function) if _tls.runs else function, deliver, *more)

        return start_thread_soon

    _replace_if_there(module, "start_thread_soon", new)


def _trio_epoll(module):
    _replace_if_there(module.EpollIOManager, "get_events", _polls)


# ---- twisted --------------------------------------------------------------------------------------------------------------------


def _twisted(module):
    """twisted.internet.base"""

    def new(original):
        @wraps(original)
        def mainLoop(self):
            if not _bough.takes_part() or not hasattr(self, "addReader"):
                return original(self)
            with _Run(self.stop) as run:
                reader = _TwistedReader(self, run)
                self.addReader(reader)
                self.doIteration = _polls(self.doIteration)
                try:
                    return original(self)
                finally:
                    del self.doIteration
                    self.removeReader(reader)

        return mainLoop

    def calls(original):
        """Functions of the application that the reactor calls before its main loop."""

        @wraps(original)
        def startRunning(self, *args, **kwargs):
            _tls.runs += 1
            try:
                return original(self, *args, **kwargs)
            finally:
                _tls.runs -= 1

        return startRunning

    for name in ("_SignalReactorMixin", "ReactorBase"):
        owner = getattr(module, name, None)
        if "mainLoop" in vars(owner or object):
            _replace_if_there(owner, "mainLoop", new)
    _replace_if_there(module.ReactorBase, "startRunning", calls)


def _twisted_failures(module):
    """twisted.python.failure: the reactor logs an exception of a function that it calls and goes on, so the interrupt stays due."""

    def made(failure, *args, **kwargs):
        if _tls.runs and isinstance(failure.value, BaseException):
            _bough.leave_due(failure.value)

    _replace.replace(module.Failure, "__init__", lambda original: _replace.around(original, after=made))


class _TwistedReader:
    """The descriptor, as twisted's IReadDescriptor."""

    def __init__(self, reactor, run):
        self.reactor, self.run = reactor, run

    def fileno(self):
        return self.run.fd

    def logPrefix(self):
        return "bough"

    def doRead(self):
        self.reactor.removeReader(self)
        if self.run.look():
            self.reactor.callLater(LOOK_AGAIN, self.reactor.addReader, self)

    def connectionLost(self, reason):
        pass


# ---- gevent, not patched --------------------------------------------------------------------------------------------------------


def _gevent(module):
    """gevent.hub: a thread's hub raises the exception in the thread's main greenlet, as it does a KeyboardInterrupt."""

    def new(original):
        @wraps(original)
        def run(self):
            if _bough.takes_part():
                _GeventWatch(self)
            return original(self)

        return run

    _replace_if_there(module.Hub, "run", new)


class _GeventWatch:
    """Watches the descriptor as long as the hub exists."""

    def __init__(self, hub):
        self.hub = hub
        self.timer = hub.loop.timer(LOOK_AGAIN, ref=False)
        self.watcher = hub.loop.io(_bough.event_fd(), 1, ref=False)
        self.watch()

    def watch(self):
        self.watcher.start(self.ready)

    def ready(self):
        self.watcher.stop()
        self.timer.start(self.watch)
        error = _take_due()
        if error is not None:
            self.hub.handle_system_error(type(error), error)


CHANGES = {
    "asyncio.base_events": _asyncio("BaseEventLoop"),
    "uvloop": _asyncio("Loop"),
    "gi.overrides.GLib": _glib,
    "gi.overrides.Gio": _gio,
    "trio._core._run": _trio,
    "trio._core._io_epoll": _trio_epoll,
    "trio._threads": _trio_threads,
    "twisted.internet.base": _twisted,
    "twisted.python.failure": _twisted_failures,
    "gevent.hub": _gevent,
}
