# SPDX-License-Identifier: MIT
"""The listener for failures: the log, after a program has switched it on."""

on_failure = None  # function(thread's name or None, branch's name or None, exception), which must neither wait nor raise
