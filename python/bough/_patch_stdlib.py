# SPDX-License-Identifier: MIT
"""Opting in and out, and the report: which parts of the standard library bough replaces and restores, by which file.

Blocking calls need no replacement in Python, the C side interrupts them. _patch_threads.py and _patch_modules.py replace the
functions for which an interrupted call is not enough.
"""
import os
from contextlib import suppress

from bough import _bough, _check, _green, _patch_modules, _patch_threads, _process, _replace, _signals
from bough._own import without_frames

_lock = _replace.lock
_opted_in = False  # True when all steps of opt_in() are done
_is_opting_in = False
_more = set()  # keys of _MORE that the program has asked for


@without_frames
def opt_in(*, pools=False, threads=False):
    """Interpose blocking calls and replace the parts of the standard library that bough's threads need. The first Thread, branch
    or post does this automatically.

    pools: opt in all thread pools as well. Future.cancel() then interrupts a running item.
    threads: opt in plain threads as well. An interrupt then ends the blocking calls of each threading.Thread that is started
    later.

    All of this stays in effect until opt_out(). Returns whether the call has changed anything. If a step fails, the call undoes
    its changes and raises the exception."""
    wanted = {name for name, on in (("pools", pools), ("threads", threads)) if _check.flag(f"opt_in() {name}", on)}
    if _opted_in and wanted <= _more:
        _green.refuse_patches()
        if _replace.are_late():
            _replace.change_late()
        _signals.take_part_in_new_process()
        return False
    with _lock:
        _green.refuse_patches()
        if _is_opting_in or (_opted_in and wanted <= _more):
            return False  # an outer call of this thread is doing it, or another thread has done it
        _opt_in(wanted - _more)
    return True


def _opt_in(wanted):
    """A Ctrl-C may come between any two steps."""
    global _opted_in, _is_opting_in
    first = not _opted_in
    try:
        _is_opting_in = True
        if first:
            _bough.opt_in()
            _patch_all()
            _signals.take_part()
        with _replace.all_or_none():
            for name in sorted(wanted):
                _MORE[name]()
        _more.update(wanted)
        _opted_in = True
    except BaseException:
        if first:
            _put_back()
        raise
    finally:
        _is_opting_in = False


@without_frames
def opt_out():
    """Restore everything that opt_in() has replaced. Running threads and branches go on, and interrupts no longer end their
    blocking calls. If an address can't be restored, nothing is changed, and RuntimeError is raised."""
    global _opted_in
    with _lock:
        if not _bough.opted_in():
            return False
        _opted_in = False
        try:
            _put_back()
        finally:
            _opted_in = _bough.opted_in()
            if not _opted_in:
                _more.clear()
    return True


def _put_back():
    """Only the first step, _bough.opt_out(), can fail. A Ctrl-C that comes meanwhile is raised when all is restored."""
    try:
        _bough.opt_out()
        _restore()
    except BaseException:
        if not _bough.opted_in():
            _restore()
        raise


def _restore():
    """May be called again after an exception."""
    try:
        _replace.undo_all()
    finally:
        _signals.leave()


def _fork_ends():
    with suppress(RuntimeError):  # a Ctrl-C has ended the wait for the lock
        _lock.release()


# The new process would wait forever for a thread that holds the lock, and what that thread changes would be half done.
_fork_begins = _bough.around(_lock.acquire, uninterruptible=True)
os.register_at_fork(before=_fork_begins, after_in_parent=_fork_ends, after_in_child=_fork_ends)


def _interpreter_ends():
    """Restore the standard library. Interrupts still end the blocking calls of threads that go on."""
    with _lock:
        _replace.undo_all()
        _signals.interpreter_ends()


_process.at_interpreter_end(_interpreter_ends)


_POOLS = "concurrent.futures._base concurrent.futures.thread multiprocessing.pool"

# A file of bough -> the modules that it changes when they are imported, or now if the program has imported them already.
_CHANGED_BY = {
    "_patch_modules": f"multiprocessing.synchronize queue socket subprocess {_patch_modules.INTERPRETERS}",
    "_futures": _POOLS,
    "_green": "eventlet.patcher gevent.events",
    "_loops": (
        "asyncio.base_events gevent.hub gi.overrides.GLib gi.overrides.Gio trio._core._io_epoll trio._core._run trio._threads "
        "twisted.internet.base twisted.python.failure uvloop"
    ),
}


