# SPDX-License-Identifier: MIT
"""bough.celery: one task of a worker with threads is stopped while the others continue. The broker is a real Redis."""
import contextlib
import gc
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import CancelledError
from pathlib import Path

import posts
from tools import LIMIT, SOON, Gate, until

try:
    import celery
    import redis
except ImportError:
    celery = None
else:
    import bough.celery
    from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, Terminated, TimeLimitExceeded, WorkerLostError

limit = 120
stays = "socket:*", "anon_inode:*"  # Celery's connections
SERVER = shutil.which("redis-server")
LACK = "no packages celery and redis for this interpreter" if celery is None else "no redis-server" if SERVER is None else None


def listens(path):
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(path) == 0


def setUpModule():
    global folder, tasks, app, broker
    if LACK:
        return
    folder = unittest.enterModuleContext(tempfile.TemporaryDirectory())
    path = f"{folder}/redis"
    process(unittest.addModuleCleanup, SERVER, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder)
    until(lambda: listens(path), "Redis listens")
    os.environ["CELERY_TEST_REDIS"] = path
    import celery_tasks as tasks

    app = tasks.app
    unittest.addModuleCleanup(app.close)
    broker = unittest.enterModuleContext(redis.Redis(unix_socket_path=path))
    unittest.addModuleCleanup(gc.collect)  # a result that is collected later would report to a broker that has ended


def process(at_end, *arguments):
    """Starts a process that writes to a file, which log() reads."""
    paths = os.pathsep.join([*sys.path, *filter(None, [os.environ.get("PYTHONPATH")])])
    with open(f"{folder}/log", "a") as log:
        it = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder, env={**os.environ, "PYTHONPATH": paths})
    at_end(it.wait)
    at_end(it.kill)
    return it


def worker(at_end):
    without = "--without-mingle", "--without-gossip", "--without-heartbeat"
    started = process(at_end, sys.executable, *"-m celery -A celery_tasks worker --loglevel INFO --concurrency 2".split(), *without)
    until(lambda: app.control.ping(timeout=0.2, limit=1), "the worker answers")
    return started


class WithWorker(unittest.TestCase):
    def setUp(self):
        self.posts = self.enterContext(posts.Posts())

    def begun(self, task, **options):
        """Starts a task. Returns its result and its post."""
        result = task.apply_async((self.posts.path,), **options)
        return result, self.enterContext(self.posts.next())


