"""Runs the tests of this folder, a process for each file and three at a time, or only those named
(`python tests/deploy test_serve.Doctor`), and prints how long each takes."""

import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import time
import unittest

FOLDER = pathlib.Path(__file__).parent


class Timed(unittest.TextTestResult):
    """Prints one line for each test, with its duration."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.dots = self.showAll = False

    def startTest(self, test):
        super().startTest(test)
        self.started, self.outcome = time.monotonic(), "ok"

    def stopTest(self, test):
        super().stopTest(test)
        taken = time.monotonic() - self.started
        self.stream.writeln(f"{self.outcome:6} {taken:5.1f} s  {test.id()}")
        self.stream.flush()

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.outcome = "FAILED"

    def addError(self, test, error):
        super().addError(test, error)
        self.outcome = "FAILED"

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.outcome = "FAILED"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome = "-"
        self.stream.writeln(f"skipped: {test.id()}: {reason}")


def run_named(names):
    suite = unittest.TestLoader().loadTestsFromNames(names)
    return unittest.TextTestRunner(resultclass=Timed).run(suite).wasSuccessful()


def processes():
    """Returns the modules that each process runs: one, but all of `test_ministack_*` together, so
    that they start MiniStack and deploy to it once."""
    modules = sorted(path.stem for path in FOLDER.glob("test_*.py"))
    shared = [module for module in modules if module.startswith("test_ministack_")]
    return [shared, *([module] for module in modules if module not in shared)]


def run_process(modules):
    """Prints what the process printed, or returns it if a test failed: then it is printed last."""
    command = [sys.executable, FOLDER, *modules]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = f"\n{', '.join(modules)}\n{done.stdout}"
    if done.returncode:
        print(f"\n{', '.join(modules)}\nFAILED: the output is at the end", flush=True)
        return output
    print(output, end="", flush=True)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", help="a module, a class or a method")
    names = parser.parse_args().name
    if names:
        return 0 if run_named(names) else 1
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        failed = [output for output in pool.map(run_process, processes()) if output]
    print(*failed, sep="", end="", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
