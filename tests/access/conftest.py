"""A locked server, and calls to it with tokens."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from local_cluster.live_server import LiveServer
from tests.support.keys import LOCKED


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A locked server that the tests of access share."""
    live = LiveServer(tmp_path_factory.mktemp("locked"), **LOCKED).start()
    yield live
    live.kill()
