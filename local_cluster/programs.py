"""The programs that clusters and tests are made of, where they are, and what brings them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
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
    """A program by the name that people know it by, and how to come by it.

    `commands` are those that it goes by, the first that is found counts; `brings` are others of
    the same package. `apt`, `dnf` and `brew` are the packages of Debian, Fedora and Homebrew;
    without a name there is none.
    """

    name: str
    commands: tuple[str, ...]
    apt: str
    dnf: str = ""
    brew: str = ""
    brings: tuple[str, ...] = ()


POSTGRESQL = Program(
    "PostgreSQL",
    ("initdb",),
    "postgresql",
    "postgresql-server",
    "postgresql@17",
    brings=("postgres", "psql", "pg_dump", "pg_restore", "pg_ctl"),
)
REDIS = Program(
    "Redis", ("redis-server", "valkey-server"), "redis-server", "valkey-compat-redis", "redis"
)
NGINX = Program("nginx", ("nginx",), "nginx-light", "nginx", "nginx")
CADDY = Program("Caddy", ("caddy",), "caddy", "caddy", "caddy")
HAPROXY = Program("HAProxy", ("haproxy",), "haproxy", "haproxy", "haproxy")
PS = Program("ps", ("ps",), "procps", "procps-ng")
OF_A_CLUSTER = (POSTGRESQL, REDIS, NGINX, PS)
ALL = (
    *OF_A_CLUSTER,
    CADDY,
    HAPROXY,
    Program(
        "Chromium",
        (
            "chromium",
            "chromium-browser",
            "google-chrome",
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
        ),
        "chromium",
        "chromium",
        "--cask chromium",
    ),
    Program("Node", ("node", "nodejs"), "nodejs", "nodejs", "node"),
    Program("npm", ("npm",), "npm", "nodejs-npm", "node", brings=("npx",)),
    Program("coturn", ("turnserver",), "coturn", "coturn", "coturn"),
    Program("curl", ("curl",), "curl", "curl", "curl"),
    Program("OpenSSL", ("openssl",), "openssl", "openssl", "openssl"),
    Program("ip", ("ip",), "iproute2", "iproute"),
    Program("systemd-analyze", ("systemd-analyze",), "systemd", "systemd"),
    Program(
        "promtool",
        ("promtool",),
        "prometheus",
        "golang-github-prometheus",
        "prometheus",
        brings=("prometheus",),
    ),
)


def named(name: str) -> Program:
    """Return the program of this name or command; raises `KeyError` if it is none of `ALL`."""
    for program in ALL:
        if name.lower() in {program.name.lower(), *program.commands, *program.brings}:
            return program
    raise KeyError(name)


def find(program: Program) -> Path:
    """Return the path of a program; raises `Missing`."""
    found: Path | str | None = _newest_postgresql() if program is POSTGRESQL else None
    for command in program.commands:
        found = found or shutil.which(command) or shutil.which(command, path=SYSTEM_FOLDERS)
    if found is None:
        raise Missing(program.name, "script/setup installs it")
    return Path(found)


def without(programs: Iterable[Program]) -> list[Program]:
    """Return those of some programs that are not on this machine."""
    missing = []
    for program in programs:
        try:
            find(program)
        except Missing:
            missing.append(program)
    return missing


def _newest_postgresql() -> Path | None:
    # A version of which only the client is installed has a folder too.
    found = POSTGRESQL_FOLDERS.glob(f"*/bin/{POSTGRESQL.commands[0]}")
    return max(found, key=lambda path: float(path.parent.parent.name), default=None)
