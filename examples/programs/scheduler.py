# SPDX-License-Identifier: MIT
"""APScheduler: a job that takes long runs in a thread of the scheduler's pool. The program shuts down as its manual shows."""
import time
from datetime import datetime

from apscheduler.schedulers.blocking import BlockingScheduler


def job():
    print("job begins", flush=True)
    try:
        time.sleep(3600)
    finally:
        print("job ends", flush=True)


if __name__ == "__main__":
    scheduler = BlockingScheduler(timezone="UTC")
    scheduler.add_job(job, "date", run_date=datetime.now().astimezone())
    try:
        scheduler.start()
    except (KeyboardInterrupt, SystemExit):
        scheduler.shutdown()
        print("shut down", flush=True)
