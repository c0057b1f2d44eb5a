# SPDX-License-Identifier: MIT
"""
loops.py LIBRARY WAY [SECONDS]: an event loop of LIBRARY runs, with a task that waits for an hour, and is interrupted in WAY:

    child       in a branch's child, by the branch's interrupt()
    deadline    in the body of a branch, by its deadline: SECONDS after the last task's start
    raise_exc   in a branch's child, by raise_exc(Posted)
    running     as `child`, but while the loop runs a task's code, so the interrupt is due before the loop's next wait
    posted      as `raise_exc`, at the same moment as `running`
    again       as `child`; then the interrupt is cleared, and a second loop runs for a moment and ends by itself

Prints what happened, in order: "cleaned" for each task that was cancelled and could wait during its cleanup, and the outcome.
"""
import sys
import threading
import time
from pathlib import Path

import bough

HOUR = 3600
waiting = threading.Event()


def begins():
    waiting.thread = threading.get_native_id()
    waiting.set()
    begun()


def begun():
    """Called when the library is imported and the loop runs. Some ways replace it."""


class Posted(Exception):
    pass


# ---- loops: each runs until it is interrupted ------------------------------------------------------------------------------


async def wait_in_asyncio(seconds):
    import asyncio

    try:
        begins()
        await asyncio.sleep(seconds)
    finally:
        await asyncio.sleep(0.01)
        print("cleaned", flush=True)


def run_asyncio(seconds, factory=None):
    import asyncio

    async def main():
        other = asyncio.create_task(wait_in_asyncio(seconds))
        await wait_in_asyncio(seconds)
        await other

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def run_uvloop(seconds):
    import uvloop

    run_asyncio(seconds, uvloop.new_event_loop)


def run_busy_asyncio(seconds):
    """A loop that always has work, and so never blocks."""
    import asyncio

    async def main():
        end = time.monotonic() + seconds
        try:
            begins()
            while time.monotonic() < end:
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0.01)
            print("cleaned", flush=True)

    asyncio.run(main())


def run_busy_uvloop(seconds):
    import uvloop

    uvloop.install()
    run_busy_asyncio(seconds)


def run_anyio(seconds, backend="asyncio"):
    import anyio

    async def wait():
        try:
            begins()
            await anyio.sleep(seconds)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            print("cleaned", flush=True)

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await wait()

    anyio.run(main, backend=backend)


def run_anyio_on_trio(seconds):
    run_anyio(seconds, "trio")


def run_trio(seconds):
    import trio

    async def wait():
        try:
            begins()
            await trio.sleep(seconds)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            print("cleaned", flush=True)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait()

    trio.run(main)


def run_trio_with_a_thread(seconds):
    """trio waits for this call even if the task that has made it is cancelled."""
    import trio

    async def main():
        try:
            begins()
            await trio.to_thread.run_sync(time.sleep, seconds)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            print("cleaned", flush=True)

    trio.run(main)


def run_trio_in_a_thread_of_trio(seconds):
    import trio

    async def inner():
        try:
            await trio.sleep(seconds)
        finally:
            print("cleaned", flush=True)

    async def main():
        try:
            begins()
            await trio.to_thread.run_sync(trio.run, inner)
        finally:
            print("cleaned", flush=True)

    trio.run(main)


def run_tornado(seconds):
    import tornado.ioloop

    async def main():
        from tornado.gen import sleep

        begins()
        await sleep(seconds)

    import asyncio

    asyncio.set_event_loop(asyncio.new_event_loop())
    loop = tornado.ioloop.IOLoop.current()
    try:
        loop.run_sync(main)
    finally:
        loop.close()
        print("cleaned", flush=True)


def run_twisted(seconds):
    from twisted.internet import defer, reactor, task

    def clean():
        done = task.deferLater(reactor, 0.01, lambda: print("cleaned", flush=True))
        return done if isinstance(done, defer.Deferred) else None

    reactor.addSystemEventTrigger("before", "shutdown", clean)
    reactor.callWhenRunning(begins)
    reactor.callLater(seconds, reactor.stop)
    reactor.run(installSignalHandlers=False)


def run_twisted_that_blocks(seconds):
    """The reactor logs the exceptions of the functions that it calls, and continues."""
    from twisted.internet import reactor

    bough._bough.set_grace(HOUR)  # a lost interrupt would come again only after that time
    reactor.callLater(0, time.sleep, seconds)
    run_twisted(seconds)


