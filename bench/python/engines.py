# SPDX-License-Identifier: MIT
"""
engines.py [--rounds N]: the time that an engine needs to stop a task, from the call that requests it until the task's
thread has begun the next task. Needs what the tests of bough.dask, bough.celery and bough.joblib need. Run it with the
package of a build folder:

    PYTHONPATH=build-bench-python-3.11 /usr/bin/python3 bench/python/engines.py
"""
import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "python/tests"
sys.path.insert(0, str(TESTS))
os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")

import posts  # noqa: E402


def dask(rounds, mailbox):
    import distributed

    import bough.dask

    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:
        client.register_worker_plugin(bough.dask.Plugin())
        for _ in range(rounds):
            task = client.submit(posts.blocks, mailbox.path, pure=False)
            with mailbox.next():
                following = client.submit(posts.now, pure=False)
                client.scheduler_info()  # returns when the scheduler has the task
                asked = time.monotonic()
                task.cancel()
                yield following.result() - asked


def celery(rounds, mailbox):
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELERY_TEST_REDIS"] = path = f"{folder}/redis"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder], **quiet)
        while not os.path.exists(path):
            time.sleep(0.01)
        import celery_tasks

        app = celery_tasks.app
        worker = subprocess.Popen([sys.executable, *"-m celery -A celery_tasks worker --concurrency 1".split()], **quiet)
        try:
            while not app.control.ping(timeout=0.5, limit=1):
                pass
            for _ in range(rounds):
                task = celery_tasks.blocks.delay(mailbox.path)
                with mailbox.next():
                    following = celery_tasks.now.delay()
                    while not any(app.control.inspect(timeout=5, limit=1).reserved().values()):
                        pass
                    asked = time.monotonic()
                    task.revoke(terminate=True)
                    yield following.get() - asked
        finally:
            task = following = None
            gc.collect()  # a result reports its end to Redis
            for process in worker, redis:
                process.kill()
                process.wait()
            app.close()


class Failure(Exception):
    pass


def joblib(rounds, mailbox):
    """The time until all calls have ended, because there is no next task."""
    from joblib import Parallel, delayed

    import bough.joblib  # noqa: F401

    def fails():
        nonlocal asked
        with mailbox.next():
            asked = time.monotonic()
            raise Failure

    asked = 0
    for _ in range(rounds):
        try:
            Parallel(n_jobs=2, backend="bough")([delayed(posts.blocks)(mailbox.path), delayed(fails)()])
        except Failure:
            yield time.monotonic() - asked


def processor():
    return next(line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))


def main():
    parser = argparse.ArgumentParser(description="the time that an engine needs to stop a task")
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    print(f"{processor()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}, {rounds} rounds")
    for engine in dask, celery, joblib:
        with posts.Posts() as mailbox:
            times = [1000 * seconds for seconds in engine(rounds + 1, mailbox)][1:]  # the first one loads code
        print(f"{engine.__name__:8} median {statistics.median(times):6.2f} ms, max {max(times):6.2f} ms")


if __name__ == "__main__":
    main()
