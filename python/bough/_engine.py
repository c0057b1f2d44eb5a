# SPDX-License-Identifier: MIT
"""Code that the modules for existing engines share: bough.dask, bough.celery, bough.joblib."""
import warnings
from importlib import import_module

from bough import _bough
from bough._call import Call
from bough._exceptions import consists_of, is_a_stop

__all__ = ["Call", "anywhere", "imported", "warn_unless_tried", "was_stopped"]


def imported(module, name, package):
    """Import the engine's module for the module `name` of this package. An ImportError says what to install."""
    engine = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        advice = f"Install {package} ({error})" if error.name == engine else str(error)
        raise ImportError(f"{name} needs {engine}, which can't be imported. {advice}", name=error.name or engine) from error


def warn_unless_tried(name, engine, version, tried):
    """`tried` holds prefixes of versions, such as "5.2.". The module depends on details of the engine that may change."""
    if not str(version).startswith(tried):
        versions = " and ".join(beginning + "x" for beginning in tried)
        warnings.warn(
            f"{name} was tried with {engine} {versions}, and this is {version}. Test that a cancelled task stops before you rely on it",
            RuntimeWarning,
            stacklevel=3,
        )


def anywhere(function, args, kwargs):
    """Call the function with asynchronous delivery: an interrupt also ends a computation in Python."""
    before = _bough.set_asynchronous(True)
    try:
        return function(*args, **kwargs)
    finally:
        _bough.set_asynchronous(before)


def was_stopped(error):
    """Whether a call ended by an interrupt, and not by an error of its function."""
    return consists_of(error, is_a_stop)
