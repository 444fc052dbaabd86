"""Runs the tests of this folder, one process a file and two at a time, or those named
(`python tests/deploy test_serve.Doctor`), and says how long each took."""

import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import time
import unittest

FOLDER = pathlib.Path(__file__).parent


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
        taken = time.monotonic() - self.started
        self.stream.writeln(f"{'FAILED' if failed else 'ok':6} {taken:5.1f} s  {test.id()}")
        self.stream.flush()

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.stream.writeln(f"left out: {test.id()}: {reason}")


def run_named(names):
    suite = unittest.TestLoader().loadTestsFromNames(names)
    return unittest.TextTestRunner(resultclass=Timed).run(suite).wasSuccessful()


def run_file(path):
    command = [sys.executable, FOLDER, path.stem]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"\n{path.name}\n{done.stdout}", end="", flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="a module, a class or a method")
    names = parser.parse_args().name
    if names:
        return 0 if run_named(names) else 1
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        succeeded = list(both.map(run_file, sorted(FOLDER.glob("test_*.py"))))
    return 0 if all(succeeded) else 1


if __name__ == "__main__":
    sys.exit(main())
