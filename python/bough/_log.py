# SPDX-License-Identifier: MIT
"""Logs to the logging module: interrupts that are posted, delivered and over, the ladder's steps, failures.

      a post, a step    a helper of the library --+
                                                  +--> a queue --> the thread bough-log --> Logger.handle()
      a failure         the thread that fails  ---+

No thread waits for the queue, and no record is made by the thread that the record is about, in a signal handler or while a lock of
bough is held. A handler that hangs stops only the log; events that find no room then are counted, as are those above the rate.
"""
import atexit
import logging
import os
import sys
import threading
import time
from _queue import Empty, SimpleQueue
from _thread import RLock, allocate_lock, get_ident, start_new_thread

from bough import _bough, _check, _watch, ladder
from bough._own import without_frames

__all__ = ["log_to"]

ROOM = 1000  # most events that wait for the log's thread
AT_THE_END = 2.0  # seconds that the end of the interpreter waits for the log
AT_A_FORK = 1.0  # seconds that a fork waits for a handler
STATUS = ("posted", "delivered", "cleared", "ended", "lost")  # enum bough_post_status

# The extra fields of each record; their names have the prefix bough_.
FIELDS = ("event", "thread", "branch", "kind", "reason", "cause", "rung", "place", "source", "signo", "count", "age", "suppressed")


class _Event:
    """An event that becomes a record."""

    def __init__(self, event, level, text, error=None, **fields):
        self.event, self.level, self.text, self.error, self.fields = event, level, text, error, fields
        self.at = time.time()


# ---- events, and their texts -----------------------------------------------------------------------------------------


def _names(target, name, branch):
    """(thread's name, branch's name) of an interrupt's target. None: the target is no thread, or no branch, or has no name."""
    if target == _bough.root():
        return None, None
    return (None, name or None) if target >> 63 else (name or None, branch or None)


def _target(target, name, branch):
    """The target, as a message names it."""
    if target == _bough.root():
        return "all threads"
    if target >> 63:
        return f"branch {name!r}"
    return (f"thread {name!r}" if name else "a thread") + (f" of branch {branch!r}" if branch else "")


def _because(reason):
    return f": {reason}" if reason else ""


def _of_posting(status, record, name, branch):
    what, target = STATUS[status], _target(record.target, name, branch)
    after = f" after {record.age:.3f} s" if status else ""
    text = f"{record.kind} {'posted to' if status == 0 else 'delivered to' if status == 1 else 'of'} {target}"
    text += (f" is over, {what}" if status > 1 else "") + after + _because(record.reason)
    thread, branch = _names(record.target, name, branch)
    return _Event(
        what if status < 2 else "over",
        logging.INFO if status == 0 else logging.DEBUG,
        text,
        thread=thread,
        branch=branch,
        kind=record.kind,
        reason=record.reason,
        cause=None if status < 2 else what,
        rung=record.rung,
        source=record.source,
        signo=record.signo or None,
        count=record.count,
        age=record.age,
    )


def _of_transition(step):
    overdue, over = step.after == step.before, step.after == 0
    rung = ladder.Rung(step.after or step.before)
    level = logging.CRITICAL if rung >= ladder.Rung.EXIT else logging.WARNING
    level = logging.ERROR if overdue and level < logging.ERROR else logging.INFO if over else level
    goes = "is over" if over else f"is overdue at rung {rung} ({rung.name})" if overdue else f"goes up to rung {rung} ({rung.name})"
    text = f"{step.kind} of {_target(step.target, step.name, step.branch)} {goes}: {step.why}"
    text += (f"; {step.place}" if step.place else "") + (f" (posted {step.age:.1f} s ago{_because(step.reason)})")
    thread, branch = _names(step.target, step.name, step.branch)
    return _Event(
        "overdue" if overdue else "over" if over else "rung",
        level,
        text,
        thread=thread,
        branch=branch,
        kind=step.kind,
        reason=step.reason,
        cause=step.why,
        rung=int(step.after or step.before),
        place=step.place or None,
        source=step.source,
        age=step.age,
    )


def _of_failure(thread, branch, error):
    source = f"branch {branch!r}" if thread is None else f"child {thread!r} of branch {branch!r}" if branch else f"thread {thread!r}"
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:
        text = type(error).__name__
    return _Event("failed", logging.WARNING, f"{source} has failed: {text}", error, thread=thread, branch=branch, cause=text)


