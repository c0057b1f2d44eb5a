# SPDX-License-Identifier: MIT
"""Programs that get signals, or whose main ends, with their output and the status that a shell sees."""
import os
import textwrap
import time
import unittest
from pathlib import Path

from process import Process

# A worker that ends when it is interrupted, and prints the reason; main runs the code of a test.
PROGRAM = """
import ctypes, os, signal, sys, threading, time
import bough

def say(text):
    os.write(1, (text + "\\n").encode())  # in one piece, beside other writers

def body():
    try:
        time.sleep(3600)
    except bough.ThreadExit as exit:
        with bough.critical_section():  # there may be another reason by now, which would interrupt the write
            say(f"worker: {exit.record.kind} {exit.record.signo}")

def work(target=body, cls=bough.Thread):
    worker = cls(target=target)
    worker.enable_io_interrupt = True
    worker.start()
    return worker

def ready():
    say("ready")
"""


AFTER_ONE_EVENT = 0.4  # seconds: signals within 250 ms are one event


def program(main, before=""):
    return "-c", PROGRAM + before + textwrap.dedent(main)


def until_it_computes(pid):
    """Waits until the process's main thread has used a third of a second, so that it has reached the long
    computation."""
    used, first = 0, None
    while first is None or used - first < os.sysconf("SC_CLK_TCK") // 3:
        used = int(Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[11])
        first = used if first is None else first
        time.sleep(0.01)


class Case(unittest.TestCase):
    def ends(self, main, signo=None, *, at="clock_nanosleep", status, says=(), before="", **keywords):
        """Runs the program, sends the signal when main is in the call `at` (None: in any place), and checks the end."""
        with Process(*program(main, before), **keywords) as process:
            if signo:
                process.until("ready")
                if at:
                    process.until_in(at, main=True)
                process.send(signo)
            self.assertEqual(process.end(), status, str(process))
        for line in says:
            self.assertIn(line, process.out + process.err)
        return process
