#!/usr/bin/env python3
"""Checks that this machine has what the Makefile targets need. Without names, it prints every
check under the targets that need it, and fails only if a required one fails. With names, it prints
one line for each problem, with its remedy. It needs only Python."""

import argparse
import importlib.util
import os
import pathlib
import platform
import shutil
import socket
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / ".aws-sam" / "build" / "Function" / "bootstrap"
MINISTACK, STAND_INS, BRIDGE = 4566, 9010, "172.17.0.1"
# The machine in the header of an ELF file, by the names of Lambda.
MACHINES = {62: "x86_64", 183: "arm64"}
LISTENING = "0A"  # a state in /proc/net/tcp


def has(command):
    return shutil.which(command) is not None


def listens(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def rust(_):
    if not has("cargo"):
        return "no cargo: install Rust with rustup (https://rustup.rs)"


def compiler(_):
    if not has("cc"):
        return "no C compiler: apt-get install gcc libc6-dev"


def python(_):
    if sys.version_info < (3, 11):
        return f"Python is {sys.version.split()[0]}: install 3.11 or later, and give PYTHON=..."
    if not importlib.util.find_spec("ensurepip"):
        return "Python cannot create virtual environments: apt-get install python3-venv"


def linux(_):
    if platform.system() != "Linux":
        return f"this is {platform.system()}: use Linux, in a virtual machine or a container"


def node(_):
    if not (has("node") and has("npm")):
        return "no Node or no npm: apt-get install nodejs npm"


def docker(_):
    if not has("docker"):
        return "no Docker: apt-get install docker.io"
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return "the Docker engine does not respond: systemctl start docker (or: dockerd &)"


def busybox(_):
    if not has("busybox"):
        return "no busybox: apt-get install busybox-static"


def valgrind(_):
    if not has("valgrind"):
        return "no valgrind: apt-get install valgrind"


def nightly(_):
    version = ["cargo", "+nightly", "--version"]
    if not has("cargo") or subprocess.run(version, capture_output=True).returncode != 0:
        return "no nightly toolchain: rustup toolchain install nightly --profile minimal"


def listener(port):
    """Returns the id and the command of the process that listens on a port, if they are known."""
    inodes = set()
    for table in ["/proc/net/tcp", "/proc/net/tcp6"]:
        try:
            rows = [line.split() for line in pathlib.Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        inodes |= {
            f"socket:[{row[9]}]"
            for row in rows
            if row[3] == LISTENING and int(row[1].rsplit(":", 1)[1], 16) == port
        }
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            opened = {os.readlink(file) for file in (process / "fd").iterdir()}
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:  # another user's process, or one that has ended
            continue
        if opened & inodes:
            return process.name, command
    return None


def in_use(port, option):
    """Returns which process uses a port, and what to do; the option chooses another."""
    if not listens(port):
        return None
    remedy = f"end it, or choose another port (make serve {option}={port + 1})"
    if found := listener(port):
        return f"port {port} is in use by process {found[0]}, {found[1][:60]}: {remedy}"
    return f"port {port} is in use by another user's process (sudo ss -ltnp names it): {remedy}"


def ports(argument):
    """Checks that the ports of `make serve` are free; the argument is both, if they are chosen."""
    chosen = map(int, argument.split(",")) if argument else [MINISTACK, STAND_INS]
    return next(filter(None, map(in_use, chosen, ["PORT", "STAND_INS_PORT"])), None)


def stand_ins(argument):
    port = int(argument or STAND_INS)
    if not listens(port):
        return "the stand-ins are not running: run `make serve` in another terminal"
    if not listens(port, BRIDGE):
        return (
            f"containers cannot reach the stand-ins at {BRIDGE}:{port}: "
            "run `make serve` again now that Docker is up"
        )


def serve(argument):
    """Checks that `make serve` is running or that its ports are free."""
    if listens(MINISTACK) and listens(STAND_INS):
        return None
    return ports(argument)


def architecture():
    """Returns the architecture of this machine, by Lambda's name."""
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def machine(binary):
    """Returns the architecture of an ELF file, by Lambda's name."""
    header = binary.read_bytes()[:20]
    if len(header) < 20 or not header.startswith(b"\x7fELF"):
        return "no ELF file"
    [number] = struct.unpack_from("<H", header, 18)
    return MACHINES.get(number, f"ELF machine {number}")


def package(argument):
    """Checks that this machine can run the package, whose path the argument can be."""
    binary = pathlib.Path(argument or PACKAGE)
    if not binary.is_file():
        return "no package: run `make package`"
    built, here = machine(binary), architecture()
    if built != here:
        return f"the package is for {built}, and this machine is {here}: run `make package`"


def event(path):
    if not path:
        return "missing: expected EVENT=events/create-add-things-to-thing-group.json"
    if not pathlib.Path(path).is_file():
        return f'invalid value "{path}": expected a file, such as one of events/*.json'


CHECKS = {
    "rust": rust,
    "compiler": compiler,
    "python": python,
    "linux": linux,
    "node": node,
    "docker": docker,
    "busybox": busybox,
    "valgrind": valgrind,
    "nightly": nightly,
    "serve": serve,
    "ports": ports,
    "package": package,
    "stand-ins": stand_ins,
    "event": event,
}
REQUIRED = {
    "make run, make package, sam build": ["rust", "compiler", "python"],
    "make serve, besides these": ["linux", "serve"],
    "make test, besides these": ["node"],
}
# What is left out without each.
OPTIONAL = {
    "docker": "make local does not work, and make test skips the tests in a container",
    "busybox": "make local needs Amazon's base image, which has to be pulled",
    "valgrind": "make bench, make measure and make guard do not work",
    "nightly": "make fuzz does not work",
}


def report(name):
    """Prints a check and its result; returns its problem."""
    problem = CHECKS[name]("")
    print(f"  {name:<9} {problem or 'ok'}")
    return problem


def report_all():
    """Runs every check; returns whether a required one has failed."""
    failed = False
    for targets, names in REQUIRED.items():
        print(f"Required by {targets}:")
        failed |= any([report(name) for name in names])
    print("Optional:")
    for name, left_out in OPTIONAL.items():
        if report(name):
            print(f"  {'':<9} without it, {left_out}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    names = ", ".join(CHECKS)
    parser.add_argument("check", nargs="*", help=f"one of {names}; event=PATH names its file")
    checks = parser.parse_args().check
    if not checks:
        return 1 if report_all() else 0
    found = False
    for name in checks:
        name, _, argument = name.partition("=")
        if name not in CHECKS:
            parser.error(f'invalid value "{name}": expected one of {names}')
        problem = CHECKS[name](argument)
        found |= problem is not None
        if problem:
            print(f"{name}: {problem}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
