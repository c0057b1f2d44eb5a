# SPDX-License-Identifier: MIT
"""Ends a run of pytest whose test nothing can end. This code runs on the watcher, while the test's thread is still stuck."""
import faulthandler
import os
import sys

import pytest

from bough import _bough, ladder

STATUS = 70  # EX_SOFTWARE, as for an exit that the ladder begins
TIME = 30.0  # seconds for the reports

stderr = 2  # the descriptor of stderr as it was before pytest captured output


def open_stderr():
    global stderr
    stderr = os.dup(2)


def heading(phase, why):
    """A line that is easy to find in a long log, and how the run ends."""
    return (
        f"\n++++ bough: {phase.item.nodeid} ({phase.when}) {why}. ++++\n"
        f"{phase.message()}, and did not end in {phase.grace:g} s after that: the run ends with status {STATUS}.\n"
    )


def end_run(phase, why):
    """Does not return."""
    try:
        _bough.deadman_move(TIME, TIME)
        config = phase.item.config
        output = captured(config)
        write(heading(phase, why))
        for title, text in output:
            if text:
                write(f"---- captured {title} ----\n{text}\n")
        write("---- the stacks of all threads ----\n")
        faulthandler.dump_traceback(stderr, all_threads=True)
        ladder.dump(stderr)
        if hasattr(config, "workerinput"):  # a worker of xdist, whose main process reports the worker's end
            write(heading(phase, why))  # repeated, because a dump is long
        else:
            report(phase, why, output)
    except BaseException as error:
        write(f"bough: the reports are not complete: {error!r}\n")
    finally:
        flush()
        os._exit(STATUS)


def write(text):
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(stderr, data) :]


def flush():
    for stream in sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__:
        try:
            stream.flush()
        except Exception:
            pass


def captured(config):
    """Stop capturing. Returns the output that was captured, as [(title, text)]."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is None:
        return []
    manager.suspend(in_=True)
    return list(zip(("stdout", "stderr"), manager.read_global_capture()))


def report(phase, why, output):
    """Report the test as failed, and let pytest write its summary and its files. Fixtures are not torn down."""
    item, config = phase.item, phase.item.config
    text = f"{phase.message()}.\nIt {why}: the run ends with status {STATUS}."
    sections = [*phase.sections, *((f"Captured {title} {phase.when}", text) for title, text in output if text)]
    failed = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=text,
        when=phase.when,
        sections=sections,
        duration=phase.limit.seconds + phase.grace,
    )
    item.ihook.pytest_runtest_logreport(report=failed)
    item.session.shouldfail = f"bough: {item.nodeid} {why}"
    runner = config.pluginmanager.getplugin("runner")  # the runner would tear down the fixtures
    hook = config.pluginmanager.subset_hook_caller("pytest_sessionfinish", remove_plugins=[runner])
    hook(session=item.session, exitstatus=pytest.ExitCode.TESTS_FAILED)
