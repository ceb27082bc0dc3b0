"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import chromium
from tests.clients import KINDS, Client
from tests.cluster.private_postgresql import PrivatePostgresql
from tests.live_server import LiveServer

__all__ = ["chromium"]

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session", params=["eventlet", "threading"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A live server, once on eventlet and once on threads, shared by the tests of this session."""
    live = LiveServer(tmp_path_factory.mktemp(request.param), mode=request.param).start()
    yield live
    live.kill()


@pytest.fixture
def new_server(tmp_path: Path) -> Generator[Callable[..., LiveServer]]:
    """Make a server of one's own, for tests that crash it or need other settings."""
    made: list[LiveServer] = []

    def make(mode: str = "eventlet", **settings: Any) -> LiveServer:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(LiveServer(folder, mode, **settings))
        return made[-1].start()

    yield make
    for live in made:
        live.kill()


@pytest.fixture(scope="session")
def postgresql() -> Generator[PrivatePostgresql]:
    """A PostgreSQL of this session's own."""
    private = PrivatePostgresql().start()
    yield private
    private.close()


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room name that no other test uses."""
    return str(request.node.name).replace("/", "-").replace("\\", "-")[:128]


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Generator[Callable[..., Any]]:
    """Connect a stock client (``"python"`` by default) to a server; closed after the test."""
    made: list[Client] = []

    def make(
        server: LiveServer,
        kind: str = "python",
        transports: list[str] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> Any:
        made.append(KINDS[kind](server.url, transports, auth))
        return made[-1]

    yield make
    for client in made:
        client.disconnect()