# ---- the log ---------------------------------------------------------------------------------------------------------


class _Rate:
    """For one sort of event: how many came in the current second, and how many were left out."""

    def __init__(self):
        self.since, self.count, self.left_out, self.level = 0.0, 0, 0, 0


class _Log:
    """The destination of records, from one log_to() to the next, with the queue and its thread."""

    def __init__(self, logger, level, rate):
        self.logger, self.level, self.rate = logger, level, rate
        self.rates = {}
        self._fresh()

    def _fresh(self):
        self.queue, self.dropped = SimpleQueue(), SimpleQueue()  # of events; of counts. put() never blocks
        self.starting, self.is_done = allocate_lock(), allocate_lock()
        self.writing = RLock()  # held while handlers write a record; reentrant, since a handler may fork
        self.forking, self.hangs = None, False  # the thread that holds `writing` for a fork; whether its wait has timed out

    # ---- called by any thread

    def put(self, event, lost=0):
        if lost:
            self.dropped.put(lost)
        if event.level < self.level:
            return
        if self.queue.qsize() >= ROOM:
            self.dropped.put(1)
            return
        self.queue.put(event)
        if self.starting.acquire(False):  # released only if no thread can be started
            self._start()

    def _start(self):
        """If no thread can be started, the record stays in the queue; the next record tries again, or stop() writes both."""
        self.is_done.acquire(False)
        try:
            start_new_thread(self._serve, (self.queue,))
        except (RuntimeError, MemoryError):  # too many threads, or the interpreter is shutting down (from 3.12 on)
            self.starting.release()

    def stop(self, seconds):
        """Write all records: by the log's thread, within `seconds`, or here if it has none. Returns whether they are written."""
        self.queue.put(None)
        if self.starting.acquire(False):
            self._write_all(self.queue)
            return True
        return self.is_done.acquire(True, seconds)

    def fork_begins(self):
        """Wait until the log's thread holds no locks of handlers and streams: they would stay locked in the forked process."""
        if self.writing.acquire(True, 0 if self.hangs else AT_A_FORK):
            self.forking = get_ident()
        else:
            self.hangs = True

    def fork_ends(self):
        if self.forking == get_ident():
            self.forking = None
            self.writing.release()

    # ---- called by the log's thread

    def _serve(self, queue):
        _bough.be_log_thread()
        threading.current_thread().name = "bough-log"
        self._write_all(queue)
        self.is_done.release()

    def _write_all(self, queue):
        """Write records until stop() is called."""
        while True:
            try:
                event = queue.get(timeout=1.0 if self._has_suppressed() else None)
            except Empty:
                self._write_suppressed(time.monotonic())
                continue
            if event is None:
                break
            self._write(event)
        self._write_suppressed(float("inf"))

    def _has_suppressed(self):
        return any(rate.left_out for rate in self.rates.values()) or not self.dropped.empty()

    def _write(self, event):
        now, rate = time.monotonic(), self.rates.setdefault(event.event, _Rate())
        if now - rate.since >= 1.0:
            self._write_suppressed(now)
            rate.since, rate.count = now, 0
        rate.count += 1
        if rate.count > self.rate and event.level < logging.CRITICAL:
            rate.left_out += 1
            rate.level = max(rate.level, event.level)
        else:
            self._emit(event)

    def _write_suppressed(self, now):
        """Write how many records were left out in seconds that are over, and how many events found no room."""
        for name, rate in self.rates.items():
            if rate.left_out and now - rate.since >= 1.0:
                n, rate.left_out = rate.left_out, 0
                text = f"more than {self.rate} records of the sort {name!r} came in a second: {n} suppressed"
                self._emit(_Event("suppressed", rate.level, text, cause=name, suppressed=n))
        n = 0
        while not self.dropped.empty():
            n += self.dropped.get()
        if n:
            text = f"events came faster than the log's handlers could write them: {n} not logged"
            self._emit(_Event("suppressed", logging.WARNING, text, cause="lost", suppressed=n))

    def _emit(self, event):
        try:
            with self.writing:
                self._handle(event)
        except BaseException:  # a handler or a filter has failed; it may succeed for the next record
            if logging.raiseExceptions and sys.stderr is not None:
                sys.excepthook(*sys.exc_info())
        self.hangs = False

    def _handle(self, event):
        logger, error = self.logger, event.error
        if event.level < self.level or not logger.isEnabledFor(event.level):
            return
        info = (type(error), error, error.__traceback__) if error is not None else None
        extra = {f"bough_{name}": event.fields.get(name) for name in FIELDS} | {"bough_event": event.event}
        record = logger.makeRecord(logger.name, event.level, "(bough)", 0, event.text, (), info, None, extra)
        record.created, record.msecs = event.at, event.at % 1 * 1000
        logger.handle(record)


