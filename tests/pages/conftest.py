"""A server for the pages, people who look at them in a browser, and an app without either."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from local_cluster.live_server import LiveServer
from presence.config import Settings
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A live server that the tests of the pages share."""
    live = LiveServer(tmp_path_factory.mktemp("site")).start()
    yield live
    live.kill()


@pytest.fixture
def visit(chromium: Browser, site: LiveServer) -> Generator[Visit]:
    """Open a page of the site (or of another server) as a new person, each in their own browser.

    At the end, nothing that any of them saw may have raised an error.
    """
    made: list[Visitor] = []

    def make(path: str = "/", server: LiveServer | None = None, **options: Any) -> Visitor:
        made.append(Visitor(chromium, (server or site).url, **options))
        made[-1].open(path)
        return made[-1]

    yield make
    for visitor in made:
        visitor.close()
    assert [error for visitor in made for error in visitor.errors] == []


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """The app without a server, with an empty database."""
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/presence.db", upload_dir=str(tmp_path / "up"))
    )
    return app.test_client()
