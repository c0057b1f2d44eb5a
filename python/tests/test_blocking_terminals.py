# SPDX-License-Identifier: MIT
"""Calls that read from a terminal. The test's standard input and output are a terminal meanwhile."""
import cmd
import code
import curses
import curses.textpad
import getpass
import io
import os
import pty
import termios
import threading
import unittest
from contextlib import contextmanager, suppress

import blocking
from blocking import Call
from channels import console, instead_of, path, pipe, standard_input, stopped_terminal, terminal

cases = blocking.Cases(__name__)
case = cases.case
os.environ["TERM"] = "dumb"


def no_terminal():
    """getpass() asks the controlling terminal, if there is one."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return True
    return False


@case("input()", "a terminal")
def _():
    with console() as user:
        yield Call(lambda: input("ask: "), lambda: os.write(user, b"hello\n"), "hello")


@case("getpass.getpass()", "a terminal")
@blocking.skip_unless(no_terminal(), "there is a controlling terminal")
def _():
    with terminal() as (user, slave), standard_input(slave):
        yield Call(lambda: getpass.getpass(stream=io.StringIO()), lambda: os.write(user, b"hello\n"), "hello")


@case("cmd.Cmd.cmdloop()", "an empty pipe")
def _():
    class Quitting(cmd.Cmd):
        use_rawinput = False

        def do_quit(self, _):
            return True

    with pipe() as (r, w), open(r, closefd=False) as file:
        interpreter = Quitting(stdin=file, stdout=io.StringIO())
        yield Call(interpreter.cmdloop, lambda: os.write(w, b"quit\n"))


@case("code.interact()", "an empty pipe")
def _():
    """it prints a KeyboardInterrupt for the user, and no other exception"""
    with pipe() as (r, w), open(r, closefd=False) as file:

        def read(prompt):
            line = file.readline()
            if line == "end\n":
                raise EOFError
            return line

        def call():
            console = code.InteractiveConsole()
            console.raw_input = read
            console.write = lambda text: None
            console.interact(banner="", exitmsg="")

        yield Call(call, lambda: os.write(w, b"end\n"))


# ---- curses --------------------------------------------------------------------------------------------------------------------


@contextmanager
def window():
    """Yields a window, and the user's end."""
    with console() as user:
        screen = curses.initscr()
        curses.cbreak()
        try:
            yield screen, user
        finally:
            curses.endwin()


def typing(call, function, typed, result, swallows=False):
    @case(call, "a terminal")
    def _():
        with window() as (screen, user):
            yield Call(lambda: function(screen), lambda: os.write(user, typed), result, swallows=swallows)


typing("curses.window.getch()", lambda screen: screen.getch(), b"x", ord("x"), True)
typing("curses.window.get_wch()", lambda screen: screen.get_wch(), b"x", "x")
typing("curses.window.getkey()", lambda screen: screen.getkey(), b"x", "x")
typing("curses.window.getstr()", lambda screen: screen.getstr(), b"hello\n", b"hello", True)


@case("curses.textpad.Textbox.edit()", "a terminal")
def _():
    # After a failed call, such a window with a keypad returns from the next call at once.
    state = "usable; the next call reads nothing" if curses.ncurses_version >= (6, 5) else None
    with window() as (screen, user):
        try:
            yield Call(lambda: curses.textpad.Textbox(screen).edit(), lambda: os.write(user, b"x\x07"), again=not state, state=state)
        finally:
            screen.nodelay(True)
            screen.getch()
            screen.nodelay(False)
            screen.keypad(False)


@case("curses.window.refresh()", "a stopped terminal")
def _():
    with window() as (screen, user):
        termios.tcflow(1, termios.TCOOFF)

        def call():
            screen.erase()
            screen.addstr(0, 0, "x")
            screen.redrawwin()
            screen.refresh()

        try:
            yield Call(call, lambda: termios.tcflow(1, termios.TCOON), swallows=True)
        finally:
            termios.tcflow(1, termios.TCOON)


# ---- others -----------------------------------------------------------------------------------------------------------------------


def masters():
    """The descriptors of a terminal's end that a user has."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the descriptor of the listing
            if os.readlink(f"/proc/self/fd/{fd}").endswith("/ptmx"):
                found.add(int(fd))
    return found


@case("pty.spawn()", "its process")
def _():
    """its process gets a SIGHUP when the terminal is closed, which spawn() leaves open"""
    with pipe() as (r, w), path() as name:
        os.mkfifo(name)
        before = masters()

        def call():
            return os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", f"echo x; read line < {name}; exit 3"]))

        def release():
            with open(name, "wb") as file:
                file.write(b"\n")

        with standard_input(r), instead_of(1, w, "stdout", "w"):
            yield Call(call, release, 3, again=False, state="its process goes on, not waited for")
        for fd in masters() - before:
            os.close(fd)
            os.wait()


@case("termios.tcsetattr()", "a stopped terminal, by TCSADRAIN")
def _():
    with stopped_terminal() as (slave, release):
        writer = threading.Thread(target=os.write, args=(slave, b"hello"))
        writer.start()
        blocking.until_blocked(writer)
        mode = termios.tcgetattr(slave)
        yield Call(lambda: termios.tcsetattr(slave, termios.TCSADRAIN, mode), release)
        release()
        writer.join()


Blocking = blocking.generate(cases)

if __name__ == "__main__":
    unittest.main()
