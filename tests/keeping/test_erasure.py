"""Erasing a peer leaves nothing of it: in no table, in no byte of the database, in no file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.keeping.conftest import Keeper

ID, NAME, DATA, FILE, BYTES = (
    "peerid8c1f42", "username5b7a90", "datavalue3e6d18", "filename9f2c67", "filebytes4a0e53",
)  # fmt: skip
MARKERS = [text.encode() for text in (ID, NAME, DATA, FILE, BYTES)]


def rows(server: LiveServer) -> str:
    """Return every row of every table as text."""
    database = sqlite3.connect(server.database)
    try:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return "\n".join(
            f"{table}: {row}"
            for (table,) in tables
            for row in database.execute(f'SELECT * FROM "{table}"')
        )
    finally:
        database.close()


def traces(server: LiveServer) -> list[str]:
    """Return which marker is in which file of the database or of the uploads."""
    files = [*server.folder.glob("presence.db*"), *server.uploads.rglob("*")]
    return [
        f"{marker.decode()} in {path.name}"
        for path in files
        if path.is_file()
        for marker in MARKERS
        if marker in path.read_bytes()
    ]


@pytest.mark.parametrize("way", ["erased", "overdue"])
def test_nothing_is_left_of_a_peer(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any], way: str
) -> None:
    over = {"PRESENCE_KEEP_INACTIVE_PEERS": "2s"} if way == "overdue" else {}
    server = new_server(PRESENCE_KEEP_BROADCASTS=100, **over)
    keeper = Keeper(server)
    eve = connect(server)
    eve.call("join_room", {"room_name": "r", "peer_id": "eve", "username": "Eve"})
    ada = connect(server)
    ada.call(
        "join_room",
        {"room_name": "r", "peer_id": ID, "username": NAME, "user_data": {"key": DATA * 100}},
    )
    for number in range(20):
        ada.call("update_user_data", {"user_data": {"key": DATA * 100, f"{DATA}{number}": number}})
    ada.call("broadcast", {"event": "chat", "data": DATA * 100, "keep": True})
    ada.call("update_room_data", {"room_data": {"topic": "weather"}})
    assert keeper.upload("r", ID, BYTES.encode() * 1000, f"{FILE}.txt").ok
    assert len(traces(server)) >= len(MARKERS), "all of it is there at first"
    if way == "overdue":
        ada.disconnect()
    else:
        ada.kill()  # what a lost connection leaves is to go too: its secret, and what waits for it
        eve.emit("signal", {"to": ID, "data": {"for": DATA}})
        assert keeper.delete(f"/rooms/r/peers/{ID}").ok
    eventually(lambda: list(keeper.peers("r")) == ["eve"], "the peer is gone", 20)
    assert not [marker for marker in MARKERS if marker.decode() in rows(server)]
    eventually(lambda: traces(server) == [], "no byte is left", 20)
    assert server.stored_files() == []
    kept = [row for row in rows(server).splitlines() if row.startswith(("recov", "sess", "peers"))]
    assert len(kept) == 3, "the row, the session and the secret of eve"
