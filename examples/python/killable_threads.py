# SPDX-License-Identifier: MIT
"""A thread that is ended from outside, while it sleeps:

>>> import time
>>> from bough import Thread
>>>
>>> def f():
...     try:
...         while True:
...             time.sleep(0.1)
...     finally:
...         print("outta here")
...
>>> t = Thread(target = f)
>>> t.start()
>>> t.is_alive()
True
>>> t.terminate(); t.join()
outta here
>>> t.is_alive()
False

Any exception will do, an instance as well as a class, and in a blocking call as well as in bytecode:

>>> def g():
...     try:
...         time.sleep(1000)
...     except TypeError as error:
...         print(error is exactly_this)
...
>>> exactly_this = TypeError("blah")
>>> t1 = Thread(target = g)
>>> t1.start()
>>> t1.raise_exc(exactly_this); t1.join()
True
>>> t1.raise_exc(TypeError)
Traceback (most recent call last):
  ...
bough.NotAliveError: raise_exc() thread: <Thread(Thread-2 (g), stopped ...)> has ended
"""
import doctest
import sys

if __name__ == "__main__":
    failed, tried = doctest.testmod(optionflags=doctest.ELLIPSIS)
    print(f"{tried - failed} of {tried} lines did what they say")
    sys.exit(failed > 0)
