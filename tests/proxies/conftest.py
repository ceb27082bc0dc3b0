"""A server behind a proxy, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from local_cluster.live_server import LiveServer


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server behind one proxy."""
    live = LiveServer(tmp_path_factory.mktemp("behind"), PRESENCE_TRUSTED_PROXIES=1).start()
    yield live
    live.kill()
