# SPDX-License-Identifier: MIT
"""Functions that are traced or profiled run on after an asynchronous delivery (rule 43).

Up to 3.12 PyThreadState_SetAsyncExc(ident, NULL) leaves the interpreter's flags for such an exception set, and in 3.11 a traced
function then spins where it begins. Each test is a process of its own: what is left set would be so for all.
"""
import unittest

from process import run

TRACED = """
def traced():
    return sum(i for i in range(10))

sys.setprofile(lambda *event: None)
traced()
sys.setprofile(None)
sys.settrace(lambda *event: None)
traced()
sys.settrace(None)
print("done")
"""

HEAD = """
import sys, threading, time
import bough

def spin():
    n = 0
    while True:
        n += 1
"""


class Traced(unittest.TestCase):
    def check(self, body):
        process = run("-c", HEAD + body + TRACED)
        self.assertEqual((process.status, process.out), (0, "done\n"), str(process))

    def test_after_a_delivery(self):
        """that has ended a thread"""
        self.check("""
thread = bough.Thread(target=spin)
thread.start()
thread.terminate()
thread.join()
""")

    def test_after_one_that_was_withdrawn(self):
        """because a point or a critical section came first"""
        self.check("""
class Posted(Exception):
    pass

def in_and_out():
    end = time.monotonic() + 2
    caught = 0
    while time.monotonic() < end:
        try:
            for _ in range(100):
                with bough.critical_section():
                    pass
            bough.check_interrupt()
        except Posted:
            caught += 1
    return caught

thread = bough.Thread(target=in_and_out)
thread.start()
while thread.is_alive():
    try:
        thread.raise_exc(Posted)
    except ValueError:
        break
    time.sleep(0.001)
thread.join()
""")


if __name__ == "__main__":
    unittest.main()