def _follow(changed_by):
    _replace.follow_imports({name: f"bough.{file}" for file, names in changed_by.items() for name in names.split()})


def _plain_threads():
    from bough import _plain  # loaded only if the program asks for it

    _plain.take_part()


_MORE = {"pools": lambda: _follow({"_pools": _POOLS}), "threads": _plain_threads}


def _patch_all():
    _patch_threads.patch()
    _patch_modules.patch()
    _follow(_CHANGED_BY)


# ---- report -----------------------------------------------------------------------------------------------------------------

NOT_COVERED = (
    ("os.system()", "is not interrupted: use subprocess.run()"),
    ("calls through ctypes and cffi", "bough can't replace addresses that are looked up at run time"),
    ("a long computation in C, such as sum(range(10**9))", "executes no bytecode and makes no blocking call"),
    ("a buffered file that another thread is using", "io waits for that thread inside the interpreter"),
    ("bytes that an interrupted buffered read has gathered", "are lost, as with any exception: io does not keep them"),
    ("sqlite3's wait for another connection's lock", "if its connection was opened before opting in, or after PRAGMA busy_timeout"),
    ("condition variables, semaphores and joins in C code", "most C code aborts if these fail"),
    ("fsync(), a dead NFS server, disks", "the kernel does not let a signal interrupt these"),
    ("event loops of Qt and Tk", "bough has no way to end them"),
    ("threads that have not opted in", "only threads that have opted in are interrupted"),
)


@without_frames
def report():
    """Return what bough covers in this interpreter, what it does not cover, and why, as a dict whose `str()` is readable text."""
    slots = [(name or "the program", symbol or "", state, why or "") for name, symbol, state, why in _bough.slots()]
    in_or_out = _bough.lock_methods()
    return Report(
        opted_in=_bough.opted_in(),
        pools="pools" in _more,
        threads="threads" in _more,
        interposed=sorted({(name, symbol) for name, symbol, state, _ in slots if state == "interposed"}),
        hooked=sorted({(name, symbol) for name, symbol, state, _ in slots if state == "hooked"}),
        skipped=sorted({(name, symbol, why) for name, symbol, state, why in slots if state == "skipped"}),
        methods=[name for name, wrapped in in_or_out if wrapped],
        methods_not_wrapped=[name for name, wrapped in in_or_out if not wrapped],
        errors=_bough.replaced_errors(),
        replaced=_replace.replaced(),
        kept_stacks=_bough.kept_stacks(),
        not_covered=list(NOT_COVERED),
    )


class Report(dict):
    def __str__(self):
        if not self["opted_in"]:
            return "bough: nothing is patched. The first Thread, branch or interrupt opts in."
        by_object = {}
        for name, symbol in self["interposed"]:
            by_object.setdefault(name, []).append(symbol)
        lines = ["bough: blocking calls that interrupts end, by object:"]
        lines += [f"  {name}: {', '.join(symbols)}" for name, symbols in by_object.items()]
        own = sorted({symbol for _, symbol in self["hooked"]})
        lines += ["waits of C code that never fail, and checks for signals: " + ", ".join(own)]
        lines += ["methods that wait interruptibly: " + ", ".join(self["methods"])]
        if self["methods_not_wrapped"]:
            lines += ["methods that wait without being interruptible: " + ", ".join(self["methods_not_wrapped"])]
        lines += ["errors that become the interrupt's exception: " + ", ".join(self["errors"])]
        lines += ["replaced in the standard library: " + ", ".join(self["replaced"])]
        lines += [f"memory for the frames of threads that have ended: {self['kept_stacks']} blocks of 16 kB are kept for new threads"]
        lines += ["pools of threads: " + ("interrupts end their items" if self["pools"] else "as without bough, see opt_in(pools=)")]
        plain = "interrupts end their blocking calls" if self["threads"] else "as without bough, see opt_in(threads=)"
        lines += [f"plain threads: {plain}"]
        lines += [f"not interposed: {symbol} of {name}: {why}" for name, symbol, why in self["skipped"]]
        lines += ["not covered:"] + [f"  {what}: {why}" for what, why in self["not_covered"]]
        return "\n".join(lines)
