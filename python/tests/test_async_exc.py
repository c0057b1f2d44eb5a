# SPDX-License-Identifier: MIT
"""The first asynchronous delivery of a process loads code, and other threads run and end meanwhile."""
import textwrap
import unittest

from process import run

BEGIN = """
import sys, threading, bough

class Hook:
    '''Lets the target end, and new entries take the place of its entry, while the async thread starts.'''
    def find_spec(self, name, path, target=None):
        if name == "bough._async_safe":
            go.set()
            thread.join()
            for _ in range(20):
                other = bough.Thread(target=lambda: None)
                other.start()
                other.join()

class Posted(Exception):
    pass

def target():
    {first}
    begun.set()
    go.wait()

go, begun = threading.Event(), threading.Event()
thread = {cls}(target=target)
thread.start()
begun.wait()
sys.meta_path.insert(0, Hook())
"""

END = """
sys.meta_path.pop(0)
def late():
    begun.set()
    while True:
        pass

# No state of the thread that has ended is left: the next thread is reached.
begun.clear()
seen = []
def catching():
    try:
        late()
    except Posted:
        seen.append("raised")
thread = threading.Thread(target=catching)
thread.start()
begun.wait()
bough.raise_exc(thread, Posted)
thread.join()
print("then", *seen)
"""

RAISED = """
try:
    {call}
    print("returned")
except ValueError as error:
    print(error)
"""


class First(unittest.TestCase):
    """The target ends while the poster starts the async thread."""

    limit = 120

    def outcome(self, call, cls="bough.Thread", first="bough.check_interrupt()"):
        script = textwrap.dedent(BEGIN).format(cls=cls, first=first) + RAISED.format(call=call) + END
        process = run("-c", script, env={"PYTHONMALLOC": "debug", "BOUGH_GRACE": "3600"})
        self.assertEqual((process.status, process.err), (0, ""), str(process))
        return process.out.splitlines()

    def test_of_a_thread(self):
        """raise_exc() reports that the thread has ended, and does not write to the memory of its entry"""
        for cls in ("bough.Thread", "threading.Thread"):
            with self.subTest(cls):
                self.assertEqual(self.outcome("bough.raise_exc(thread, Posted)", cls), ["the thread has ended", "then raised"])

    def test_of_a_thread_that_has_not_used_it(self):
        """the same, for a thread that has not used bough"""
        outcome = self.outcome("bough.raise_exc(thread.ident, Posted)", "threading.Thread", "pass")
        self.assertEqual(outcome, ["the thread has ended", "then raised"])

    def test_of_a_child(self):
        """the same for a branch's child"""
        call = """go.set(); thread.join(); go.clear(); begun.clear()
    with bough.branch() as b:
        child = b.add(target)
        begun.wait()
        thread.join = child.join
        child.raise_exc(Posted)"""
        self.assertEqual(self.outcome(call), ["<bough.Child 'target-1': ok> is not alive", "then raised"])


if __name__ == "__main__":
    unittest.main()
