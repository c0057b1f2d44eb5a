# SPDX-License-Identifier: MIT
"""Eight threads that are told to stop: four after five seconds, four after ten, or all at once by Ctrl-C."""
from time import sleep
from bough import Thread, interruption_requested, interrupt_all_threads

def loop():
  while not interruption_requested():
    sleep(1)
  print('exiting thread!')

threads = [Thread(target=loop) for i in range(8)]
for thread in threads:
  thread.start()

try:
  # tell the first four threads to stop after five seconds
  sleep(5)
  for thread in threads[:4]:
    thread.interrupt()
    thread.join()

  # tell the next four threads to stop after another five seconds
  sleep(5)
  for thread in threads[4:]:
    thread.interrupt()
    thread.join()

except KeyboardInterrupt:
  # tell them all to stop if they haven't already

  interrupt_all_threads()
  for thread in threads:
     thread.join()
