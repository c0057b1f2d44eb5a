# SPDX-License-Identifier: MIT
"""allow_interruption.py [REQUESTS]: a server whose thread can be interrupted while it waits, and nowhere else.

It answers in capitals, over the loopback. Ctrl-C, or so many requests, stops it.
"""
import socket
import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue
from threading import Semaphore

from bough import allow_interruption, ProtectedThread as Thread, ThreadExit

folder = Path(tempfile.mkdtemp(prefix="bough-"))
settings, log = folder / "settings", folder / "log"
settings.write_text("127.0.0.1 0\n")
ports, answered = SimpleQueue(), Semaphore(0)

def loop():
  # do i/o calls to set up i.e. read some settings file and write out some logs based on them, without being interrupted
  host, port = settings.read_text().split()
  log.write_text("starting\n")
  # prepare a socket without being interrupted
  server = socket.create_server((host, int(port)))
  ports.put(server.getsockname()[1])

  while True:
    conn = None
    try:
      with allow_interruption:
        # do blocking wait for socket connection
        conn, addr = server.accept()
        # do blocking call to receive data from new connection
        request = conn.recv(4096)
    except ThreadExit:
        # close connection
        if conn is not None:
          conn.close()
        # break out of loop
        break
    else:
        # do uninterruptible blocking call to send back response
        conn.sendall(request.upper())
        # close connection
        conn.close()
        answered.release()

  # write out logs without being interrupted
  server.close()
  with log.open("a") as file:
    file.write("stopped\n")

thread = Thread(target=loop)
thread.enable_async_interrupt = True
thread.enable_io_interrupt = True
thread.start()

try:
  print("listening on port", ports.get(), flush=True)
  for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize):
    answered.acquire()
except KeyboardInterrupt:
  pass

# then later on:
thread.interrupt() # raise a ThreadExit next time code inside an allow_interruption context is being run
thread.join()

print(log.read_text(), end="")
log.unlink(), settings.unlink(), folder.rmdir()
