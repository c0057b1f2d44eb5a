# SPDX-License-Identifier: MIT
"""A thread of a branch. child_object.c adds it and child.c runs it. Both call the methods that begin with an underscore."""
import os
import sys
import threading
import types
from errno import ECANCELED, EIO

from bough import _bough, _check, _open_branches, _watch
from bough._exceptions import NoResultError, NotAliveError, add_note, consists_of, in_a_line, is_a_stop
from bough._own import without_frames
from bough._threads import _instance

__all__ = ["Child", "current_child"]

RUNNING, ERROR, INTERRUPTED, NOT_STARTED, LOST = "running", "error", "interrupted", "not started", "lost"

current_child = _bough.current_child
_event_lock = threading.Lock()


@_bough.child_is
@without_frames
class Child(_bough.Child):
    """A thread of a branch, made by Branch.add().

    name        for messages, the kernel and the tree
    outcome     "running", "ok", "error", "interrupted", "not started" or "lost"
    result()    what the function returned; raises its exception, unless the block has done so, or NoResultError
    exception   what the function raised, if it failed; reset to None when the block raises that exception, to avoid a
                reference cycle: use the caught exception instead
    ident       the thread's ident, as threading.get_ident() returns it; None before the child runs
    """

    __slots__ = ()
    __module__ = "bough"

    # Attributes of the C class besides these:
    #   _handle, _branch     its own handle, once it runs, and its branch's
    #   _owner, _above       a weak reference to its branch; the child that this was entered in
    #   _closing, _posted    lists, made when they are asked for
    #   _process, _native_id in which it was added; of its thread
    #   _over, _ended        whether it has ended; the Event for those who wait for that
    #   _result              what the function returned
    #   _raised_text         of the exception, once the block has raised it

    def __repr__(self):
        return f"<bough.Child {self.name!r}: {self.outcome}{self._details()}>"

    def _details(self):
        if self.outcome == "ok":
            return f", {_check.shown(self._result)}" if self._result is not None else ""
        error = self.exception
        return f", {_check.shown(error)}" if error is not None else f", {self._raised_text}" if self._raised_text else ""

    def _no_result(self):
        """Raises what result() does then."""
        alive, why = self.is_alive(), self.outcome
        if alive:
            why = "still runs: call join() first, or call result() after the block"
        elif self._raised_text:
            why = f"has failed, and its block has raised the exception ({self._raised_text}): use the one that was caught there"
        elif why == INTERRUPTED:
            why = "was interrupted: look at its outcome first, where children may be interrupted"
        elif why == NOT_STARTED:
            why = "was not started, because its branch was interrupted"
        else:
            why = "is lost: bough has given up its thread, or it runs in the process that has forked this one"
        raise NoResultError(f"child {self.name!r} has no result: it {why}")

    def is_alive(self):
        """Whether the child still runs."""
        if os.getpid() != self._process and not self._over:
            self._stays_behind()
        return not self._over

    def _stays_behind(self):
        """In a forked process, which has only the thread that forked. Another one may have held the lock of the event."""
        self._ended = None
        if self.outcome == RUNNING:
            self.outcome = LOST
        self._forget()

    def join(self, timeout=None):
        """Wait until the child has ended. Returns whether it has. This is a blocking call and can be interrupted."""
        if current_child() is self:
            raise RuntimeError("a child cannot join itself")
        timeout = _check.wait("Child.join() timeout", timeout)
        return not self.is_alive() or self._event().wait(timeout)

    def _event(self):
        """The event is set by the thread that forgets the child (child_object.c). It is made before the child is examined, so no end is missed."""
        with _event_lock:
            if self._ended is None:
                self._ended = _Ended()
        if self._over:
            self._ended.set()
        return self._ended

    def _when_over(self, callback):
        """callback(), by the thread that forgets the child, or now. It must not wait."""
        if self.is_alive():
            self._event().call_when_set(callback)
        else:
            callback()

    def interrupt(self, reason=None):
        """Ask the child, and the threads of its branches, to stop. Does nothing if the child has ended."""
        reason = _check.reason("Child.interrupt()", reason)
        if self._handle is not None and self.is_alive():
            _bough.interrupt_handle(self._handle, reason)

    def raise_exc(self, exc):
        """Raise `exc`, a class or that very instance, in the child. Raises NotAliveError if the child has ended."""
        self._posted.append(_instance(exc))
        if self.ident is not None:
            self._raise_posted()
        elif self.outcome != RUNNING:
            raise NotAliveError(f"{self!r} is not alive")

    def terminate(self):
        """raise_exc(SystemExit). Unless the child catches that exception, it ends as interrupted, which is no failure."""
        self.raise_exc(SystemExit)

    def _raise_posted(self):
        """Called by the second of two threads: the poster, or the child when it begins."""
        while self._posted:
            if not _bough.raise_in_handle(self._handle, self._posted.pop(0)):
                raise NotAliveError(f"{self!r} is not alive")

    def take(self):
        """Take over the objects that were given as `closing=`. Returns them as a tuple; the child does not close them any more."""
        taken = tuple(self._closing)
        self._closing.clear()
        return taken

    __class_getitem__ = classmethod(types.GenericAlias)  # Child[int], in annotations

    # ---- in the child, called by child.c

    def _trace_as_threads_are(self):
        if threading.gettrace():
            sys.settrace(threading.gettrace())
        if threading.getprofile():
            sys.setprofile(threading.getprofile())

    def _ends(self, result, exception):
        """Not well. Returns an error number."""
        left_open = _end_what_is_open()
        if left_open:
            return self._failed(left_open)
        if isinstance(result, types.CoroutineType):
            exception = _check.result(self.name, result)
        if exception is None:
            self.outcome, self._result = "ok", result
            return 0
        if consists_of(exception, is_a_stop):
            self.outcome = INTERRUPTED
            self._notify_owner("_child_interrupted", exception, self)
            return ECANCELED
        return self._failed(exception)

    def _failed(self, error):
        """Its function has, or what it had to close."""
        self.outcome = ERROR
        owner = self._owner()
        add_note(error, f"in child {self.name!r}" + (f" of branch {owner.name!r}" if owner is not None else ""))
        if self.exception is None:
            self.exception = error
        if _watch.on_failure is not None:
            _watch.on_failure(self.name, owner.name if owner is not None else None, error)
        self._notify_owner("_child_failed", error, self)
        _bough.fail(0, EIO, in_a_line(error))
        return EIO

    def _end_forked_process(self):
        """There is no more to this process than the thread that forked."""
        status = 0
        try:
            if isinstance(self.exception, SystemExit):
                status = self.exception.code
                status = status if isinstance(status, int) else 0 if status is None else 1
            elif self.exception is not None:
                import traceback

                status = 1
                traceback.print_exception(self.exception)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)

    # ---- in the thread that adds it, or ends the branch

    def _never_started(self):
        self.outcome = NOT_STARTED
        self._drop_call()
        while self._closing:
            try:
                self._closing.pop(0).close()
            except BaseException as error:
                self._notify_owner("_child_failed", error, None)
        self._forget()

    def _lost(self):
        self.outcome = LOST
        self._forget()

    def _given_up(self):
        self.interrupt("the branch was given up meanwhile")

    def _notify_owner(self, what, *args):
        owner = self._owner()
        if owner is not None:
            getattr(owner, what)(*args)


