# SPDX-License-Identifier: MIT
"""bough.dask: tasks of a cluster of processes, which stop when they are cancelled."""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path

import posts
from guide import blocks
from tools import LIMIT, SOON, until

os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")  # of the processes of the cluster as well
try:
    import dask
    import distributed
except ImportError:
    distributed = None
else:
    import bough.dask

limit = 180
STARTED = 6 * LIMIT  # seconds in which new workers, which are processes, have certainly begun, also on a busy machine
stays = ("python3*", "Profile", "Dask-*", "QueueFeeder*", "IO loop", "AsyncProcess *", "anon_inode:*", "socket:*", "pipe:*")  # the cluster's
QUIET = {
    "distributed.worker.daemon": False,
    "distributed.admin.tick.interval": "1 s",
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": LIMIT,
    # A worker that was lost 15 s ago, and has begun again meanwhile, is given up if Client.restart() restarts it just then.
    "distributed.deploy.lost-worker-timeout": 10 * STARTED,
}


def nested(path):
    """A task that waits for another task, and cancels it when it is interrupted."""
    with distributed.worker_client() as client:
        future = client.submit(posts.blocks, path, pure=False)
        with bough.on_interrupt(future.cancel):
            return future.result()


def secedes(path):
    """A task that leaves the pool and comes back."""
    distributed.secede()
    posts.blocks(path)
    distributed.rejoin()


def state_of(key, dask_worker):
    task = dask_worker.state.tasks.get(key)
    return task and task.state


def threads_of(dask_worker):
    """The number of the pool's threads, how many of them are alive, and whether one waits to come back into the
    pool."""
    threads = dask_worker.executor._threads
    return len(threads), sum(thread.is_alive() for thread in threads), bool(dask_worker.executor._rejoin_list)


def interrupt(native_id):
    """Interrupts a thread, as `bough interrupt` does from a shell."""
    (thread,) = [thread for thread in threading.enumerate() if thread.native_id == native_id]
    bough.interrupt(thread, "an operator has asked")


def occupy(path, dask_worker):
    """Occupies the pool's thread with another task."""
    dask_worker.executor.submit(posts.blocks, path)


def plugin_of(dask_worker):
    return repr(dask_worker.plugins.get("bough"))


