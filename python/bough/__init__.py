# SPDX-License-Identifier: MIT
"""Threads that stop when you ask.

    from bough import branch

    def accept_loop(server_conn):
        with branch() as clients:
            with server_conn:
                while True:
                    clients.add(handle_client, *server_conn.accept())

Importing this changes nothing. The first Thread, branch or interrupt opts in (`report()` says to what).
"""
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
from bough._branch import *  # noqa: F403
from bough._branch import __all__ as _branch_names
from bough._child import *  # noqa: F403
from bough._child import __all__ as _child_names
from bough._errors import MultipleError
from bough._ladder import *  # noqa: F403
from bough._ladder import __all__ as _ladder_names
from bough._stdlib import opt_in, opt_out, report
from bough._threads import *  # noqa: F403
from bough._threads import __all__ as _thread_names

__version__ = "0.1.0"

__all__ = [
    "MultipleError",
    "Record",
    "allow_interruption",
    "check_interrupt",
    "cleanup",
    "clear_interrupt",
    "critical_section",
    "interruption_requested",
    "library_version",
    "opt_in",
    "opt_out",
    "reason",
    "report",
    *_thread_names,
    *_branch_names,
    *_child_names,
    *_ladder_names,
]
