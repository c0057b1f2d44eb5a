# SPDX-License-Identifier: MIT
"""Filters of system calls. A supervisor's listener blocks in ioctl() until a thread makes the call that is reported to
it."""
import ctypes
import errno
import os
import platform
import struct
import threading
from contextlib import contextmanager

REPORT = 80  # bytes, struct seccomp_notif
RECEIVE = 0xC0002100 | REPORT << 16  # SECCOMP_IOCTL_NOTIF_RECV
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine())
REPORTED = 1 << 20  # a number that no system call has
NO_NEW_PRIVS, SET_MODE_FILTER, NEW_LISTENER = 38, 1, 8

libc = ctypes.CDLL(None, use_errno=True)


class _Filter(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("lines", ctypes.c_void_p)]


def _install(code, flags):
    """Installs a filter: `code` decides by the call's number, and other calls are allowed."""
    code = [(0x20, 0, 0, 0), *code, (0x06, 0, 0, 0x7FFF0000)]
    lines = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    filter = _Filter(len(code), ctypes.addressof(lines))
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return -1
    return libc.syscall(SECCOMP, SET_MODE_FILTER, flags, ctypes.byref(filter))


def _listener():
    """Installs the filter permanently in the calling thread. Returns the listener's descriptor, or -1."""
    return -1 if SECCOMP is None else _install([(0x15, 0, 1, REPORTED), (0x06, 0, 0, 0x7FC00000)], NEW_LISTENER)


def forbid_mprotect():
    """Makes mprotect() fail permanently in this process, as some security modules do, so that pages stay read-only."""
    number = {"x86_64": 10, "aarch64": 226}[platform.machine()]
    if _install([(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.EACCES)], 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


@contextmanager
def seccomp_listener():
    """Yields the listener and a function whose call is reported to it."""
    listener, ready, go_on = -1, threading.Event(), threading.Event()

    def supervised():
        nonlocal listener
        listener = _listener()
        ready.set()
        go_on.wait()
        libc.syscall(REPORTED)  # fails when the listener is closed

    thread = threading.Thread(target=supervised)
    thread.start()
    ready.wait()
    try:
        yield listener, go_on.set
    finally:
        if listener >= 0:
            os.close(listener)
        go_on.set()
        thread.join()


def can_listen():
    with seccomp_listener() as (listener, _):
        return listener >= 0
