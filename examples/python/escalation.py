# SPDX-License-Identifier: MIT
"""escalation.py [stuck|hang]: how an interrupt that is ignored escalates.

Four threads are asked to stop. One does; one has a handler that saves its work; one asks for a little more time; one
ignores everything but the final handler. With `stuck` main waits indefinitely in C code, with `hang` it also holds the
interpreter lock: a SIGTERM ends the process nevertheless, within the time in BOUGH_GRACE.
"""
import ctypes
import sys
import threading
import time

from bough import (
    UNWIND, Rung, Thread, ThreadExit, check_interrupt, clear_interrupt, exit_tier, handler, resume, set_ladder,
)

def say(words):
    print(f"{threading.current_thread().name}: {words}\n", end="", flush=True)

def heeds():
    while True:
        check_interrupt()
        time.sleep(0.01)

def ignores():
    while True:
        try:
            check_interrupt()
        except ThreadExit:
            pass # not now
        time.sleep(0.01)

def saves():
    def save(incident):
        say(f"rung {incident.rung}: saved the draft")
        saved.append(True)
        return UNWIND

    saved = []
    with handler(save):
        while True:
            try:
                check_interrupt()
            except ThreadExit:
                if saved:
                    raise
            time.sleep(0.01)

def busy():
    def not_yet(incident):
        say(f"rung {incident.rung}: needs 0.2 s more")
        nonlocal until
        until = time.monotonic() + 0.1
        return resume(0.2)

    until = None
    with handler(not_yet):
        while until is None or time.monotonic() < until:
            try:
                check_interrupt()
            except ThreadExit:
                pass
            time.sleep(0.01)
    clear_interrupt() # done: it has ended anyway

def deaf():
    def close_down(incident):
        say(f"rung {incident.rung}: closes down")
        raise SystemExit

    with handler(close_down, final=True):
        ignores()

def told(function):
    def run():
        try:
            function()
        except BaseException as error:
            say(f"ended by {type(error).__name__}")
        else:
            say("ended well")
    return run

def hang(libc):
    """A deadlock in a C library: a mutex that is locked twice."""
    exit_tier(0, lambda: print("the exit: removes the lock file", flush=True))
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    print("hangs", flush=True)
    libc.pthread_mutex_lock(mutex)

if __name__ == "__main__":
    if sys.argv[1:]:
        hang(ctypes.PyDLL(None) if sys.argv[1] == "hang" else ctypes.CDLL(None))
    # What the program itself asks for climbs to rung 3 and no further. Times are short, for the show.
    set_ladder(grace=3)
    threads = [Thread(target=told(f), name=f.__name__) for f in (heeds, saves, busy, deaf)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    for thread in threads:
        thread.interrupt("that will do")
    for thread in threads:
        thread.join()
    print("all have ended")