@unittest.skipIf(LACK, LACK)
class Celery(WithWorker):
    @classmethod
    def setUpClass(cls):
        worker(cls.addClassCleanup)

    def revoke(self, result, **how):
        """Revokes the task, and returns when the worker has handled that."""
        app.control.revoke(result.id, terminate=True, reply=True, timeout=LIMIT, limit=1, **how)

    def limited(self, task, **limits):
        """Starts a task with a limit. Returns its result. A task may end before it has reported that it began."""
        return task.apply_async((self.posts.path,), **limits)

    def gets(self, result, error):
        self.assertRaises(error, result.get, timeout=LIMIT)

    def test_revoke(self):
        """revoke(terminate=True) stops the task; another one goes on"""
        other, others = self.begun(tasks.blocks)
        result, task = self.begun(tasks.blocks)
        self.assertEqual(others.pid, task.pid)
        self.assertNotEqual(others.thread, task.thread)
        self.revoke(result)
        self.assertEqual(task.ended(), [])
        self.gets(result, TaskRevokedError)
        self.assertEqual(result.state, "REVOKED")
        again, task = self.begun(tasks.blocks)  # on the thread that the first task has left
        for post, it in (others, other), (task, again):
            post.answer("done")
            self.assertEqual(it.get(timeout=LIMIT), "done")

    def test_revoke_computation(self):
        """and a task that computes in Python"""
        result, task = self.begun(tasks.computes)
        self.revoke(result, signal="KILL")
        task.ended()
        self.gets(result, TaskRevokedError)

    def test_revoke_caught(self):
        """the state is REVOKED although the task has caught the interrupt and returned"""
        result, task = self.begun(tasks.catches)
        self.revoke(result)
        task.ended()
        self.is_idle()
        self.assertEqual(app.AsyncResult(result.id).state, "REVOKED")

    def is_idle(self):
        until(lambda: not app.control.inspect(timeout=LIMIT, limit=1).active()[self.host()], "no task runs")

    def host(self):
        return next(iter(app.control.ping(timeout=LIMIT, limit=1)[0]))

    def test_revoke_waiting(self):
        """a task that waits for a thread does not run"""
        busy = [self.begun(tasks.blocks) for _ in range(2)]
        waits = tasks.started.delay(self.posts.path)
        until(lambda: len(app.control.inspect(timeout=LIMIT, limit=1).reserved()[self.host()]) == 1, "the worker has it")
        self.revoke(waits)
        for result, task in busy:
            task.answer("done")
            self.assertEqual(result.get(timeout=LIMIT), "done")
        self.gets(waits, TaskRevokedError)
        tasks.now.delay().get(timeout=LIMIT)
        self.is_idle()
        self.assertEqual(app.AsyncResult(waits.id).state, "REVOKED")
        self.assertTrue(self.posts.nothing_comes(0))

    def test_soft_limit(self):
        """SoftTimeLimitExceeded comes in the task, which may catch it"""
        result = self.limited(tasks.blocks, soft_time_limit=SOON)
        self.gets(result, SoftTimeLimitExceeded)
        self.assertEqual(result.state, "FAILURE")
        for soon in SOON, 4 * SOON, 16 * SOON:  # the first line of the task may come later
            result = self.limited(tasks.softly, soft_time_limit=soon)
            with contextlib.suppress(SoftTimeLimitExceeded):
                self.assertEqual(result.get(timeout=LIMIT), "cleaned up")
                break
        self.assertEqual(result.state, "SUCCESS")
        result = self.limited(tasks.computes, soft_time_limit=SOON)
        self.gets(result, SoftTimeLimitExceeded)

    def test_usr1(self):
        """so does revoke() with SIGUSR1"""
        result, task = self.begun(tasks.catches)
        self.revoke(result, signal="USR1")
        self.assertEqual(task.ended(), [])

    def test_hard_limit(self):
        """a task whose time is over has failed with TimeLimitExceeded, also if it catches the interrupt"""
        for function in tasks.blocks, tasks.computes, tasks.catches:
            result = self.limited(function, time_limit=SOON)
            self.gets(result, TimeLimitExceeded)
            self.is_idle()
            self.assertEqual((function.name, result.state), (function.name, "FAILURE"))

    def test_in_time(self):
        """a task that ends before its limits has its result"""
        result, task = self.begun(tasks.blocks, soft_time_limit=600, time_limit=900)
        task.answer("done")
        self.assertEqual(result.get(timeout=LIMIT), "done")
        result = tasks.itself.delay(7)
        self.assertEqual(result.get(timeout=LIMIT), [result.id, 7])

    def test_interrupt(self):
        """a task that is interrupted by other code than Celery has failed with CancelledError; its thread takes the next one"""
        result, task = self.begun(tasks.blocks)
        tasks.interrupt.delay(task.thread).get(timeout=LIMIT)
        task.ended()
        self.gets(result, CancelledError)
        self.assertEqual(tasks.itself.delay(7).get(timeout=LIMIT)[1], 7)


@unittest.skipIf(LACK, LACK)
class Pool(unittest.TestCase):
    """The pool without a worker, as Celery uses it."""

    def ends_by(self, target, stop=lambda job: None):
        results = queue.SimpleQueue()
        pool = bough.celery.TaskPool(1, app=app)
        pool.start()
        stop(pool.apply_async(target, callback=results.put, error_callback=results.put))
        pool.stop()
        self.assertTrue(results.empty() or results.qsize() == 1)
        return results.get_nowait()

    def test_result(self):
        self.assertEqual(self.ends_by(lambda: "a result"), "a result")

    def test_terminated_at_its_start(self):
        """Celery does not know yet that the task has begun, and leaves it to the pool to report that it was terminated"""
        def stop(job):
            job.terminate(signal.SIGTERM)
            goes_on.open()

        goes_on = Gate()
        error = self.ends_by(goes_on.passed, stop)
        self.assertEqual((type(error.exception.exc), error.exception.exc.args), (Terminated, (signal.SIGTERM,)))

    def test_exit(self):
        """a SystemExit is a failure, as in a pool of processes that it ends"""
        self.assertIsInstance(self.ends_by(sys.exit).exception.exc, WorkerLostError)


@unittest.skipIf(LACK, LACK)
class Shutdown(WithWorker):
    def test_warm_and_cold(self):
        """a warm shutdown waits for tasks; a cold one ends them, and what was not acknowledged is delivered again"""
        started = worker(self.addCleanup)
        result, task = self.begun(tasks.blocks)
        late, lates = self.begun(tasks.late)
        started.send_signal(signal.SIGTERM)
        until(lambda: "waiting for 2 tasks" in Path(folder, "log").read_text(), "the shutdown has begun")
        task.answer("done")
        self.assertEqual(result.get(timeout=LIMIT), "done")
        self.assertIsNone(started.poll())
        started.send_signal(signal.SIGQUIT)
        self.assertEqual(lates.ended(), [])
        started.wait(LIMIT)
        self.assertEqual((late.state, broker.llen("celery")), ("PENDING", 1))


del WithWorker
if __name__ == "__main__":
    unittest.main()
