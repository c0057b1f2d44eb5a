# SPDX-License-Identifier: MIT
"""Several children: map(), as_completed() and race()."""
import concurrent.futures
import itertools
import threading
import time
import unittest

import bough
from bough import MultipleError, NoResultError, ThreadExit, as_completed, branch, race
from branching import ENOUGH, A, B, Place, block, block_and, fail
from tools import Gate, ended, started, until

limit = 120
stays = ("anon_inode:*event*",)


class Maps(unittest.TestCase):
    def test_order(self):
        def slow(n):
            time.sleep((5 - n) * 0.01)
            return n * n

        with branch() as b:
            self.assertEqual(b.map(slow, range(5)), [0, 1, 4, 9, 16])
            self.assertEqual(b.map(slow, [], limit=2), [])
            self.assertEqual(b.map(slow, iter([3]), limit=1), [9])

    def test_limit(self):
        """so many at a time; an item is taken when there is room"""
        running, most, taken, lock = 0, 0, [], threading.Lock()

        def items():
            for n in range(30):
                taken.append(n)
                yield n

        def work(n):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
                ahead = len(taken) - n
            time.sleep(0.002)
            with lock:
                running -= 1
            return ahead

        with branch() as b:
            ahead = b.map(work, items(), limit=3)
        self.assertEqual(len(ahead), 30)
        self.assertLessEqual(most, 3)
        self.assertEqual(running, 0)

    def test_endless(self):
        """with a limit, until one fails"""

        def work(n):
            if n == 20:
                raise A
            return n

        with self.assertRaises(A) as caught, branch("all") as b:
            b.map(work, itertools.count(), limit=4)
        self.assertIn("of branch 'all'", caught.exception.__notes__[0])

    def test_failure(self):
        """the others are interrupted, and the block raises it"""
        places = [Place(), Place()]

        def work(what):
            if isinstance(what, Exception):
                until(lambda: all(place.began for place in places))
                raise what
            block_and(what)

        with self.assertRaises(A), branch() as b:
            b.map(work, [*places, A()])
        self.assertTrue(all(isinstance(place.error, ThreadExit) for place in places))

    def test_of_a_supervisor(self):
        """the others go on; map() raises the first one"""
        done = []

        def work(n):
            if n == 1:
                raise A
            done.append(n)

        with branch(supervisor=True) as b:
            with self.assertRaises(A):
                b.map(work, range(4))
        self.assertEqual(sorted(done), [0, 2, 3])

    def test_interrupt(self):
        for options in {}, {"limit": 1}:
            with branch() as b:
                threading.Timer(0.05, b.interrupt).start()
                b.map(time.sleep, [ENOUGH] * 3, **options)
                self.fail("is not reached")
            self.assertTrue(b.interrupted)
        with bough.move_on_after(0.05) as scope, branch() as b:
            b.map(time.sleep, [ENOUGH] * 3)
        self.assertTrue(scope.cancelled_caught)

    def test_mistakes(self):
        with branch() as b:
            for wrong, words in (
                (lambda: b.map(abs, 5), "Branch.map() items"),
                (lambda: b.map(abs, [1], limit=0), "Branch.map() limit"),
                (lambda: b.map(abs, [1], limit="two"), "Branch.map() limit"),
                (lambda: b.map("abs", [1]), "Branch.map() fn"),
            ):
                with self.assertRaises((TypeError, ValueError)) as caught:
                    wrong()
                self.assertIn(words, str(caught.exception))


class AsCompleted(unittest.TestCase):
    def test_order(self):
        gates = [Gate() for _ in range(3)]
        with branch() as b:
            children = [b.add(lambda gate, n: gate.passed() or n, gate, n) for n, gate in enumerate(gates)]
            seen = []
            gates[1].open()
            for child in as_completed(children):
                seen.append(child.result())
                gates[[2, 0, 0][len(seen) - 1]].open()
        self.assertEqual(seen, [1, 2, 0])

    def test_of_those_that_have_ended(self):
        with branch(supervisor=True) as b, branch() as other:
            children = [b.add(fail, A()), other.add(int)]
        self.assertEqual(set(as_completed(children)), set(children))
        self.assertEqual(list(as_completed([])), [])
        self.assertEqual(len(list(as_completed(children * 2))), 2)

    def test_many_times(self):
        """each comes once, whenever it ends"""
        for _ in range(100):
            with branch() as b:
                children = [b.add(int) for _ in range(8)]
                self.assertEqual(set(as_completed(iter(children))), set(children))

    def test_timeout(self):
        with branch() as b:
            children = [b.add(block), b.add(int)]
            children[1].join()
            completed = as_completed(children, timeout=0.05)
            self.assertIs(next(completed), children[1])
            with self.assertRaisesRegex(TimeoutError, "^1 child has not ended: interrupt it"):
                next(completed)
            b.interrupt()

    def test_interrupt(self):
        """ends the wait, or the child that is waited for, whichever is first"""
        with self.assertRaises(TimeoutError), bough.fail_after(0.05), branch() as b:
            for child in as_completed([b.add(block)]):
                self.assertEqual(child.outcome, "interrupted")

    def test_mistakes(self):
        future = concurrent.futures.Future()
        for wrong, words in (
            (5, "an iterable of children"),
            ([5], "children, as Branch.add() returns them"),
            ([future], "concurrent.futures.as_completed()"),
            (future, "concurrent.futures.as_completed()"),
        ):
            with self.assertRaises(TypeError) as caught:
                as_completed(wrong)
            self.assertIn(words, str(caught.exception))
        with self.assertRaises(ValueError):
            as_completed([], timeout=-1)


class Races(unittest.TestCase):
    def test_first(self):
        place = Place()
        self.assertEqual(race(lambda: block_and(place), lambda: until(lambda: place.began) or "first"), "first")
        self.assertIsInstance(place.error, ThreadExit)
        self.assertIn("come first", place.error.record.reason)
        bough.check_interrupt()

    def test_one(self):
        self.assertEqual(race(lambda: 5), 5)
        self.assertIsNone(race(lambda: None))

    def test_one_that_fails(self):
        """is out of the race"""
        self.assertEqual(race(lambda: fail(A()), lambda: time.sleep(0.05) or "second"), "second")

    def test_all_fail(self):
        error = A()
        with self.assertRaises(A) as caught:
            race(lambda: fail(error))
        self.assertIs(caught.exception, error)
        with self.assertRaises(MultipleError) as caught:
            race(lambda: fail(A()), lambda: fail(B()), name="both")
        self.assertEqual({type(e) for e in caught.exception.exceptions}, {A, B})
        self.assertIn("2 failures in both", str(caught.exception))

    def test_all_are_interrupted(self):
        def stop():
            bough.current_child().interrupt()
            bough.check_interrupt()

        with self.assertRaisesRegex(NoResultError, "all were interrupted"):
            race(stop)

    def test_interrupt(self):
        for limit in 0.1, 1, ENOUGH:  # a longer limit, if the deadline has passed before a call began
            place = Place()
            with self.assertRaises(TimeoutError), bough.fail_after(limit):
                race(lambda: block_and(place), block)
            if place.began:
                break
        self.assertIsInstance(place.error, ThreadExit)
        thread = started(race, block)
        thread.interrupt()
        self.assertIsInstance(ended(thread), ThreadExit)

    def test_mistakes(self):
        async def coroutine():
            pass

        for call in race, lambda: race(5), lambda: race(coroutine), lambda: race([int, int]):
            with self.assertRaisesRegex(TypeError, "race()"):
                call()


if __name__ == "__main__":
    unittest.main()
