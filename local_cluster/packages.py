"""Installing the programs that are missing, by the package manager of this machine.

``python -m local_cluster.packages`` installs all that the tests use; with ``cluster`` it only says
what a cluster misses. Neither needs a Python package.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from local_cluster import programs
from local_cluster.programs import Program

# Debian asks this file whether a service may be started that has just been installed.
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


class Manager(NamedTuple):
    """A package manager: what people call to install packages, and what installs them unasked."""

    command: str
    systems: str
    install: tuple[str, ...]
    unasked: tuple[str, ...]

    def package(self, program: Program) -> str:
        """Return the package of this manager that has a program; empty if none has."""
        return {"apt-get": program.apt, "dnf": program.dnf, "brew": program.brew}[self.command]

    def line(self, missing: Sequence[Program]) -> str:
        """Return the commands by which a person installs programs, as far as there are packages."""
        names = list(dict.fromkeys(filter(None, map(self.package, missing))))
        plain = [name for name in names if not name.startswith("--")]
        calls = [" ".join(plain), *(name for name in names if name not in plain)]
        return " && ".join(f"{' '.join(self.install)} {call}" for call in calls if call)


APT = Manager(
    "apt-get",
    "Debian and Ubuntu",
    ("apt-get", "install"),
    ("apt-get", "install", "-y", "-qq", "--no-install-recommends"),
)
DNF = Manager(
    "dnf",
    "Fedora",
    ("dnf", "install"),
    ("dnf", "install", "-y", "-q", "--setopt=install_weak_deps=False"),
)
BREW = Manager("brew", "macOS", ("brew", "install"), ())
MANAGERS = (APT, DNF, BREW)


def manager() -> Manager | None:
    """Return the package manager of this machine, if it is one of those that are known."""
    return next((known for known in MANAGERS if shutil.which(known.command)), None)


def how_to_install(missing: Sequence[Program]) -> str:
    """Return the command that installs programs here, or on Debian where this machine has none."""
    found = manager() or APT
    return f"to install on {found.systems}: {found.line(missing)}"


def exit_without_a_clusters() -> None:
    """End this process with a sentence if programs of a cluster are not on this machine."""
    missing = programs.without(programs.OF_A_CLUSTER)
    if missing:
        sys.exit(
            f"A cluster needs {_listed(missing)}, not found on this machine; "
            f"{how_to_install(missing)}"
        )


def install() -> None:
    """Install every program that is missing, and name those that could not be.

    Servers that come with them are not started. Needs root, or sudo.
    """
    missing = programs.without(programs.ALL)
    if not missing:
        return
    found = manager()
    if found is None or not found.unasked:
        print(f"{_listed(missing)} not found; {how_to_install(missing)}", file=sys.stderr)
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    chosen = list(dict.fromkeys(filter(None, map(found.package, missing))))
    print(f"Installing {' '.join(chosen)} ...", file=sys.stderr, flush=True)
    with _no_services(as_root) if found is APT else contextlib.nullcontext():
        if found is APT:
            subprocess.run([*as_root, "apt-get", "update", "-qq"], check=False)
        if not _done([*as_root, *found.unasked, *chosen]):
            # One that this system does not have keeps back all others.
            for name in chosen:
                _done([*as_root, *found.unasked, name])
    if missing := programs.without(missing):
        print(
            f"{_listed(missing)} could not be installed; tests that need them are skipped.",
            file=sys.stderr,
        )


@contextlib.contextmanager
def _no_services(as_root: list[str]) -> Generator[None]:
    """Keep Debian from starting the servers that are installed meanwhile: tests run their own."""
    if _POLICY.exists():
        yield
        return
    subprocess.run(
        [*as_root, "install", "-m", "755", "/dev/stdin", _POLICY],
        input=_NO_SERVICES.encode(),
        check=True,
    )
    try:
        yield
    finally:
        subprocess.run([*as_root, "rm", "-f", _POLICY], check=False)


def _done(command: Sequence[str]) -> bool:
    unasked = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=unasked, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _listed(missing: Sequence[Program]) -> str:
    *others, last = [program.name for program in missing]
    return f"{', '.join(others)} and {last}" if others else last


if __name__ == "__main__":
    if sys.argv[1:] == ["cluster"]:
        exit_without_a_clusters()
    else:
        install()
