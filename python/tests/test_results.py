# SPDX-License-Identifier: MIT
"""Results of children: result(); the names of children in errors and in texts."""
import gc
import inspect
import os
import pickle
import threading
import traceback
import unittest
import weakref

import bough
from bough import MultipleError, NoResultError, ThreadExit, as_completed, branch, race
from branching import A, B, block, fail
from tools import Gate, until

limit = 120
stays = ("anon_inode:*event*",)
PACKAGE = os.path.dirname(bough.__file__)


def frames(error):
    """The functions in the error's traceback, which must have none of bough."""
    found = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in found if frame.filename.startswith(PACKAGE)]
    if own:
        raise AssertionError(f"frames of bough: {own}")
    return [frame.name for frame in found]


class Results(unittest.TestCase):
    def test_of_one_that_succeeded(self):
        with branch() as b:
            child, none = b.add(lambda: 42), b.add(int.__class__, "x", (), {})
            child.join()
            self.assertEqual(child.result(), 42)
        self.assertEqual(child.result(), 42)
        self.assertIsInstance(none.result(), type)

    def test_of_one_that_runs(self):
        gate = Gate()
        with branch() as b:
            child = b.add(gate.passed, name="slow")
            with self.assertRaisesRegex(NoResultError, r"child 'slow' has no result: it still runs: call join\(\) first"):
                child.result()
            gate.open()
        self.assertIsNone(child.result())

    def test_of_one_that_failed(self):
        """its exception is raised again, and its context and cause stay"""
        error = A()
        error.__cause__ = cause = KeyError()
        with branch(supervisor=True) as b:
            child = b.add(fail, error)
        for _ in range(2):
            try:
                try:
                    raise ValueError
                except ValueError:
                    child.result()
            except A as caught:
                self.assertIs(caught, error)
                self.assertIs(caught.__cause__, cause)
                self.assertIsNone(caught.__context__)
                self.assertEqual(frames(caught)[-1], "fail")

    def test_of_one_whose_exception_the_block_has_raised(self):
        """that exception belongs to the block: result() raises NoResultError"""
        with self.assertRaises(A), branch() as b:
            child = b.add(fail, A("why"), name="bad")
        self.assertIsNone(child.exception)
        with self.assertRaisesRegex(NoResultError, r"'bad' .*has failed, and its block has raised the exception \(A: why\)"):
            child.result()

    def test_in_the_block(self):
        """is the child's failure, once"""
        for options in {}, {"strict": True}:
            error = A()
            with self.assertRaises((A, MultipleError)) as caught, branch(**options) as b:
                with bough.critical_section():
                    child = b.add(fail, error)
                    child.join()
                    child.result()
            self.assertIs(getattr(caught.exception, "primary", caught.exception), error)
            self.assertEqual(len(getattr(caught.exception, "exceptions", [1])), 1)

    def test_in_a_group(self):
        """each is still its child's"""
        with self.assertRaises(MultipleError), branch(strict=True) as b:
            child = b.add(fail, A())
        with self.assertRaises(A):
            child.result()

    def test_of_one_that_was_interrupted(self):
        """result() raises no ThreadExit, which would end the calling thread"""
        with branch() as b:
            child = b.add(block, name="it")
            b.interrupt()
        with self.assertRaisesRegex(NoResultError, "'it' .*was interrupted"):
            child.result()

    def test_of_one_that_was_not_started(self):
        with branch() as b:
            b.interrupt()
            try:
                b.add(int)
            except ThreadExit:
                pass

    def test_pickles(self):
        error = pickle.loads(pickle.dumps(NoResultError("why")))
        self.assertEqual((type(error), str(error)), (NoResultError, "why"))

    def test_free_of_cycles(self):
        class Thing:
            pass

        thing = Thing()
        seen = weakref.ref(thing)
        gc.disable()
        try:
            with branch() as b:
                child = b.add(lambda thing: thing, thing)
            del thing
            self.assertIs(child.result(), seen())
            del child, b
            until(lambda: seen() is None)  # the child's thread may be about to drop it
        finally:
            gc.enable()


