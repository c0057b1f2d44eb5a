# SPDX-License-Identifier: MIT
"""Green threads in place of threading's: the monkey patches of gevent and eventlet, which bough refuses.

After such a patch a lock, a socket and the start of a thread belong to a scheduler that is written in Python. Its threads share
one thread of the system, so that an interrupt of that thread would reach whichever of them runs. bough refuses to opt in then; and
while bough is opted in, it refuses the patch.
"""
import sys

from bough import _bough, _replace

# What gevent may patch: no thread, no lock and no blocking call is in these modules.
_HARMLESS = {"builtins", "contextvars", "logging", "signal", "sys", "_threading_local"}


def _patches():
    """(library, modules) that are patched."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.saved:
        yield "gevent", {name for name in gevent.saved if not name.startswith("_gevent")} - _HARMLESS
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.already_patched:
        yield "eventlet", {name for name, patched in eventlet.already_patched.items() if patched}


def refuse_patches():
    """RuntimeError if there is one."""
    for library, modules in _patches():
        if modules:
            raise RuntimeError(
                f"bough can't be used with {library}'s monkey patch, which has replaced {', '.join(sorted(modules))}: its threads "
                f"are no threads of the system and can't be interrupted one by one. Start the bough threads in a process "
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
    """gevent.events: what is raised by a subscriber comes out of gevent.monkey.patch_all()."""

    def before_patch(event):
        name = getattr(event, "module_name", None)
        if isinstance(event, events.GeventWillPatchEvent) and name not in _HARMLESS:
            # patch_all() has noted that it was called, and would do nothing the next time.
            sys.modules["gevent.monkey"].saved.pop("_gevent_saved_patch_all_module_settings", None)
            _refuse_patch("gevent")

    events.subscribers.append(before_patch)
    _replace.on_undo(lambda: before_patch in events.subscribers and events.subscribers.remove(before_patch))


def _watch_eventlet(patcher):
    """eventlet.patcher; its function may have a second name already."""

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
