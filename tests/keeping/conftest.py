"""Uploads and joins as the tests of this folder make them, and the app over an empty database."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from presence.storage import database, schema
from tests.support.rest import Rest


class Keeper(Rest):
    """The API of one server, with uploads."""

    def __init__(self, server: LiveServer) -> None:
        super().__init__(server)
        self.server = server

    def upload(
        self,
        room: str,
        peer_id: str,
        content: bytes | int = 1000,
        name: str = "a.txt",
        *,
        file_first: bool = False,
    ) -> requests.Response:
        """Upload a file, or one of so many bytes of text."""
        data = b"x" * content if isinstance(content, int) else content
        form: list[Any] = [
            ("room_name", (None, room)),
            ("peer_id", (None, peer_id)),
            ("file", (name, data)),
        ]
        if file_first:
            form.reverse()
        return requests.post(f"{self.base}/upload", files=form, timeout=60)

    def begun(self) -> int:
        """Return a number that changes with every file whose receiving begins or ends."""
        folders = self.server.uploads.glob(".pending/*")
        return sum(folder.stat().st_mtime_ns for folder in folders)

    def leave(self, room: str, peer_id: str) -> None:
        self.post(f"/rooms/{room}/leave", params={"peer_id": peer_id})

    def peers(self, room: str) -> dict[str, bool]:
        """Return who is in a room, and whether they are active."""
        listed = self.get(f"/rooms/{room}").json()["peers"]
        return {peer["peer_id"]: peer["is_active"] for peer in listed}


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Flask]:
    """The app over an empty database, not serving."""
    url = f"sqlite:///{tmp_path}/presence.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    made = create_app(Settings(database_url=url, upload_dir=f"{tmp_path}/uploads"))
    with made.app_context():
        schema.upgrade()
    yield made
    # Else it would go on trying when the database is gone, and fill the output with that.
    windows = made.extensions["presence"].announcer._windows
    eventually(lambda: not windows, "nothing is left to be announced")


@pytest.fixture
def session(app: Flask) -> Generator[Session]:
    """A session in a write transaction."""
    with app.app_context(), database.writing() as made:
        yield made
