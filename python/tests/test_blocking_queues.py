# SPDX-License-Identifier: MIT
"""Queues of threads: waits end, and nothing is lost."""
import importlib
import queue
import sys
import unittest

import blocking
from blocking import Call

cases = blocking.Cases(__name__)
case = cases.case


@case("queue.Queue.get()", "it is empty")
def _():
    mine = queue.Queue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.PriorityQueue.get()", "it is empty, with a timeout")
def _():
    mine = queue.PriorityQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.Queue.put()", "it is full")
def _():
    mine = queue.Queue(1)
    mine.put(1)
    yield Call(lambda: mine.put(2), lambda: mine.get())


@case("queue.Queue.join()", "unfinished tasks")
def _():
    mine = queue.Queue()
    mine.put(1)
    yield Call(lambda: mine.join(), lambda: mine.task_done())


@case("queue.SimpleQueue.get()", "it is empty")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty, with a timeout")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty, a timeout by position")
def _():
    mine = queue.SimpleQueue()
    yield Call(lambda: mine.get(True, None), lambda: mine.put("x"), "x")


@case("queue.Queue.get()", "it is empty, with a timeout")
def _():
    mine = queue.Queue()
    yield Call(lambda: mine.get(timeout=3600), lambda: mine.put("x"), "x")


@case("queue.Queue.put()", "it is full, with a timeout")
def _():
    mine = queue.Queue(1)
    mine.put(1)
    yield Call(lambda: mine.put(2, timeout=3600), lambda: mine.get())


@case("queue.LifoQueue.get()", "it is empty")
def _():
    mine = queue.LifoQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue._PySimpleQueue.get()", "it is empty")
def _():
    mine = queue._PySimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


@case("queue.SimpleQueue.get()", "it is empty; of a second _queue module")
def _():
    first = sys.modules.pop("_queue")
    second = importlib.import_module("_queue")
    sys.modules["_queue"] = first
    mine = second.SimpleQueue()
    yield Call(lambda: mine.get(), lambda: mine.put("x"), "x")


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
