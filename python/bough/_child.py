# SPDX-License-Identifier: MIT
"""Children, the threads of a branch. child_add.c adds a child and child.c runs it. Both call methods with an underscore."""
import collections
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


@_bough.child_is
@without_frames
class Child(_bough.Child):
    """A thread of a branch, made by Branch.add().

    name        the child's name in messages, in the kernel and in the tree
    outcome     "running", "ok", "error", "interrupted", "not started" or "lost"
    result()    returns what the function returned, or raises its exception. Raises NoResultError if there is neither, or if the
                block has raised the exception
    exception   the exception of a function that failed; reset to None when the block raises that exception, to avoid a
                reference cycle: use the caught exception instead
    ident       the thread's ident, as threading.get_ident() returns it; None before the child runs
    """

    __slots__ = ()
    __module__ = "bough"

    # Attributes of the C class besides these:
    #   _handle, _branch     the child's handle, once it runs; its branch's handle
    #   _owner, _above       a weak reference to its branch; the child that runs the block of its branch
    #   _closing, _posted    the objects to close; the exceptions that raise_exc() has posted; both created at first use
    #   _process, _native_id the process in which the child was added; the native id of its thread
    #   _over, _ended        whether the child has ended; the Event of its end
    #   _result              what the function returned
    #   _raised_text         the text of the exception, once the block has raised it

    def __repr__(self):
        return f"<bough.Child {self.name!r}: {self.outcome}{self._details()}>"

    def _details(self):
        if self.outcome == "ok":
            return f", {_check.shown(self._result)}" if self._result is not None else ""
        error = self.exception
        return f", {_check.shown(error)}" if error is not None else f", {self._raised_text}" if self._raised_text else ""

    def _no_result(self):
        """Raise the error of result() for a child that has no result."""
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
        """Called in a forked process, which has only the thread that forked."""
        del self._ended
        if self.outcome == RUNNING:
            self.outcome = LOST
        self._forget()

    def join(self, timeout=None):
        """Wait until the child has ended. Returns whether the child has ended. This is a blocking call and can be interrupted."""
        if current_child() is self:
            raise RuntimeError("a child cannot join itself")
        timeout = _check.wait("Child.join() timeout", timeout)
        return not self.is_alive() or self._event().wait(timeout)

    def _event(self):
        """The thread that forgets the child sets it (child_object.c). It is created before _over is read, so no end is missed."""
        ended = self._ended
        if self._over:
            ended.set()
        return ended

    def _when_over(self, callback):
        """Call callback(), which must not block, on the thread that forgets the child, or now if the child has ended."""
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
        """Raise `exc`, an exception class or that very instance, in the child. Raises NotAliveError if the child has ended."""
        self._posted.append(_instance(exc))
        if self.ident is not None:
            self._raise_posted()
        elif self.outcome != RUNNING:
            raise NotAliveError(f"{self!r} is not alive")

    def terminate(self):
        """raise_exc(SystemExit). Unless the child catches that exception, it ends as interrupted, which is no failure."""
        self.raise_exc(SystemExit)

    def _raise_posted(self):
        """Called by posters, and by the child when it begins: one of them takes each exception."""
        while self._posted:
            try:
                exc = self._posted.pop(0)
            except IndexError:
                return  # another thread has taken it
            if not _bough.raise_in_handle(self._handle, exc):
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
        """The end of a child, unless child.c completes it. Returns an error number, or 0 if the child succeeded."""
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
        """The function has failed, or close() of an object, or the child has left a branch open."""
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
        """The child has forked, and this is the new process: it has no other thread, so it ends with the child."""
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

    # ---- called by the thread that adds the child, or ends the branch

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
    child = current_child()
    if child is not None:
        child._process = os.getpid()


os.register_at_fork(after_in_child=_in_new_process)


def _end_what_is_open():
    """End the branches and regions that suspended generators of this thread have left open. Returns an error if there were any
    branches, else None."""
    misuse = _open_branches.end_all_of_this_thread()
    _bough.leave_open(0)
    return misuse


class _Ended:
    """The event of a child's end. It needs no lock: a garbage collection in a thread that held the lock could drop an open
    branch, and wait for a child whose end sets an event. Each callback is taken out of the deque by one thread."""

    def __init__(self):
        self._is_set, self._callbacks = False, collections.deque()

    def set(self):
        self._is_set = True
        self._call()

    def _call(self):
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return  # another thread calls it
            callback()

    def call_when_set(self, callback):
        """Call callback() on the thread that sets the event, or now if it is set."""
        self._callbacks.append(callback)
        if self._is_set:
            self._call()

    def wait(self, timeout):
        """Returns whether the event is set."""
        waiter = threading.Lock()
        waiter.acquire()
        self.call_when_set(waiter.release)
        try:
            return waiter.acquire() if timeout is None else waiter.acquire(timeout > 0, timeout or -1)
        finally:
            if not self._is_set:
                self._forget(waiter.release)

    def _forget(self, callback):
        try:
            self._callbacks.remove(callback)
        except ValueError:
            pass  # the event was set meanwhile


class _ChildThread(threading._DummyThread):
    """Represents a running child in threading, so that current_thread(), logging and debuggers find it and its name."""

    # child.c creates this object with the attribute _child only. The attributes that threading.Thread.__init__() sets are created
    # when one of them is first read.
    _initialized = True

    def __getattr__(self, name):
        mine = self.__dict__
        if "_made" not in mine and "_child" in mine:
            for made, value in self._attributes().items():
                mine.setdefault(made, value)  # another thread, or the program, may have set it meanwhile
            mine["_made"] = True
        try:
            return mine[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self) from None

    def _attributes(self):
        """The attributes that threading._DummyThread sets in the thread that it stands for."""
        child = self._child
        made = dict(threading.Thread(name=child.name, daemon=True).__dict__)
        made["_started"].set()
        made["_ident"], made["_native_id"] = child.ident, child._native_id
        if hasattr(threading, "_make_thread_handle"):
            handle = "_handle" if "_handle" in made else "_os_thread_handle"  # the second from 3.15 on
            made[handle] = threading._make_thread_handle(child.ident)
        return made

    def _after_fork(self, new_ident=None):
        """From 3.13 on this may change the object's class to one that creates no attributes, so they are created here."""
        self._started
        super()._after_fork(new_ident=new_ident)

    def _reset_internal_locks(self, is_alive):
        """After a fork this is the main thread of the new process. Up to 3.12 threading's shutdown needs a lock and a class that
        the object does not have yet."""
        self._started
        super()._reset_internal_locks(is_alive)
        if is_alive and hasattr(self, "_set_tstate_lock"):
            self._set_tstate_lock()
            self.__class__ = threading._MainThread

    def is_alive(self):
        return self._child.is_alive()

    def join(self, timeout=None):
        self._child.join(timeout)
