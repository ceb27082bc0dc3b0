"""The programs that a local cluster is made of: where they are, and which packages bring them.

``python -m local_cluster.programs`` says which are missing. It needs no package.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

# Where Debian keeps what only administrators call, and PostgreSQL's own programs of each version.
SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/local/sbin"
POSTGRESQL_FOLDERS = Path("/usr/lib/postgresql")


class Missing(Exception):
    """Something that is to be started is not on this machine; `remedy` says how to get it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is not on this machine; {remedy}")
        self.what, self.remedy = what, remedy


class Program(NamedTuple):
    """A program by the name that people know it by, its command, and the package of Debian."""

    name: str
    command: str
    package: str


POSTGRESQL = Program("PostgreSQL", "initdb", "postgresql")
REDIS = Program("Redis", "redis-server", "redis-server")
NGINX = Program("nginx", "nginx", "nginx-light")
CADDY = Program("Caddy", "caddy", "caddy")
HAPROXY = Program("HAProxy", "haproxy", "haproxy")
PS = Program("ps", "ps", "procps")
OF_A_CLUSTER = (POSTGRESQL, REDIS, NGINX, PS)


def find(program: Program) -> Path:
    """Return the path of a program; raises `Missing` with the package that would bring it."""
    found = (
        (_newest_postgresql() if program is POSTGRESQL else None)
        or shutil.which(program.command)
        or shutil.which(program.command, path=SYSTEM_FOLDERS)
    )
    if found is None:
        raise Missing(program.name, f"install the package {program.package}")
    return Path(found)


def exit_without() -> None:
    """End this process with a sentence if programs of a cluster are not on this machine."""
    missing = []
    for program in OF_A_CLUSTER:
        try:
            find(program)
        except Missing:
            missing.append(program)
    if missing:
        *others, last = [program.name for program in missing]
        named = f"{', '.join(others)} and {last}" if others else last
        packages = " ".join(program.package for program in missing)
        sys.exit(
            f"A cluster needs {named}, not found on this machine; "
            f"to install on Debian and Ubuntu: apt-get install {packages}"
        )


def _newest_postgresql() -> Path | None:
    # A version of which only the client is installed has a folder too.
    found = POSTGRESQL_FOLDERS.glob(f"*/bin/{POSTGRESQL.command}")
    return max(found, key=lambda path: float(path.parent.parent.name), default=None)


if __name__ == "__main__":
    exit_without()
