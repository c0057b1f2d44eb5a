# SPDX-License-Identifier: MIT
"""Refuses the monkey patches of gevent and eventlet, which replace threading's threads by green threads.

After such a patch locks, sockets and the start of threads belong to a scheduler that is written in Python. Its green threads share
one system thread, so an interrupt of that thread would hit the green thread that happens to run. bough then refuses to opt in; and
while bough is opted in, it refuses the patch.
"""
import sys

from bough import _bough, _replace

# Modules that gevent may patch: they contain no threads, no locks and no blocking calls.
_HARMLESS = {"builtins", "contextvars", "logging", "signal", "sys", "_threading_local"}


def _patches():
    """Pairs (library, modules that it has patched)."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.saved:
        yield "gevent", {name for name in gevent.saved if not name.startswith("_gevent")} - _HARMLESS
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.already_patched:
        yield "eventlet", {name for name, patched in eventlet.already_patched.items() if patched}


def refuse_patches():
    """Raise RuntimeError if a library has patched a module."""
    for library, modules in _patches():
        if modules:
            raise RuntimeError(
                f"bough can't be used with {library}'s monkey patch, which has replaced {', '.join(sorted(modules))}: its green "
                f"threads are not system threads and can't be interrupted one by one. Start the bough threads in a process "
                f"without the patch, or stop green threads by {library}'s kill()"
            )


def _refuse_patch(library):
    raise RuntimeError(
        f"{library}'s monkey patch must not replace threads and blocking calls while bough is in use (bough.opt_in(), the "
        f"first Thread, branch or interrupt): nothing was patched. Use one of the two in a process; bough.opt_out() ends "
        f"bough's use"
    )


# ---- a patch that comes later ---------------------------------------------------------------------------------------------


def _watch_gevent(events):
    """gevent.events: an exception that a subscriber raises leaves gevent.monkey.patch_all()."""

    def before_patch(event):
        name = getattr(event, "module_name", None)
        if isinstance(event, events.GeventWillPatchEvent) and name not in _HARMLESS:
            # patch_all() has recorded this call, and would do nothing the next time.
            sys.modules["gevent.monkey"].saved.pop("_gevent_saved_patch_all_module_settings", None)
            _refuse_patch("gevent")

    events.subscribers.append(before_patch)
    _replace.on_undo(lambda: before_patch in events.subscribers and events.subscribers.remove(before_patch))


def _watch_eventlet(patcher):
    """eventlet.patcher. The package eventlet may have imported the function already."""

    def new(original):
        def monkey_patch(**on):
            if _bough.opted_in():
                _refuse_patch("eventlet")
            return original(**on)

        return monkey_patch

    _replace.replace(patcher, "monkey_patch", new)
    package = sys.modules.get("eventlet")
    if hasattr(package, "monkey_patch"):
        _replace.replace(package, "monkey_patch", new)


CHANGES = {"gevent.events": _watch_gevent, "eventlet.patcher": _watch_eventlet}
