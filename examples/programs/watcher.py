# SPDX-License-Identifier: MIT
"""watchdog: a thread gets an event for each new file of a folder, and handles it for as long as it takes."""
import sys
import time

from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer


class Handler(FileSystemEventHandler):
    def on_created(self, event):
        print("file is handled", flush=True)
        try:
            time.sleep(3600)
        finally:
            print("handler ends", flush=True)


if __name__ == "__main__":
    observer = Observer()
    observer.schedule(Handler(), sys.argv[1])
    observer.start()
    try:
        print("watching", flush=True)
        while observer.is_alive():
            observer.join(1)
    finally:
        observer.stop()
        observer.join()
        print("stopped", flush=True)
