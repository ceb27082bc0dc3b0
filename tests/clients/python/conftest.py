"""Fixtures of the Python client's tests: clients of both kinds, lines, and a locked server."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from . import kinds
from .kinds import KINDS, Driven
from .line import Line
from .support import LOCKED, LiveServer

NewClient = Callable[..., Driven]
NewLine = Callable[[LiveServer], Line]

# Places for two, and as many rooms as there are histories.
SMALL_ROOMS: dict[str, Any] = {"PRESENCE_MAX_PEERS": 2, "PRESENCE_MAX_ROOMS_EACH": 0}


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server that these tests share, with room for three in every room."""
    unlimited = {name: value for name, value in LOCKED.items() if name.endswith("_PER_MINUTE")}
    live = LiveServer(tmp_path_factory.mktemp("open"), PRESENCE_MAX_PEERS=3, **unlimited).start()
    yield live
    live.kill()


@pytest.fixture(scope="session")
def keeping_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server that keeps broadcasts."""
    folder = tmp_path_factory.mktemp("keeping")
    live = LiveServer(folder, PRESENCE_KEEP_BROADCASTS=2000, PRESENCE_EVENT_BURST=10_000).start()
    yield live
    live.kill()


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A locked server that these tests share, with room for two in every room."""
    live = LiveServer(tmp_path_factory.mktemp("locked"), **LOCKED, **SMALL_ROOMS).start()
    yield live
    live.kill()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which kind of client."""
    return str(request.param)


@pytest.fixture
def client(kind: str, open_server: LiveServer) -> Generator[NewClient]:
    """Make a client of the kind under test, not yet connected; closed after the test."""
    made: list[Driven] = []

    def make(peer_id: str | None = "ada", url: str = open_server.url, **options: Any) -> Driven:
        made.append(kinds.make(kind, url, peer_id=peer_id, **options))
        return made[-1]

    yield make
    for one in made:
        one.call("close")


@pytest.fixture
def line() -> Generator[NewLine]:
    """Lay a line to a server; removed after the test."""
    laid: list[Line] = []

    def lay(server: LiveServer) -> Line:
        laid.append(Line(server.port))
        return laid[-1]

    yield lay
    for one in laid:
        one.remove()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients try again sooner than they would."""
    monkeypatch.setattr("presence_client.keeper.RETRY_SECONDS", (0.02, 0.05, 0.1, 0.2))
