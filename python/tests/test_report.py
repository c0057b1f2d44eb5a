# SPDX-License-Identifier: MIT
"""Replacements in the interpreter: reported completely, restored completely, and made again (rule 42)."""
import ctypes
import inspect
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from importlib.machinery import ExtensionFileLoader

import blocking
import bough
from bough import _bough
from tools import until

WORDS = ctypes.sizeof(ctypes.c_void_p)
HEAD = object.__basicsize__ // WORDS  # the words of each object's header: more in a free-threaded interpreter
TP_ALLOC = HEAD + 36  # in a PyTypeObject; checked below


def word(address, index):
    return ctypes.c_void_p.from_address(address + index * WORDS).value


def tp_alloc(cls):
    return word(id(cls), TP_ALLOC)


def method(descriptor):
    """The address ml_meth of a method descriptor, whose PyMethodDef follows PyDescr_COMMON."""
    return word(word(id(descriptor), HEAD + 3), 1)


def methods():
    import _queue
    import _thread

    lock, rlock = _thread.LockType, _thread.RLock
    found = {f"lock.{name}": lock.__dict__[name] for name in ("acquire", "acquire_lock", "__enter__")}
    found |= {f"rlock.{name}": rlock.__dict__[name] for name in ("acquire", "__enter__")}
    found["SimpleQueue.get"] = _queue.SimpleQueue.__dict__["get"]
    return {name: method(descriptor) for name, descriptor in found.items()}


def errors():
    import _socket
    import _sqlite3
    import _ssl

    classes = (OSError, EOFError, _socket.herror, _ssl.SSLError, _ssl.SSLEOFError, _ssl.SSLWantReadError, _sqlite3.OperationalError)
    return {cls.__name__: tp_alloc(cls) for cls in classes}


def attributes():
    found = {"excepthook": threading.excepthook, "unraisablehook": sys.unraisablehook}
    found |= {"Condition.wait": threading.Condition.wait, "Popen.__init__": subprocess.Popen.__init__}
    for name in ("join", "_bootstrap_inner", "_wait_for_tstate_lock"):
        found[name] = getattr(threading.Thread, name, None)
    found["exec_module"] = ExtensionFileLoader.exec_module
    return found


def arena_allocator():
    allocator = (ctypes.c_void_p * 3)()
    ctypes.pythonapi.PyObject_GetArenaAllocator(allocator)
    return list(allocator)


def slots():
    return [(name, symbol) for name, symbol, state, _ in _bough.slots() if state != "skipped"]


def cut_works():
    thread = bough.Thread(target=time.sleep, args=(3600,), daemon=True)
    thread.enable_io_interrupt = True
    thread.start()
    blocking.until_blocked(thread)
    thread.interrupt()
    thread.join(blocking.ENOUGH)
    return not thread.is_alive()


def signature(function):
    try:
        return str(inspect.signature(function))
    except ValueError:  # some functions in C have no signature
        return None


