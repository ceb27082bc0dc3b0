"""Fixtures of the cluster tests: clusters that a test may break."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from local_cluster.private_cluster import NewCluster, PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql


@pytest.fixture
def new_cluster(postgresql: PrivatePostgresql) -> Generator[NewCluster]:
    """Make a cluster of one's own, for tests that break it."""
    made: list[PrivateCluster] = []

    def make(workers: int = 2, **settings: Any) -> PrivateCluster:
        made.append(PrivateCluster(postgresql, workers, **settings))
        return made[-1].start()

    yield make
    for cluster in made:
        cluster.close()
