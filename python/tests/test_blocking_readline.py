# SPDX-License-Identifier: MIT
"""readline, in a separate file because it affects every input() of a process."""
import os
import readline
import unittest

import blocking
from blocking import Call
from channels import console

cases = blocking.Cases(__name__)
case = cases.case
os.environ["TERM"] = "dumb"
readline.set_auto_history(False)


@case("input()", "a terminal, by readline")
def _():
    with console() as user:
        yield Call(lambda: input("ask: "), lambda: os.write(user, b"hello\n"), "hello")


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