@unittest.skipIf(distributed is None, "no packages dask and distributed for this interpreter")
class Dask(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        dask.config.set(QUIET)
        cls.cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        )
        cls.client = distributed.Client(cls.cluster)
        cls.client.register_worker_plugin(bough.dask.Plugin())
        cls.addClassCleanup(cls.cluster.close)
        cls.addClassCleanup(cls.client.close)

    def setUp(self):
        self.posts = self.enterContext(posts.Posts())
        self.here, self.there = self.workers()

    def workers(self):
        return list(self.client.scheduler_info()["workers"])

    def submit(self, function, *args, **options):
        return self.client.submit(function, self.posts.path, *args, pure=False, **options)

    def begun(self, function, **options):
        """Starts a task. Returns its future and its post."""
        future = self.submit(function, **options)
        return future, self.enterContext(self.posts.next())

    @contextmanager
    def plugin(self, **settings):
        self.client.register_worker_plugin(bough.dask.Plugin(**settings))
        try:
            yield
        finally:
            self.client.register_worker_plugin(bough.dask.Plugin())

    def test_cancel(self):
        """cancel() stops a task that blocks in another process, and its thread takes the next one"""
        future, task = self.begun(posts.blocks, workers=[self.here])
        after = self.client.submit(posts.now, pure=False, workers=[self.here])
        self.assertNotEqual(task.pid, os.getpid())
        asked = time.monotonic()
        future.cancel()
        self.assertEqual(task.ended(), [])
        self.assertLess(after.result(LIMIT) - asked, LIMIT)
        self.assertTrue(future.cancelled())
        self.assertRaises(CancelledError, future.result)

    def test_dropped(self):
        """a task whose last future goes away stops"""
        future, task = self.begun(posts.blocks)
        del future
        self.assertEqual(task.ended(), [])

    def test_interrupt(self):
        """a task that is interrupted by other code than Dask has failed with CancelledError; its worker goes on"""
        future, task = self.begun(posts.blocks, workers=[self.here])
        self.client.run(interrupt, task.thread, workers=[self.here])
        task.ended()
        self.assertRaises(CancelledError, future.result, LIMIT)
        self.assertEqual(future.status, "error")
        self.assertEqual(self.client.submit(int, "7", workers=[self.here], pure=False).result(LIMIT), 7)

    def test_others_go_on(self):
        """the task of another thread goes on"""
        future, task = self.begun(posts.blocks, workers=[self.here])
        other, others = self.begun(posts.blocks, workers=[self.there])
        future.cancel()
        task.ended()
        others.answer("done")
        self.assertEqual(other.result(LIMIT), "done")

    def test_runs_again(self):
        """a task that is requested again while it is being cancelled runs again"""
        future, task = self.begun(posts.cleans_up, key="again", workers=[self.here])
        future.cancel()
        self.assertEqual(task.says(), "ThreadExit")
        self.assertEqual(self.client.run(state_of, "again", workers=[self.here])[self.here], "cancelled")
        future = self.submit(posts.cleans_up, key="again", workers=[self.here])
        until(lambda: self.client.run(state_of, "again", workers=[self.here])[self.here] == "executing", "it is requested again")
        task.answer("the cleanup may end")
        with self.posts.next() as again:
            again.answer("the second time")
            self.assertEqual(future.result(LIMIT), "the second time")

    def test_cancel_early(self):
        """a task that is cancelled before a thread has taken it does not run"""
        self.client.run(occupy, self.posts.path, workers=[self.here])
        other = self.enterContext(self.posts.next())
        future = self.submit(posts.blocks, key="early", workers=[self.here])
        state = lambda: self.client.run(state_of, "early", workers=[self.here])[self.here]  # noqa: E731
        until(lambda: state() == "executing", "Dask says that it runs")
        future.cancel()
        until(lambda: state() == "cancelled", "it is cancelled")
        other.answer("done")
        self.assertEqual(self.client.submit(int, "7", workers=[self.here], pure=False).result(LIMIT), 7)
        self.assertTrue(self.posts.nothing_comes(0))

    def test_result_counts(self):
        """a task that catches the interrupt returns, and its thread takes the next one"""
        future, task = self.begun(posts.catches, key="caught", workers=[self.here])
        future.cancel()
        task.ended()
        self.assertEqual(self.client.submit(int, "7", workers=[self.here]).result(LIMIT), 7)

    def test_limit(self):
        """a task fails with TimeoutError when the time that its annotation gives is over"""
        for soon in SOON, 4 * SOON, 16 * SOON:  # the first line of the task may come later
            with dask.annotate(bough_timeout=soon):
                future = self.submit(posts.blocks)
            self.assertRaises(TimeoutError, future.result, LIMIT)
            if "posts.py" in "".join(future.exception().__notes__):
                break
        self.assertIn("posts.py", "".join(future.exception().__notes__))

    def test_wrong_limit(self):
        """an annotation that is no time fails its task with an error that names it"""
        with dask.annotate(bough_timeout="soon"):
            future = self.submit(posts.blocks)
        self.assertRaisesRegex(TypeError, "bough_timeout must be .* got 'soon'", future.result, LIMIT)

    def test_settings(self):
        """the plugin's own limit; and computations in Python, which stop with asynchronous=True"""
        with self.plugin(timeout=SOON):
            self.assertRaises(TimeoutError, self.submit(posts.blocks).result, LIMIT)
        with self.plugin(asynchronous=True):
            future, task = self.begun(posts.computes)
            future.cancel()
            task.ended()

    def test_recipe(self):
        """the recipe in the guide: the first result counts, even if its future is cancelled with the others"""
        page = (Path(__file__).resolve().parents[2] / "docs/engines.md").read_text()
        recipe = {}
        exec(next(block for block in blocks(page) if "first_of" in block), recipe)
        self.assertIsNone(recipe["first_of"](self.client, time.sleep, [0, 3600]))

    def test_nested(self):
        """a task that waits for another one stops, and so does the other one; no thread is lost"""
        for _ in range(2):
            future = self.submit(nested, workers=[self.here])
            inner = self.enterContext(self.posts.next())
            future.cancel()
            inner.ended()
            self.assertEqual(self.client.submit(int, "7", workers=[self.here], pure=False).result(LIMIT), 7)

    def test_rejoin(self):
        """a task that is cancelled as it waits to come back into the pool leaves the pool whole"""
        future, task = self.begun(secedes, key="back", workers=[self.here])
        other, others = self.begun(posts.blocks, workers=[self.here])
        task.answer("come back")
        threads = lambda: self.client.run(threads_of, workers=[self.here])[self.here]  # noqa: E731
        until(lambda: threads()[2], "it waits to come back")
        future.cancel()
        until(lambda: self.client.run(state_of, "back", workers=[self.here])[self.here] is None, "it has ended")
        self.assertEqual(threads(), (1, 1, False))
        others.answer("done")
        self.assertEqual(other.result(LIMIT), "done")
        self.assertEqual(self.client.submit(int, "7", workers=[self.here], pure=False).result(LIMIT), 7)
        self.assertEqual(threads(), (1, 1, False))

    def test_lost_worker(self):
        """the task of a worker that is killed starts on another one, where it can be cancelled; the plugin is set up on a new one"""
        future, task = self.begun(posts.blocks, workers=[self.here, self.there])
        os.kill(task.pid, signal.SIGKILL)
        task.ended()
        moved = self.enterContext(self.posts.next())
        self.assertNotEqual(moved.pid, task.pid)
        future.cancel()
        moved.ended()
        self.client.wait_for_workers(2, timeout=STARTED)
        self.assertEqual(set(self.client.run(plugin_of).values()), {"<bough.dask.Plugin(timeout=None, asynchronous=False)>"})

    def test_restart(self):
        """Client.restart() ends the tasks; the plugin is set up on the new workers"""
        future, task = self.begun(posts.blocks)
        self.client.restart(timeout=STARTED)
        task.ended()
        future, task = self.begun(posts.blocks)
        future.cancel()
        task.ended()


