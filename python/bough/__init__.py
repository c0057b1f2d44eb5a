# SPDX-License-Identifier: MIT
"""Threads that stop when you ask.

    from bough import branch

    def accept_loop(server_conn):
        with branch() as clients:
            with server_conn:
                while True:
                    clients.add(handle_client, *server_conn.accept())

Importing bough changes nothing. The first Thread, branch or interrupt opts in; `report()` lists what opting in replaces.
"""
from bough import _bough
from bough._bough import (
    Record,
    allow_interruption,
    check_interrupt,
    cleanup,
    clear_interrupt,
    critical_section,
    interruption_requested,
    library_version,
    reason,
)

__version__ = "0.1.0"

# The public names of each file. A file is loaded when a program first uses one of its names.
_names_of = {
    "_branch": ("branch", "Branch"),
    "_child": ("Child", "current_child"),
    "_executor": ("Future", "ThreadPoolExecutor"),
    "_exceptions": ("ThreadExit", "Interrupted", "MultipleError", "NotAliveError", "NoResultError"),
    "ladder": (
        "Rung",
        "Incident",
        "Ladder",
        "Transition",
        "UNWIND",
        "PROMOTE",
        "DISMISS",
        "resume",
        "handler",
        "closer",
        "set_ladder",
        "get_ladder",
        "on_transition",
        "exit_tier",
        "last_words",
        "dump",
        "dump_on_signal",
        "dump_on_signal_undo",
        "notify_ready",
        "watchdog_feed",
        "watchdog_interval",
    ),
    "_log": ("log_to",),
    "_results": ("as_completed", "race"),
    "_scope": ("fail_after", "fail_at", "move_on_after", "move_on_at", "CancelScope"),
    "_patch_stdlib": ("opt_in", "opt_out", "report"),
    "_to_thread": ("to_thread",),
    "_trace": ("trace", "Recording"),
    "_tree": ("tree", "Tree"),
    "_threads": (
        "Thread",
        "ProtectedThread",
        "interrupt",
        "interrupt_all_threads",
        "raise_exc",
        "terminate",
        "on_interrupt",
        "set_enable_io_interrupt",
        "set_enable_async_interrupt",
    ),
}
_file_of = {name: file for file, names in _names_of.items() for name in names}

__all__ = [
    "Record",
    "allow_interruption",
    "check_interrupt",
    "cleanup",
    "clear_interrupt",
    "critical_section",
    "interruption_requested",
    "library_version",
    "reason",
    *_file_of,
]


@_bough.around  # keeps this frame out of users' tracebacks
def __getattr__(name):
    if name == "ladder":  # the module; bough exports its names, too, as it did before the module was public
        return __import__("bough.ladder").ladder
    file = _file_of.get(name)
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=__import__(__name__))
    value = getattr(__import__(f"bough.{file}", fromlist=(name,)), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
