# SPDX-License-Identifier: MIT
"""The listeners for failures: the log, once a program has asked for it."""

on_failure = None  # function(thread, branch, error): names, or None; the exception. It does not wait, and raises nothing
