"""The app and its database without a server, for tests of the domain."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from local_cluster.private_postgresql import PrivatePostgresql
from presence.config import Settings
from presence.domain.peers import workers
from presence.storage import database, schema

# Who holds the sockets of the tests' peers.
WORKER = "w" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    """The app over an empty database of each kind, not serving."""
    url = f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        postgresql: PrivatePostgresql = request.getfixturevalue("postgresql")
        url = postgresql.new_database()
    return create_app(Settings(database_url=url, upload_dir=str(tmp_path / "uploads")))


@pytest.fixture
def domain(app: Flask) -> Generator[None]:
    """The app's context, with one worker registered, for transactions of one's own."""
    with app.app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, WORKER, alone=True)
        yield


@pytest.fixture
def session(domain: None) -> Generator[Session]:
    """A session in a write transaction, with one worker registered."""
    with database.writing() as made:
        yield made
