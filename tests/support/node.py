"""Programs for Node that use the JavaScript client, and what they report."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import needs


def report_of(*arguments: str, cwd: Path = needs.JAVASCRIPT, seconds: float = 100) -> Any:
    """Run a program with Node until it ends by itself, and return the JSON that it printed."""
    run = subprocess.run(
        [needs.node_with_socketio_client(), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    return json.loads(run.stdout)


@contextmanager
def running(*arguments: str) -> Generator[subprocess.Popen[str]]:
    """Run a program with Node that a test talks with, line by line; ends it in any case."""
    command = [needs.node_with_socketio_client(), *arguments]
    with subprocess.Popen(
        command, cwd=needs.JAVASCRIPT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        try:
            yield node
        finally:
            node.kill()
