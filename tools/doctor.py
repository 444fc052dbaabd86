#!/usr/bin/env python3
"""Checks that this machine has what the Makefile targets need. Prints one line for each problem,
with its remedy. Without names, it runs every check. It needs only Python."""

import argparse
import importlib.util
import pathlib
import shutil
import socket
import subprocess
import sys

MINISTACK, STAND_INS, BRIDGE = 4566, 9010, "172.17.0.1"


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


def in_use(port):
    if listens(port):
        return f"port {port} is in use: end the other `make serve` (ss -ltnp shows the process)"


def ports(_):
    return in_use(MINISTACK) or in_use(STAND_INS)


def stand_ins(_):
    if not listens(STAND_INS):
        return "the stand-ins are not running: run `make serve` in another terminal"
    if not listens(STAND_INS, BRIDGE):
        return (
            f"containers cannot reach the stand-ins at {BRIDGE}:{STAND_INS}: "
            "run `make serve` again now that Docker is up"
        )


def serve(argument):
    """Checks that `make serve` is running or that its ports are free."""
    if listens(MINISTACK) and listens(STAND_INS):
        return None
    return ports(argument)


def event(path):
    if not path:
        return "missing: expected EVENT=events/create-add-things-to-thing-group.json"
    if not pathlib.Path(path).is_file():
        return f'invalid value "{path}": expected a file, such as one of events/*.json'


CHECKS = {
    "rust": (rust, "every target"),
    "compiler": (compiler, "every target"),
    "python": (python, "every target"),
    "node": (node, "make test"),
    "docker": (docker, "make local, and the container tests of make test"),
    "busybox": (busybox, "make local where Amazon's image is not available"),
    "serve": (serve, "make serve, make local"),
    "ports": (ports, "make serve"),
    "stand-ins": (stand_ins, "make local"),
    "event": (event, "make local"),
}
ALWAYS = ["rust", "compiler", "python", "node", "docker", "busybox", "serve"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    names = ", ".join(CHECKS)
    parser.add_argument("check", nargs="*", help=f"one of {names}; event=PATH names its file")
    checks = parser.parse_args().check
    found = False
    for name in checks or ALWAYS:
        name, _, argument = name.partition("=")
        if name not in CHECKS:
            parser.error(f'invalid value "{name}": expected one of {names}')
        check, needed_by = CHECKS[name]
        problem = check(argument)
        found |= problem is not None
        if problem:
            print(f"{name}: {problem}" + ("" if checks else f" (for {needed_by})"))
        elif not checks:
            print(f"{name}: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
