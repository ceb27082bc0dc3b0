"""What some tests need beyond Python: skipped with a reason here, a failure on CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

JAVASCRIPT = Path(__file__).parent / "javascript"


def _missing(what: str, remedy: str) -> None:
    reason = f"{what} is not on this machine; {remedy} to run this test"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI must not skip it)")
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test with the package that would bring it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        _missing(name, f"install the package {package}")
    return str(path)


def node_with_socketio_client() -> str:
    """Return the path of Node, or skip the test if it or the official client is missing."""
    node = program("node", "nodejs")
    if not (JAVASCRIPT / "node_modules" / "socket.io-client").is_dir():
        _missing("the npm package socket.io-client", "run “npm install” in tests/javascript")
    return node
