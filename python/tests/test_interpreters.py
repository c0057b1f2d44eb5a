# SPDX-License-Identifier: MIT
"""Subinterpreters: bough does not touch them."""
import os
import unittest

import bough
from tools import A_WHILE, bytecode, ended, open_what_stays, pipe, points, started, until_blocked

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

try:
    from concurrent.futures import InterpreterPoolExecutor
except ImportError:
    InterpreterPoolExecutor = None

setUpModule = open_what_stays
stays = ("anon_inode:*event*",)

BLOCKS = """
import _thread, os, time
try:
    data = os.read({reads}, 10)
    with _thread.allocate_lock():
        time.sleep(0.01)
    said = data
except BaseException as error:
    said = repr(error).encode()
os.write({writes}, said)
"""


def execute(number, source):
    """The text of an exception in the interpreter, or None."""
    try:
        if hasattr(interpreters, "exec"):
            failed = interpreters.exec(number, source)
            return failed and f"{failed.type.__name__}: {failed.msg}"
        interpreters.run_string(number, source)
    except Exception as error:
        return str(error)


class Interpreters(unittest.TestCase):
    limit = 60

    def setUp(self):
        bough.opt_in(pools=True)
        self.number = interpreters.create()
        self.addCleanup(interpreters.destroy, self.number)

    def test_import(self):
        """an ImportError gives the reason"""
        failed = execute(self.number, "import bough")
        self.assertRegex(failed, "ImportError.*(does not support).*subinterpreters")

    def interrupt_while_it_blocks_there(self, post, then, **flags):
        """Interrupts the code in the subinterpreter. Returns its output, and the result of `then`, which the thread
        calls next."""
        with pipe() as (there, to_there), pipe() as (here, to_here):
            source = BLOCKS.format(reads=there, writes=to_here)
            thread = started(lambda: (execute(self.number, source), then()), **flags)
            until_blocked(thread)
            post(thread)
            thread.join(A_WHILE)
            os.write(to_there, b"data")
            error = ended(thread)
            return os.read(here, 100), error or thread.result

    def test_interrupt(self):
        """does not end the code there; it is still pending when the thread returns"""
        for flags in ({"enable_io_interrupt": True}, {"enable_io_interrupt": True, "enable_async_interrupt": True}):
            with self.subTest(**flags):
                said, pending = self.interrupt_while_it_blocks_there(lambda thread: thread.interrupt(), points, **flags)
                self.assertEqual(said, b"data")
                self.assertIsInstance(pending, bough.ThreadExit)

    def test_raise_exc(self):
        """the very instance, when the thread returns"""
        error = KeyboardInterrupt("of a thread")
        said, raised = self.interrupt_while_it_blocks_there(lambda thread: thread.raise_exc(error), bytecode)
        self.assertEqual(said, b"data")
        self.assertIs(raised, error)

    @unittest.skipUnless(InterpreterPoolExecutor, "from Python 3.14 on")
    def test_pool(self):
        """future.cancel() does not reach into an item that runs"""
        with pipe() as (there, to_there), InterpreterPoolExecutor(1) as pool:
            future = pool.submit(os.read, there, 10)
            until_blocked(next(iter(pool._threads)))
            future.cancel()
            os.write(to_there, b"data")
            self.assertIn(future.cancelled() or future.result(), (True, b"data"))


if __name__ == "__main__":
    unittest.main()
