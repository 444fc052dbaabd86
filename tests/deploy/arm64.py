"""The package for arm64, as a release has it (`make arm-test`). On another architecture it runs on
Debian's qemu-user, with the C library of libc6-arm64-cross.

`make deploy-tests` does not run this file: the package is a build of minutes.
"""

import os
import pathlib
import platform
import re
import shlex
import shutil
import sys
import tempfile
import unittest
import zipfile

from support import ROOT, check_samples, run

BINARY = ROOT / "target" / "lambda-arm64" / "bootstrap" / "bootstrap"
NEWEST_GLIBC = (2, 34)  # of provided.al2023
AARCH64 = 183  # in the header of an ELF file
IS_NATIVE = platform.machine() == "aarch64"
HOMES = ["CARGO_HOME", "RUSTUP_HOME"]
QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


class Arm64(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not IS_NATIVE and not shutil.which(QEMU[0]):
            raise RuntimeError(f"no {QEMU[0]}: apt-get install qemu-user libc6-arm64-cross")
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        release = [sys.executable, ROOT / "tools" / "release.py", "--out", cls.folder / "dist"]
        homes = {name: os.environ[name] for name in HOMES if name in os.environ}
        run([*release, f"arm64={BINARY}"], environment=homes)
        [cls.archive] = (cls.folder / "dist").glob("*-arm64.zip")
        with zipfile.ZipFile(cls.archive) as archive:
            archive.extract("bootstrap", cls.folder)
        cls.bootstrap = cls.folder / "bootstrap"
        cls.bootstrap.chmod(0o755)

    def test_the_release_holds_a_binary_for_arm64(self):
        header = self.bootstrap.read_bytes()[:20]
        self.assertEqual(header[:4], b"\x7fELF")
        self.assertEqual(int.from_bytes(header[18:20], "little"), AARCH64)

    def test_it_runs_on_the_glibc_of_the_runtime(self):
        symbols = re.findall(rb"GLIBC_(\d+)\.(\d+)", self.bootstrap.read_bytes())
        needed = max((int(major), int(minor)) for major, minor in symbols)
        self.assertLessEqual(needed, NEWEST_GLIBC)

    def test_it_handles_every_sample_in_the_runtime_interface_emulator(self):
        program = self.bootstrap
        if not IS_NATIVE:
            program = self.folder / "run-bootstrap"
            command = shlex.join([*QEMU, str(self.bootstrap)])
            program.write_text(f"#!/bin/sh\nexec {command}\n")
            program.chmod(0o755)
        check_samples(self, program)


if __name__ == "__main__":
    unittest.main()
