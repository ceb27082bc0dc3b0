"""A server in each way to start it, for what the servers below the app make of a request."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest

from local_cluster.live_server import LiveServer

WAYS: dict[str, dict[str, Any]] = {
    "gunicorn": {},
    "gunicorn on threads": {"mode": "threading"},
    "flask run": {"command": [sys.executable, "-m", "flask", "run"]},
    "app.py": {"command": [sys.executable, "app.py"]},
}


@pytest.fixture(params=WAYS, scope="session")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server, started in this way and waiting 2 s for what does not come."""
    folder = tmp_path_factory.mktemp("started")
    live = LiveServer(folder, **WAYS[request.param], PRESENCE_READ_SECONDS=2).start()
    yield live
    live.kill()
