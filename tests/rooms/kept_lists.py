"""Lists of rooms as tests of the domain compare them: kept, and read anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from presence.config import Settings
from presence.domain.data import room_data
from presence.domain.peers import workers
from presence.domain.rooms import rooms
from presence.storage import database, schema
from presence.transport.wire import room_list, serializers
from presence.transport.wire.room_list import RoomList

WORKER = "w" * 32


def make_app(folder: Path, url: str | None = None) -> Flask:
    """An app over an empty database with one worker, not serving."""
    url = url or f"sqlite:///{folder}/test.db"
    app = create_app(Settings(database_url=url, upload_dir=str(folder / "uploads")))
    with app.app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, WORKER, alone=True)
    return app


def read_anew(session: Session, room_name: str) -> dict[str, Any]:
    """What a room shows, read with every value parsed and nothing kept."""
    view, kept = rooms.view(session, room_name), room_data.of(session, room_name)
    body: dict[str, Any] = orjson.loads(
        orjson.dumps(
            {
                "room_name": view.name,
                "active_peers": view.active_peers,
                "total_peers": len(view.peers),
                "max_peers": view.max_peers,
                "version": view.version,
                "peers": [serializers.peer(peer) for peer in view.peers],
                **({"room_data": kept.data} if kept.version else {}),
            }
        )
    )
    return body


def shown(kept: RoomList) -> dict[str, Any]:
    """What a list that is kept shows; what it knows of itself has to be so."""
    body: dict[str, Any] = orjson.loads(orjson.dumps(room_list.peer_list(kept)))
    assert list(kept.peers) == [peer["peer_id"] for peer in body["peers"]]
    assert kept.size == sum(map(len, kept.peers.values())) + len(kept.data or "")
    return body
