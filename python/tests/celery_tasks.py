# SPDX-License-Identifier: MIT
"""The application of test_celery.py, for its worker and for its client."""
import os
import threading

import bough
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

import posts

SOCKET = os.environ.get("CELERY_TEST_REDIS", "")

app = Celery("celery_tasks", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.worker_pool = "bough.celery:TaskPool"
app.conf.worker_prefetch_multiplier = 2

blocks = app.task(posts.blocks, name="blocks")
computes = app.task(posts.computes, name="computes")
catches = app.task(posts.catches, name="catches")
late = app.task(posts.blocks, name="late", acks_late=True)
started = app.task(posts.blocks, name="started", track_started=True)
now = app.task(posts.now, name="now")


@app.task
def softly(path):
    """Blocks, and cleans up when the soft limit ends it."""
    try:
        posts.blocks(path)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@app.task
def interrupt(native_id):
    """Interrupts a thread, as `bough interrupt` does from a shell."""
    (thread,) = [thread for thread in threading.enumerate() if thread.native_id == native_id]
    bough.interrupt(thread, "an operator has asked")


@app.task(bind=True)
def itself(self, number):
    return [self.request.id, number]
