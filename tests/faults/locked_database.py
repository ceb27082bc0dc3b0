"""An SQLite database that another program has locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from local_cluster.live_server import LiveServer


@contextmanager
def locked(server: LiveServer) -> Generator[None]:
    """Hold the database's write lock, as another program might."""
    connection = sqlite3.connect(server.database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()