def run_twisted_that_blocks_at_first(seconds):
    """As run_twisted_that_blocks(), before the reactor's main loop."""
    from twisted.internet import reactor

    bough._bough.set_grace(HOUR)
    reactor.callWhenRunning(begins)
    reactor.callWhenRunning(time.sleep, seconds)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: print("cleaned", flush=True))
    reactor.run(installSignalHandlers=False)


def run_glib(seconds, context=None):
    from gi.repository import GLib

    loop = GLib.MainLoop(context)

    def begin(*_):
        begins()
        return False

    def end(*_):
        loop.quit()
        return False

    for delay, function in ((0, begin), (int(seconds * 1000), end)):
        source = GLib.timeout_source_new(delay)
        source.set_callback(function)
        source.attach(context)
    try:
        loop.run()
    finally:
        print("cleaned", flush=True)


def run_glib_in_a_context(seconds):
    from gi.repository import GLib

    run_glib(seconds, GLib.MainContext())


def run_gio_application(seconds):
    from gi.repository import Gio, GLib

    application = Gio.Application.new(None, Gio.ApplicationFlags.NON_UNIQUE)
    application.connect("activate", lambda application: (application.hold(), begins()))
    GLib.timeout_add(int(seconds * 1000), lambda: application.quit() or False)
    try:
        application.run(None)
    finally:
        print("cleaned", flush=True)


def run_gevent(seconds):
    import gevent

    def wait():
        try:
            begins()
            gevent.sleep(seconds)
        finally:
            gevent.sleep(0.01)
            print("cleaned", flush=True)

    other = gevent.spawn(wait)
    try:
        wait()
    finally:
        other.kill()


def run_eventlet(seconds):
    import eventlet

    try:
        begins()
        eventlet.sleep(seconds)
    finally:
        eventlet.sleep(0.01)
        print("cleaned", flush=True)


# ---- ways ----------------------------------------------------------------------------------------------------------------------


def until_blocked(run):
    """Waits until the loop sleeps at several checks and between them, so not for the GIL; or until a busy loop has
    begun."""
    waiting.wait()
    looks, before = 0, None
    while looks < 4 and "busy" not in run.__name__:
        status = Path(f"/proc/self/task/{waiting.thread}/status").read_text()
        now = "State:\tS" in status and status.partition("\nvoluntary_ctxt_switches:")[2].split()[0]
        looks = looks + 1 if now and now == before else 0
        before = now
        time.sleep(0.006)


def child(run):
    with bough.branch() as b:
        child = b.add(run, HOUR)
        until_blocked(run)
        b.interrupt("enough")
    print(child.outcome)


def deadline(run):
    global begun
    try:
        with bough.branch() as b:
            begun = lambda: b.set_deadline(time.monotonic() + float(sys.argv[3]))  # noqa: E731
            run(HOUR)
    except TimeoutError:
        print("TimeoutError")


def raise_exc(run):
    try:
        with bough.branch() as b:
            child = b.add(run, HOUR)
            until_blocked(run)
            child.raise_exc(Posted("that very instance"))
    except Posted as error:
        print(error)


def run_until_requested():
    """Runs in the loop's first task only, because a posted exception is consumed when it is raised."""
    global begun
    begun = lambda: None  # noqa: E731
    while not bough.interruption_requested():
        pass


def running(run):
    global begun
    begun = run_until_requested
    with bough.branch() as b:
        child = b.add(run, HOUR)
        waiting.wait()
        b.interrupt("enough")
    print(child.outcome)


def posted(run):
    global begun
    begun = run_until_requested
    try:
        with bough.branch() as b:
            child = b.add(run, HOUR)
            waiting.wait()
            child.raise_exc(Posted("that very instance"))
    except Posted as error:
        print(error)


def again(run):
    def twice():
        try:
            run(HOUR)
        except bough.ThreadExit as exit:
            print(exit.record.reason, flush=True)
            exit.clear()
        run(0.1)
        return "the second loop has ended by itself"

    with bough.branch() as b:
        child = b.add(twice)
        until_blocked(run)
        child.interrupt("enough")
    print(child.result())


if __name__ == "__main__":
    library, way = sys.argv[1:3]
    globals()[way](globals()["run_" + library])
