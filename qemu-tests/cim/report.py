"""How the suites tell of their tests: a failure at once, in a block of lines that each name the test.

Whoever sees only the first lines of a failure sees what was wrong, then what is known of the machine, then what was wrong again. A
suite whose time is over says so of the test that it is in.
"""

import signal
import sys
import time
import traceback
import unittest

# Of the sentence that says what was wrong.
LONGEST = 600
# How many tests are named as the slowest.
SLOWEST = 8


class Overtime(Exception):
    """The suite was told to end; what it was waiting for did not come."""


class Result(unittest.TextTestResult):
    """Tells of failures as they happen, while the machine still is as it was."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        # What is known of the machine when a test fails: a function that returns lines.
        self.evidence = list
        self.begun, self.took, self.is_overtime = 0, [], False

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        self.took.append((time.monotonic() - self.begun, test.id()))
        if self.is_overtime:
            self.stop()

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.tell(subtest, err)

    def tell(self, test, err):
        reason = f"FAILED: {sentence(err)}"
        try:
            known = self.evidence()
        except Exception as error:  # pylint: disable=broad-except
            known = [f"nothing is known of the machine: {error!r}"]
        name = getattr(test, "test_case", test).id().rpartition(".")[2]
        lines = [reason, *places(err), *known, reason]
        print("\n".join(f"{name} | {line}" for line in lines), file=self.stream)
        self.stream.flush()

    def slowest(self):
        found = sorted(self.took, reverse=True)[:SLOWEST]
        return [f"{seconds:6.1f} s  {name}" for seconds, name in found]


def sentence(err):
    """What was wrong, on one line."""
    kind, error, _ = err
    text = " ".join(f"{kind.__name__}: {error}".split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def places(err):
    """Where it was found, from the test inwards, in our own files."""
    frames = [frame for frame in traceback.extract_tb(err[2]) if "unittest" not in frame.filename]
    # The outermost and the innermost, where there are many.
    frames = frames if len(frames) < 5 else [*frames[:3], frames[-1]]
    return [f"in {frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}: {frame.line}" for frame in frames]


def run(suite, evidence=list, verbosity=1):
    """Runs a suite; returns its result, and the number of those that failed."""
    stream = unittest.runner._WritelnDecorator(sys.stdout)  # pylint: disable=protected-access
    result = Result(stream, True, verbosity)
    result.evidence = evidence

    def end(*_):
        # Only once: the evidence takes its time as well.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        result.is_overtime = True
        raise Overtime("the time of the whole suite is over")

    signal.signal(signal.SIGTERM, end)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=verbosity, resultclass=lambda *_: result)
    runner.run(suite)
    print("the slowest:", *result.slowest(), sep="\n")
    return result, len(result.failures) + len(result.errors)