# ---- the callbacks, and log_to() ------------------------------------------------------------------------------------------------

_log = None
_switching = RLock()  # held by the thread that begins or ends the log


def _posting(status, record, name, branch, lost):
    log = _log
    if log is not None:
        log.put(_of_posting(status, record, name, branch), lost)


def _transition(step):
    log = _log
    if log is not None:
        log.put(_of_transition(step))


def _failure(thread, branch, error):
    log = _log
    if log is not None:
        log.put(_of_failure(thread, branch, error))


@without_frames
def log_to(logger="bough", level=logging.INFO, *, rate=20):
    """Log what bough does, as records of the logging module: interrupts posted (INFO), delivered and over (DEBUG), the ladder's steps
    (WARNING; overdue ERROR; exit and kill CRITICAL), failures of children, branches and threads (WARNING, with the traceback).

    logger  a logging.Logger or its name; None ends the log
    level   records below this level are not made
    rate    how many records of one sort are written in a second. A further record says how many were left out

    A thread of bough writes the records, and no other thread waits for it: a handler that hangs stops only the log. Each record
    has the fields bough_event, bough_thread, bough_branch, bough_kind, bough_reason, bough_cause, bough_rung, bough_place, bough_source,
    bough_signo, bough_count, bough_age and bough_suppressed, which are None where they do not apply.
    """
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    if logger is not None and not isinstance(logger, logging.Logger):
        raise _check.error(TypeError, "log_to() logger", "a logging.Logger, its name or None", logger)
    level, rate = _level(level), _check.whole("log_to() rate", rate, 1)
    with _switching:
        _switch(logger, level, rate)


def _switch(logger, level, rate):
    global _log
    _end()
    if logger is None:
        return
    ladder._opt_in()
    atexit.unregister(_interpreter_ends)
    atexit.register(_interpreter_ends)  # atexit runs the function first that was registered last
    _log = _Log(logger, level, rate)
    _watch.on_failure = _failure
    ladder._watch("log", _transition)
    if level <= logging.INFO:
        _bough.set_on_posting(_posting)


def _end():
    """End the log; wait AT_THE_END seconds until all records are written. Returns how many are not."""
    global _log
    if _log is None:
        return 0
    _watch.on_failure = None
    ladder._watch("log", None)
    _bough.set_on_posting(None)
    log, _log = _log, None
    return 0 if log.stop(AT_THE_END) else log.queue.qsize()


def _level(level):
    if isinstance(level, str):
        number = logging.getLevelName(level)
        if not isinstance(number, int):
            raise _check.error(ValueError, "log_to() level", "a level's name or number", level, "Use a name such as 'INFO', in capitals")
        return number
    return _check.whole("log_to() level", level, 0)


def _interpreter_ends():
    """Runs before logging's shutdown and before the package's end, which stops the callbacks: both were registered earlier."""
    with _switching:
        n = _end()
    if n:
        _shut_others_down()
    if n and sys.stderr is not None:
        sys.stderr.write(f"bough: the log's handlers have not written all records in {AT_THE_END:g} s: {n} lost\n")


def _shut_others_down():
    """Do what logging does at the end, except for a handler that hangs: it holds its lock, so logging would wait forever."""
    free = []
    for reference in logging._handlerList[:]:
        handler = reference()
        if handler is not None and (handler.lock is None or handler.lock.acquire(blocking=False)):
            free.append(reference)
    logging._handlerList.clear()  # for logging's exit function, which CPython 3.15 can't unregister at this time
    logging.shutdown(free)


def _fork_begins():
    if _log is not None:
        _log.fork_begins()


def _fork_ends():
    if _log is not None:
        _log.fork_ends()


def _in_new_process():
    """The new process has no log thread yet, and the waiting events are the parent's."""
    _switching._at_fork_reinit()
    if _log is not None:
        _log._fresh()


os.register_at_fork(before=_fork_begins, after_in_parent=_fork_ends, after_in_child=_in_new_process)
