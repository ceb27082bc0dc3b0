"""A locked server, and calls to it with tokens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from local_cluster.live_server import LiveServer
from tests.support.keys import LOCKED
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A locked server that the tests of access share."""
    live = LiveServer(tmp_path_factory.mktemp("locked"), **LOCKED).start()
    yield live
    live.kill()


@pytest.fixture
def visit(chromium: Browser, locked: LiveServer) -> Generator[Visit]:
    """Open a page of the locked server as a new person; nothing may have raised an error."""
    made: list[Visitor] = []

    def make(path: str, **options: Any) -> Visitor:
        made.append(Visitor(chromium, locked.url, **options))
        made[-1].open(path)
        return made[-1]

    yield make
    for visitor in made:
        visitor.close()
    assert [error for visitor in made for error in visitor.errors] == []
