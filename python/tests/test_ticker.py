# SPDX-License-Identifier: MIT
"""The ticker does not disturb other threads: only work that cannot wait wakes it at once."""
import subprocess
import sys
import unittest

# Main does not use bough, nor opt in, so the library asks at the end of each thread whether main is gone.
ENDS = """
import threading, time
from pathlib import Path
import bough

def wakes():
    while True:  # until it has given itself its name
        for task in Path("/proc/self/task").iterdir():
            try:
                if task.joinpath("comm").read_text() == "bough-ticker\\n":
                    return int(task.joinpath("status").read_text().partition("\\nvoluntary_ctxt_switches:")[2].split()[0])
            except OSError:
                pass  # a thread that was joined, and was still there for a moment

def end(count):
    for _ in range(count):
        thread = bough.Thread(target=int)
        thread.start()
        thread.join()

def measure():
    end(5)
    before, start = wakes(), time.monotonic()
    end(300)
    print(wakes() - before, time.monotonic() - start)

thread = threading.Thread(target=measure)
thread.start()
thread.join()
"""


class Ends(unittest.TestCase):
    def test_ends_of_threads(self):
        """do not wake it one by one, but 50 ms later, all of that time together"""
        run = subprocess.run([sys.executable, "-c", ENDS], stdout=subprocess.PIPE, text=True, check=True)
        wakes, seconds = map(float, run.stdout.split())
        self.assertLessEqual(wakes, 10 + 3 * seconds / 0.05, f"in {seconds} s")


if __name__ == "__main__":
    unittest.main()
