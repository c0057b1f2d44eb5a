# SPDX-License-Identifier: MIT
"""A plugin for pytest: time limits for tests, which end a test wherever it blocks or computes. docs/pytest.md describes it.

Nothing of bough is imported before a test with a limit begins.
"""
import argparse
import sys
from collections import namedtuple

import pytest

MARKER = "bough_timeout"
GRACE = 10.0

Limit = namedtuple("Limit", "seconds source func_only")
Settings = namedtuple("Settings", "limit func_only grace")
settings_of = pytest.StashKey()


# ---- numbers of seconds ----------------------------------------------------------------------------------------------


def seconds(what, value, least=0.0):
    """As a float. ValueError for what is no number of seconds."""
    expected = f"{what} must be a number of seconds, {'0 (no limit) or more' if least == 0 else 'more than 0'}, got {value!r}"
    if hasattr(value, "total_seconds"):
        raise ValueError(f"{expected}. Convert it with total_seconds()")
    if isinstance(value, str):
        raise ValueError(f"{expected}. Write the number without quotes" if is_number(value) else expected)
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise ValueError(expected)
    number = float(value)
    if not number >= least or (least and number == least):
        raise ValueError(expected)
    return number


def is_number(text):
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def seconds_of_text(what, text, least=0.0):
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or not value >= least or (least and value == least):
        advice = "a number of seconds, such as 5 or 0.5" + (", or 0 for no limit" if least == 0 else "")
        raise ValueError(f"{what} must be {advice}, got {text!r}")
    return value


def for_option(least):
    def of_option(text):
        try:
            return seconds_of_text("it", text, least)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return of_option


# ---- options and settings ----------------------------------------------------------------------------------------------


def pytest_addoption(parser):
    limit = "Seconds after which a test fails, wherever it blocks or computes, counted for its setup, the test itself and its teardown"
    grace = f"Seconds that a test which has exceeded its limit has to end; after that the run ends. {GRACE:g} unless given"
    group = parser.getgroup("bough", "time limits for tests, by bough")
    group.addoption("--bough-timeout", metavar="SECONDS", type=for_option(0.0), help=f"{limit}. 0 is no limit.")
    group.addoption("--bough-timeout-grace", metavar="SECONDS", type=for_option(1e-9), help=f"{grace}.")
    parser.addini("bough_timeout", f"{limit}. 0 is no limit.")
    parser.addini("bough_timeout_grace", f"{grace}.")
    parser.addini("bough_timeout_func_only", "Limit the test itself only, not its setup and its teardown.", type="bool", default=False)


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "bough_timeout(seconds, *, func_only=False): the test fails if it takes longer, wherever it blocks or computes; 0 is no limit. "
        "func_only: only the test itself is limited, not its setup and its teardown.",
    )
    try:
        config.stash[settings_of] = settings(config)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def settings(config):
    try:
        func_only, grace = config.getini("bough_timeout_func_only"), config.getoption("bough_timeout_grace")
    except ValueError as error:
        raise ValueError(f"the ini setting bough_timeout_func_only must be true or false: {error}") from None
    limit, source = config.getoption("bough_timeout"), "--bough-timeout"
    if limit is None and (text := config.getini("bough_timeout")):
        limit, source = seconds_of_text("the ini setting bough_timeout", text), "the ini setting bough_timeout"
    if grace is None and (text := config.getini("bough_timeout_grace")):
        grace = seconds_of_text("the ini setting bough_timeout_grace", text, 1e-9)
    return Settings(Limit(limit, source, func_only) if limit else None, func_only, grace or GRACE)


def pytest_report_header(config):
    limit = config.stash[settings_of].limit
    if limit is None:
        return None
    return f"bough: each test has {limit.seconds:g} s, by {limit.source}{' (the test itself only)' if limit.func_only else ''}"


# ---- the marker --------------------------------------------------------------------------------------------------------


def marker_of(item):
    """The marker that counts: of the parameters, else of the test, else of its class or module."""
    parameters = getattr(getattr(item, "callspec", None), "marks", ())
    for mark in parameters:
        mark = getattr(mark, "mark", mark)
        if mark.name == MARKER:
            return mark
    own = [mark for mark in item.own_markers if mark.name == MARKER]
    if len(own) > 1:
        shown = " and ".join(f"{mark.args[0] if mark.args else ''!r}" for mark in own)
        raise ValueError(f"a test has one marker bough_timeout, and this one has {len(own)} ({shown}): remove the others")
    return item.get_closest_marker(MARKER)


def read(mark, func_only):
    """A Limit."""
    example = "write @pytest.mark.bough_timeout(5)"
    unknown = [name for name in mark.kwargs if name not in ("seconds", "func_only")]
    if unknown:
        raise ValueError(f"the marker bough_timeout takes seconds and func_only=, got {unknown[0]}=: remove it")
    if len(mark.args) > 1 or (mark.args and "seconds" in mark.kwargs):
        raise ValueError(f"the marker bough_timeout takes one number of seconds, got {len(mark.args) + len(mark.kwargs)} arguments: {example}")
    if not mark.args and "seconds" not in mark.kwargs:
        raise ValueError(f"the marker bough_timeout needs a number of seconds: {example}")
    only = mark.kwargs.get("func_only", func_only)
    if not isinstance(only, bool):
        raise ValueError(f"func_only of the marker bough_timeout must be True or False, got {only!r}")
    given = mark.args[0] if mark.args else mark.kwargs["seconds"]
    return Limit(seconds("the limit of the marker bough_timeout", given), "the marker bough_timeout", only)


def limit_of(item):
    """A Limit, or None. ValueError for a marker that says nothing useful."""
    chosen = item.config.stash[settings_of]
    mark = marker_of(item)
    limit = chosen.limit if mark is None else read(mark, chosen.func_only)
    return limit if limit is not None and 0 < limit.seconds < float("inf") else None


# ---- phases --------------------------------------------------------------------------------------------------------------


def within_limit(item, when):
    """A hook wrapper: what it wraps is limited. It is the innermost one, so that other plugins do their work outside."""
    try:
        limit = limit_of(item)
        wrong = None
    except ValueError as error:
        limit, wrong = None, error
    if wrong is not None and when == "setup":
        pytest.fail(f"{item.nodeid}: {wrong}", pytrace=False)
    if limit is None or (limit.func_only and when != "call"):
        yield
        return
    from bough import _pytest

    phase = _pytest.begin(item, when, limit, item.config.stash[settings_of].grace)
    outcome = yield
    if phase is None:
        return
    failure = _pytest.end(phase, outcome.excinfo[1] if outcome.excinfo else None)
    if failure is not None:
        fail(outcome, failure)


def fail(outcome, error):
    if hasattr(outcome, "force_exception"):
        outcome.force_exception(error)
    else:  # pluggy before 1.1: an exception here would skip the wrappers around this one
        outcome._excinfo = type(error), error, error.__traceback__


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_setup(item):
    yield from within_limit(item, "setup")


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item):
    yield from within_limit(item, "call")


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_teardown(item):
    yield from within_limit(item, "teardown")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Before anything is captured."""
    try:
        limited = limit_of(item) is not None
    except ValueError:
        limited = False
    if limited:
        from bough import _pytest

        _pytest.prepare()
    yield


def pytest_enter_pdb():
    """No limit while somebody debugs."""
    if "bough._pytest" in sys.modules:
        sys.modules["bough._pytest"].suspend()