class OptingIn(unittest.TestCase):
    setUpClass = classmethod(lambda cls: bough.opt_out())
    tearDownClass = classmethod(lambda cls: bough.opt_out())

    def state(self):
        return methods(), errors(), attributes(), slots(), arena_allocator()

    def test_functions_keep_their_names_and_signatures(self):
        """a replaced function is pickled by the original's name, and has its name and signature"""
        owners = {"threading.Condition.wait": threading.Condition, "socket.socket.connect_ex": socket.socket}
        owners |= {"signal.pause": signal, "threading.excepthook": threading, "sys.unraisablehook": sys}
        originals = {place: getattr(owner, place.rpartition(".")[2]) for place, owner in owners.items()}
        bough.opt_in()
        self.addCleanup(bough.opt_out)
        self.assertLessEqual(owners.keys(), set(bough.report()["replaced"]))
        for place, owner in owners.items():
            with self.subTest(place):
                original, ours = originals[place], getattr(owner, place.rpartition(".")[2])
                self.assertIsNot(ours, original)
                self.assertIs(pickle.loads(pickle.dumps(ours)), ours)
                self.assertEqual((ours.__name__, ours.__doc__), (original.__name__, original.__doc__))
                self.assertEqual(signature(ours), signature(original))
                self.assertEqual(ours.__module__, owner.__module__ if isinstance(owner, type) else owner.__name__)

    def test_functions_show_the_original_code(self):
        """also of an original that is no Python function"""
        original = subprocess.Popen.__init__.__code__
        bough.opt_in()
        self.addCleanup(bough.opt_out)
        self.assertIn("subprocess.Popen.__init__", bough.report()["replaced"])
        self.assertIs(subprocess.Popen.__init__.__code__, original)
        self.assertEqual(signature(subprocess.Popen.__init__), signature(subprocess.Popen.__init__.__wrapped__))

    def test_layout(self):
        """the offsets of this test are right: all plain classes have the same tp_alloc, and a method has its function"""
        self.assertEqual(tp_alloc(ValueError), tp_alloc(KeyError))
        generic = ctypes.cast(ctypes.pythonapi.PyType_GenericAlloc, ctypes.c_void_p).value
        self.assertEqual(tp_alloc(ValueError), generic)
        self.assertEqual(len(set(methods().values())), len(methods()) - methods_shared())

    def test_out_restores_everything(self):
        before = self.state()
        self.assertEqual(before[3], [])
        for _ in range(3):
            self.assertTrue(bough.opt_in())
            inside = self.state()
            for name, function in before[0].items():
                self.assertNotEqual(inside[0][name], function, name)
            for name, alloc in before[1].items():
                self.assertNotEqual(inside[1][name], alloc, name)
            self.assertNotEqual(inside[2], before[2])
            self.assertTrue(inside[3])
            self.assertNotEqual(inside[4], before[4])
            self.assertTrue(cut_works())
            self.assertTrue(bough.opt_out())
            self.assertEqual(self.state(), before)

    def test_twice(self):
        self.assertTrue(bough.opt_in())
        self.assertFalse(bough.opt_in())
        self.assertTrue(bough.opt_out())
        self.assertFalse(bough.opt_out())

    def test_memory_for_frames(self):
        """of a thread that has ended goes to the next thread; opting out releases it"""
        bough.opt_in()
        self.addCleanup(bough.opt_out)
        for _ in range(2):
            begun, flag = threading.Event(), threading.Event()
            thread = threading.Thread(target=lambda begun=begun, flag=flag: (begun.set(), flag.wait()))
            before = _bough.kept_stacks()
            thread.start()
            begun.wait()
            used = before - _bough.kept_stacks()
            flag.set()
            thread.join()
            until(lambda used=used, before=before: _bough.kept_stacks() == before - used + 1)
        self.assertEqual(used, 1)
        bough.opt_out()
        self.assertIsNone(_bough.kept_stacks())

    def test_another_allocator_in_front(self):
        """calls bough's allocator after an opt-out, and after the next opt-in: each block is freed by its allocator"""
        get, put = ctypes.pythonapi.PyObject_GetArenaAllocator, ctypes.pythonapi.PyObject_SetArenaAllocator
        before = arena_allocator()
        bough.opt_in()
        ours, in_front = (ctypes.c_void_p * 3)(), (ctypes.c_void_p * 3)()
        get(ours)
        in_front[:] = ours
        in_front[0] = 1  # sets the allocator's context, which bough's allocator ignores: so this is another one
        put(in_front)
        self.assertTrue(bough.opt_out())
        self.assertTrue(bough.opt_in())
        self.assertTrue(cut_works())
        put(ours)
        self.assertTrue(bough.opt_out())
        self.assertEqual(arena_allocator(), before)

    def test_other_code_has_replaced_it_meanwhile(self):
        """a replacement that other code has made afterwards is kept"""
        bough.opt_in()
        ours = threading.excepthook

        def theirs(args):
            ours(args)

        threading.excepthook = theirs
        try:
            bough.opt_out()
            self.assertIs(threading.excepthook, theirs)
        finally:
            threading.excepthook = threading.__excepthook__


def methods_shared():
    """Some methods are one function with several names: acquire, acquire_lock, and often __enter__."""
    found = methods()
    return len(found) - len(set(found.values()))


class Report(unittest.TestCase):
    tearDownClass = classmethod(lambda cls: bough.opt_out())

    def test_nothing(self):
        bough.opt_out()
        report = bough.report()
        self.assertFalse(report["opted_in"])
        self.assertEqual((report["interposed"], report["methods"], report["replaced"], report["errors"]), ([], [], [], []))
        self.assertIn("nothing is patched", str(report))

    def test_all(self):
        """each method, class, attribute and address that is replaced is in it, and nothing else"""
        bough.opt_out()
        before = methods(), errors(), attributes()
        bough.opt_in()
        report = bough.report()
        for name, function in methods().items():
            self.assertEqual(function != before[0][name], any(m.endswith(name.partition(".")[2]) for m in report["methods"]))
        self.assertEqual({name.rpartition(".")[2] for name in report["errors"]} & set(before[1]), set(before[1]))
        for name, value in attributes().items():
            if value is not before[2][name]:
                self.assertTrue(any(r.endswith(name) for r in report["replaced"]), name)
        symbols = {symbol for _, symbol in report["interposed"]}
        self.assertLessEqual({"read", "write", "poll", "accept4", "clock_nanosleep"}, symbols)
        self.assertNotIn("pthread_cond_wait", symbols)
        self.assertIn("pthread_cond_timedwait", {symbol for _, symbol in report["hooked"]})
        self.assertTrue(report["not_covered"])

    def test_text(self):
        bough.opt_in()
        text = str(bough.report())
        for part in ("clock_nanosleep", "lock.acquire", "threading.Condition.wait", "OSError", "os.system()"):
            self.assertIn(part, text.replace("LockType", "lock"))


if __name__ == "__main__":
    unittest.main()