def server(kind, folder, *options):
    """Starts a scheduler or a worker in a separate process, as from a shell."""
    arguments = f"-m distributed.cli.dask_{kind} --host 127.0.0.1 --no-dashboard --scheduler-file {folder}/scheduler".split()
    paths = os.pathsep.join([*sys.path, *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {"PYTHONPATH": paths, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    return subprocess.Popen([sys.executable, *arguments, *options], env={**os.environ, **settings}, stderr=subprocess.DEVNULL)


@unittest.skipIf(distributed is None, "no packages dask and distributed for this interpreter")
class Servers(unittest.TestCase):
    def start(self, *arguments):
        process = server(*arguments)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def begun(self, client):
        future = client.submit(posts.blocks, self.posts.path, pure=False)
        return future, self.enterContext(self.posts.next())

    def test_restarted_scheduler(self):
        """a worker whose scheduler has gone stops its task and ends; one of a new scheduler sets the plugin up by itself"""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.posts = self.enterContext(posts.Posts())
        worker = "worker", folder, "--no-nanny", "--nthreads", "1", "--preload", "bough.dask", "--local-directory", folder
        scheduler, first = self.start("scheduler", folder, "--port", "0"), self.start(*worker)
        until(lambda: os.path.exists(f"{folder}/scheduler"), "the scheduler listens")
        with distributed.Client(scheduler_file=f"{folder}/scheduler", timeout=LIMIT) as client:
            port = client.scheduler.address.rpartition(":")[2]
            future, task = self.begun(client)
            scheduler.kill()
            self.assertEqual(task.ended(), [])
            first.wait(LIMIT)
            self.start("scheduler", folder, "--port", port)
            self.start(*worker)
            until(lambda: client.status == "running", "the client is connected again")
            future, task = self.begun(client)
            future.cancel()
            task.ended()


if __name__ == "__main__":
    unittest.main()
