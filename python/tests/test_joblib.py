# SPDX-License-Identifier: MIT
"""bough.joblib: the calls of Parallel stop when it fails, times out or is interrupted."""
import multiprocessing
import signal
import sys
import unittest

import posts
from process import Process
from tools import SOON, ended, started, until, until_inside

try:
    import joblib
    from joblib import Parallel, delayed, parallel_backend
except ImportError:
    Parallel = None
else:
    import bough.joblib

stays = "python3*", "socket:*", "anon_inode:*event*"
CTRL_C = """
import sys, bough.joblib, posts
from joblib import Parallel, delayed
try:
    Parallel(n_jobs=2, backend="bough")(delayed(posts.blocks)(sys.argv[1]) for _ in range(2))
except KeyboardInterrupt:
    print("all calls have ended")
"""


class Failure(Exception):
    pass


@unittest.skipIf(Parallel is None, "no package joblib for this interpreter")
class Joblib(unittest.TestCase):
    def setUp(self):
        self.posts = self.enterContext(posts.Posts())

    def fails(self, blocked):
        """Fails when all other calls are blocked."""
        self.others = [self.enterContext(self.posts.next()) for _ in range(blocked)]
        raise Failure

    def all_ended(self, posts):
        for post in posts:
            post.connection.settimeout(0)  # the call has ended already, because Parallel has waited for it
            self.assertEqual(post.ended(), [])

    def calls(self, blocked, function=posts.blocks):
        return [delayed(function)(self.posts.path)] * blocked

    def test_results(self):
        self.assertEqual(Parallel(n_jobs=2, backend="bough")(delayed(abs)(-n) for n in range(100)), list(range(100)))

    def test_failure(self):
        """one that fails stops the others, also those that were given before it; those that wait never begin"""
        after = self.calls(50)
        with self.assertRaises(Failure):
            Parallel(n_jobs=4, backend="bough", pre_dispatch="all")([*self.calls(3), delayed(self.fails)(3), *after])
        self.all_ended(self.others)
        self.assertTrue(self.posts.nothing_comes(0))

    def test_given_late(self):
        """a call that is given after the failure does not begin"""
        def gives():
            yield from [delayed(self.fails)(0), delayed(abs)(1)]
            until(lambda: backend._stopping, "the failure is known")
            yield from self.calls(2)

        backend = bough.joblib.Backend()
        with parallel_backend(backend, n_jobs=2), self.assertRaises(Failure):
            Parallel(pre_dispatch="all")(gives())
        self.assertTrue(self.posts.nothing_comes(0))

    def test_timeout(self):
        """when Parallel raises TimeoutError its calls have ended"""
        for function in posts.blocks, posts.computes:
            with self.assertRaises(multiprocessing.TimeoutError):
                Parallel(n_jobs=2, backend="bough", timeout=SOON)(self.calls(2, function))
            while not self.posts.nothing_comes(0):  # those that had begun
                self.all_ended([self.enterContext(self.posts.next())])

    def test_iterable(self):
        """an error of the iterable of calls stops the calls that run"""
        def gives():
            yield from self.calls(2)
            self.fails(2)

        with Parallel(n_jobs=2, backend="bough", pre_dispatch="all", batch_size=1) as parallel:
            with self.assertRaises(Failure):
                parallel(gives())
            self.all_ended(self.others)
            self.assertEqual(parallel(delayed(abs)(-n) for n in range(4)), [0, 1, 2, 3])

    def test_interrupt(self):
        """an interrupt of the thread in Parallel stops its calls, and the calls of a Parallel in them"""
        def outer():
            return Parallel(n_jobs=2)(self.calls(2))

        def both():
            with parallel_backend("bough", n_jobs=2):
                Parallel()([delayed(outer)()] * 2)

        thread = started(both, enable_io_interrupt=True)
        calls = [self.enterContext(self.posts.next()) for _ in range(4)]
        until_inside(thread, Parallel.__call__)  # where joblib 1.5 polls
        thread.interrupt()
        self.assertIsInstance(ended(thread), bough.ThreadExit)
        self.all_ended(calls)

    def test_ctrl_c(self):
        """a Ctrl-C stops the calls"""
        with Process("-c", CTRL_C, self.posts.path, path=sys.path) as process:
            calls = [self.enterContext(self.posts.next()) for _ in range(2)]
            process.until_in("futex" if joblib.__version__ < "1.3" else "clock_nanosleep", main=True)  # newer ones poll
            process.send(signal.SIGINT)
            process.end()
        self.assertEqual(process.out, "all calls have ended\n", str(process))
        self.all_ended(calls)


if __name__ == "__main__":
    unittest.main()
