"""What some tests need beyond Python: where it is missing they are skipped, but fail on CI."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from local_cluster import programs
from tests.support import hiding
from tests.support.paths import ROOT

JAVASCRIPT = ROOT / "tests" / "javascript"
# What the reason of a skip begins with where something is missing.
NEEDS = "needs "
_SETUP = "script/setup installs it"


@contextlib.contextmanager
def met_or_skipped() -> Generator[None]:
    """Skip the test that cannot go on because something is missing."""
    try:
        yield
    except programs.Missing as missing:
        if os.environ.get("CI") == "true" and not hiding.is_hidden(missing.what):
            pytest.fail(f"{missing} (CI must not skip a test)")
        pytest.skip(f"{NEEDS}{missing.what}: {missing.remedy}")


def missing(what: str, remedy: str = _SETUP) -> NoReturn:
    """Skip the test for want of something."""
    raise programs.Missing(what, remedy)


def program(name: str, package: str = "") -> str:
    """Return the path of a program, or skip the test without it.

    `package` is its package of Debian where `programs.ALL` does not have it.
    """
    known = programs.Program(name, (name,), package) if package else programs.named(name)
    return str(programs.find(known))


def all_of_a_cluster() -> None:
    """Skip the test where one of the programs is missing that `script/cluster` starts."""
    for needed in programs.OF_A_CLUSTER:
        programs.find(needed)


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's own programs, or skip the test without them."""
    return programs.find(programs.POSTGRESQL).parent


def python_package(name: str) -> Any:
    """Return a module of the heavier test tools, or skip the test if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python package {name.split('.', maxsplit=1)[0]}")


def npm_package(name: str) -> Path:
    """Return the folder of an npm package of the tests, or skip the test without it."""
    folder = JAVASCRIPT / "node_modules" / name
    if not folder.is_dir():
        missing(f"the npm package {name}")
    return folder


def axe_core() -> str:
    """Return axe-core's source, or skip the test if the npm package is missing."""
    return (npm_package("axe-core") / "axe.min.js").read_text()


def node_with_socketio_client() -> str:
    """Return the path of Node, or skip the test if it or the official client is missing."""
    node = program("node")
    npm_package("socket.io-client")
    return node


def default_route() -> None:
    """Skip the test where no network interface has a default route.

    Chromium then finds no address at all to offer for a call, not even a local one.
    """
    routes = Path("/proc/net/route")
    if not routes.exists():
        return
    has_one = any(line.split()[1] == "00000000" for line in routes.read_text().splitlines()[1:])
    if not has_one:
        missing("a default route", "a veth pair is enough where there is no network")
