"""Runs the tests of this folder, or those named (`python tests/deploy test_serve.Doctor`), and says
how long each took."""

import argparse
import pathlib
import sys
import time
import unittest

FOLDER = str(pathlib.Path(__file__).parent)


class Timed(unittest.TextTestResult):
    """One line a test, with its time."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.dots = self.showAll = False

    def startTest(self, test):
        super().startTest(test)
        self.started, self.problems = time.monotonic(), len(self.failures) + len(self.errors)

    def stopTest(self, test):
        super().stopTest(test)
        failed = len(self.failures) + len(self.errors) > self.problems
        name = test.id().removeprefix("__main__.")
        taken = time.monotonic() - self.started
        self.stream.writeln(f"{'FAILED' if failed else 'ok':6} {taken:5.1f} s  {name}")
        self.stream.flush()

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"left out: {test}: {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="a module, a class or a method")
    names = parser.parse_args().name
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names) if names else loader.discover(FOLDER)
    result = unittest.TextTestRunner(resultclass=Timed).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
