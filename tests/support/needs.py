"""What some tests need beyond Python: skipped with a reason here, a failure on CI."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from local_cluster import programs
from tests.support.paths import ROOT

JAVASCRIPT = ROOT / "tests" / "javascript"
_INSTALL = "pip install -r requirements-dev.txt"


@contextlib.contextmanager
def met_or_skipped() -> Generator[None]:
    """Skip the test that cannot go on because something is missing."""
    try:
        yield
    except programs.Missing as missing:
        reason = f"{missing} to run this test"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason} (CI must not skip it)")
        pytest.skip(reason)


def missing(what: str, remedy: str) -> NoReturn:
    """Skip the test for want of something."""
    raise programs.Missing(what, remedy)


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test with the package that would bring it."""
    return str(programs.find(programs.Program(name, name, package)))


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's own programs, or skip the test without them."""
    return programs.find(programs.POSTGRESQL).parent


def python_package(name: str) -> Any:
    """Return a module of the heavier test tools, or skip the test if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python package {name.split('.', maxsplit=1)[0]}", f"run “{_INSTALL}”")


def axe_core() -> str:
    """Return axe-core's source, or skip the test if the npm package is missing."""
    source = JAVASCRIPT / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        missing("the npm package axe-core", "run “npm install” in tests/javascript")
    return source.read_text()


def node_with_socketio_client() -> str:
    """Return the path of Node, or skip the test if it or the official client is missing."""
    node = program("node", "nodejs")
    if not (JAVASCRIPT / "node_modules" / "socket.io-client").is_dir():
        missing("the npm package socket.io-client", "run “npm install” in tests/javascript")
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
        missing("a default route", "add one, over a veth pair if there is no network,")