def _in_new_process():
    _event_lock._at_fork_reinit()  # another thread may have held it
    child = current_child()
    if child is not None:
        child._process = os.getpid()


os.register_at_fork(after_in_child=_in_new_process)


def _end_what_is_open():
    """Branches and regions in generators that are suspended somewhere: they end with their thread. A RuntimeError if
    there were any branches."""
    misuse = _open_branches.end_all_of_this_thread()
    _bough.leave_open(0)
    return misuse


class _Ended(threading.Event):
    """It has ended: set once."""

    def __init__(self):
        super().__init__()
        self._callbacks = []

    def set(self):
        super().set()
        with _event_lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def call_when_set(self, callback):
        """Call callback(): by the thread that sets the event, or now."""
        with _event_lock:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()


class _ChildThread(threading._DummyThread):
    """So that current_thread(), logging and debuggers know the child, by its name, for as long as it runs."""

    # It is made by child.c, with the attribute _child and no more: what threading.Thread.__init__() makes is made when somebody
    # asks for it.
    _initialized = True

    def __getattr__(self, name):
        mine = self.__dict__
        if "_made" not in mine and "_child" in mine:
            for made, value in self._attributes().items():
                mine.setdefault(made, value)  # another thread may be here as well; or the program has set it
            mine["_made"] = True
        try:
            return mine[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self) from None

    def _attributes(self):
        """As threading._DummyThread has them, for a thread of its own."""
        child = self._child
        made = dict(threading.Thread(name=child.name, daemon=True).__dict__)
        made["_started"].set()
        made["_ident"], made["_native_id"] = child.ident, child._native_id
        if hasattr(threading, "_make_thread_handle"):
            handle = "_handle" if "_handle" in made else "_os_thread_handle"  # the second from 3.15 on
            made[handle] = threading._make_thread_handle(child.ident)
        return made

    def _after_fork(self, new_ident=None):
        """From 3.13 on: it may become a thread of another class, which makes nothing when asked."""
        self._started
        super()._after_fork(new_ident=new_ident)

    def _reset_internal_locks(self, is_alive):
        """After a fork it is the main thread of the new process, and up to 3.12 lacks what threading's end asks of
        one."""
        self._started
        super()._reset_internal_locks(is_alive)
        if is_alive and hasattr(self, "_set_tstate_lock"):
            self._set_tstate_lock()
            self.__class__ = threading._MainThread

    def is_alive(self):
        return self._child.is_alive()

    def join(self, timeout=None):
        self._child.join(timeout)