class Tracebacks(unittest.TestCase):
    def test_names(self):
        """the child and the branch are in the notes, of nested ones from the inside out"""

        def middle():
            with branch("inner") as b:
                b.add(fail, A("x"), name="low")

        with self.assertRaises(A) as caught, branch("outer") as b:
            b.add(middle, name="high")
        self.assertEqual(caught.exception.__notes__, ["in child 'low' of branch 'inner'", "in child 'high' of branch 'outer'"])

    def test_of_the_body(self):
        """there is no note: its frames show where it was"""
        with self.assertRaises(A) as caught, branch():
            raise A
        self.assertFalse(hasattr(caught.exception, "__notes__"))

    def test_one_instance_of_several_children(self):
        error = A()
        with self.assertRaises(MultipleError), branch("b", strict=True, supervisor=False) as b:
            b.add(fail, error, name="twin")
        with branch("b", supervisor=True) as b:
            b.add(fail, error, name="twin")
        self.assertEqual(error.__notes__, ["in child 'twin' of branch 'b'"])

    def test_an_exception_that_takes_no_notes(self):
        class Frozen(Exception):
            def add_note(self, note):
                raise TypeError

        with self.assertRaises(Frozen), branch() as b:
            b.add(fail, Frozen())

    def raised(self, call):
        try:
            call()
        except BaseException as error:
            return error
        self.fail("nothing was raised")

    def test_no_frames_of_bough(self):
        def child():
            with branch() as b:
                b.add(fail, A())

        def one():
            with branch() as b:
                b.add(child)

        def several():
            with branch() as b:
                b.add(fail, A())
                try:
                    block()
                finally:
                    raise B

        def deadline():
            with branch(timeout=0.01) as b:
                b.add(block)

        def body():
            with branch():
                fail(A())

        def outer():
            with branch() as b, branch() as inner:
                inner.add(block)
                b.interrupt()
                bough.check_interrupt()

        def mapped():
            with branch() as b:
                b.map(fail, [A()])

        def kept():
            with branch(supervisor=True) as b:
                b.map(fail, [A()])

        def raced():
            race(lambda: fail(A()))

        def late():
            with branch() as b:
                try:
                    next(as_completed([b.add(block)], timeout=0.01))
                finally:
                    b.interrupt()

        def wrong():
            with branch() as b:
                b.add("no function")

        def no_limit():
            branch(limit=-1)

        ends = {one: "fail", several: "several", deadline: "deadline", body: "fail", mapped: "fail", kept: "fail", raced: "fail",
                late: "late", wrong: "wrong", no_limit: "no_limit"}
        for call, end in ends.items():
            with self.subTest(call.__name__):
                error = self.raised(call)
                self.assertEqual(frames(error)[-1], end)
                for inner in getattr(error, "exceptions", ()):
                    frames(inner)
        outer()

    def test_of_threads(self):
        errors = []
        hook, threading.excepthook = threading.excepthook, lambda args: errors.append(args.exc_value)
        try:
            thread = bough.Thread(target=fail, args=(A(),))
            thread.start()
            thread.join()
        finally:
            threading.excepthook = hook
        self.assertEqual(frames(errors[0])[-1], "fail")


class Reprs(unittest.TestCase):
    def test_child(self):
        gate = Gate()
        with branch(supervisor=True) as b:
            child, bad = b.add(gate.passed, name="c"), b.add(fail, A("why"), name="bad")
            self.assertEqual(repr(child), "<bough.Child 'c': running>")
            gate.open()
        self.assertEqual(repr(child), "<bough.Child 'c': ok>")
        self.assertEqual(repr(bad), "<bough.Child 'bad': error, A('why')>")
        with branch() as b:
            child = b.add(lambda: "x" * 1000, name="c")
        self.assertRegex(repr(child), r"^<bough.Child 'c': ok, 'xx*\.\.\.>$")
        with self.assertRaises(A), branch() as b:
            bad = b.add(fail, A("why"), name="bad")
        self.assertEqual(repr(bad), "<bough.Child 'bad': error, A: why>")

    def test_branch(self):
        gate = Gate()
        b = branch("b")
        self.assertEqual(repr(b), "<bough.Branch 'b': not entered>")
        with b:
            self.assertEqual(repr(b), "<bough.Branch 'b': open>")
            b.add(gate.passed)
            self.assertEqual(repr(b), "<bough.Branch 'b': open, 1 child running>")
            b.add(gate.passed)
            self.assertEqual(repr(b), "<bough.Branch 'b': open, 2 children running>")
            gate.open()
        self.assertEqual(repr(b), "<bough.Branch 'b': ended>")
        with branch("b") as b:
            b.interrupt()
            bough.check_interrupt()
        self.assertEqual(repr(b), "<bough.Branch 'b': ended, interrupted>")

    def test_others(self):
        self.assertEqual(repr(bough.critical_section()), "<bough.critical_section>")
        self.assertEqual(repr(bough.cleanup()), "<bough.cleanup>")
        self.assertEqual(repr(bough.allow_interruption), "<bough.allow_interruption>")
        self.assertEqual(repr(bough.on_interrupt(len)), "<bough.on_interrupt: <built-in function len>>")
        with branch() as b:
            b.interrupt("why")
            self.assertRegex(repr(bough.reason()), r"^bough\.Record\(kind='stop', reason='why'")
            try:
                bough.check_interrupt()
            except ThreadExit as exit:
                self.assertEqual(repr(exit), "<ThreadExit: stop, why>")
                raise


class Names(unittest.TestCase):
    def test_classes_live_in_bough(self):
        for name in bough.__all__:
            thing = getattr(bough, name)
            if isinstance(thing, type):
                where = "bough.ladder" if name in bough.ladder.__all__ else "bough"
                self.assertEqual(thing.__module__, where, name)
                self.assertIs(pickle.loads(pickle.dumps(thing)), thing)

    def test_ladder(self):
        """the ladder's names are in bough.ladder; the old names are aliases"""
        from bough import ladder
        from bough.ladder import Rung

        self.assertIs(Rung, bough.Rung)
        self.assertIs(bough.ladder, ladder)
        self.assertTrue(ladder.__all__)
        for name in ladder.__all__:
            self.assertIs(getattr(bough, name), getattr(ladder, name), name)

    def test_signatures(self):
        for thing, signature in (
            (bough.Branch.map, "(self, fn, items, /, *, limit=None)"),
            (bough.as_completed, "(children, *, timeout=None)"),
            (bough.race, "(*functions, name='race')"),
            (bough.Child.result, "(self, /)"),
            (bough.fail_after, "(seconds, *, asynchronous=False)"),
        ):
            self.assertEqual(str(inspect.signature(thing)), signature, thing)


if __name__ == "__main__":
    unittest.main()
