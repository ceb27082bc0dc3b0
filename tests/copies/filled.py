"""Databases with rows of every table, odd ones among them, and what they hold."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, update

from app import create_app
from presence.config import Settings
from presence.storage import database, schema
from presence.storage.copies import engines, rows
from presence.storage.models import (
    Activity,
    Ban,
    Closing,
    Event,
    EventLog,
    File,
    Occupancy,
    Outbox,
    Peer,
    PeerSession,
    Recovery,
    Room,
    Usage,
    WebhookFailure,
    WebhookQueue,
    Worker,
)
from presence.storage.tables.broadcasts import Broadcast
from presence.storage.tables.idempotency_keys import IdempotencyKey
from presence.storage.tables.revocations import Revocation
from presence.storage.tables.room_data import RoomData

# Peers of a campaign; a large one takes minutes.
PEERS = int(os.environ.get("PRESENCE_TEST_PEERS", "300"))
_THEN = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
_AT_ONCE = 5_000
# What is written in more than one way, or is longer or rarer than usual.
ODD_DATA: list[dict[str, Any]] = [
    {},
    {"": None, "null": [None, True, False, {}]},
    {"astral": "𝄞😀", "𝄞": "é vs é", "quote": "'\"\\ \n\t %s %(x)s :y"},
    {"whole": [0, -0.0, 1.0, 1e16, 1e300, 5e-324, 2**63, -(2**63), 2**64 - 1, 0.1]},
    {"z": 1, "a": {"z": 1, "b": [[[[]]]]}, "B": 2},
    {"big": ["x" * 1000] * 15},
]


def fill(url: str, peers: int = PEERS) -> None:
    """Make the tables of a database and fill them: one peer in 100 rooms, each with one file."""
    with create_app(Settings(database_url=url)).app_context():
        schema.upgrade()
        count = max(1, peers // 100)
        with database.writing() as session:
            session.execute(
                insert(Room),
                [
                    {
                        "id": n + 1,
                        "name": f"room {n} 𝄞",
                        "max_peers": 100,
                        "created_at": _THEN,
                        "version": 2**40 + n,
                        "made_by": None if n % 2 else "somebody",
                        "empty_since": None if n % 3 else _THEN,
                    }
                    for n in range(count)
                ],
            )
            for start in range(0, peers, _AT_ONCE):
                some = range(start, min(peers, start + _AT_ONCE))
                session.execute(insert(Peer), [_peer(n, count) for n in some])
                session.execute(insert(File), [_file(n) for n in some])
                session.execute(insert(Activity), [_activity(n, count) for n in some])
            session.execute(insert(Worker), [{"id": "w", "started_at": _THEN, "renewed_at": _THEN}])
            session.execute(
                insert(PeerSession),
                [
                    {"peer_row_id": 1, "sid": "s", "worker_id": "w", "started_at": _THEN},
                    {"peer_row_id": 2, "started_at": _THEN, "expires_at": _THEN},
                ],
            )
            session.execute(
                insert(Recovery).values(secret_hash="h", peer_row_id=1, sid="s", deltas=True)
            )
            one = {"room_name": "Z", "reason": "", "made_at": _THEN, "until": None}
            session.execute(insert(Closing), [one, {**one, "room_name": "a", "until": _THEN}])
            session.execute(insert(Ban), [{**one, "peer_id": p} for p in ("B", "a", "é", "𝄞")])
            taken = {"room": "a*\nB", "made_at": _THEN, "jti": None, "peer_id": "é"}
            session.execute(insert(Revocation).values(**taken))
            asked = {"caller": "c", "key_hash": "k", "fingerprint": "f", "ends_at": _THEN}
            session.execute(insert(IdempotencyKey).values(**asked, status=200, answer="e30="))
            said = {"event": "chat", "data": '["é"]', "size": 7, "at": _THEN}
            session.execute(insert(Broadcast).values(room_id=1, number=2**40, **said))
            session.execute(insert(RoomData).values(room_id=1, data='{"é":1e3}', size=10))
            session.execute(insert(Occupancy).values(room_id=1, minute=1, peak=2, last=1))
            told = {
                "uid": "ev_1",
                "type": "peer_joined",
                "at": _THEN,
                "room_name": "room 0 𝄞",
                "version": 1,
                "peer_id": "peer 0",
                "facts": '{"username": "Ada 😀"}',
            }
            session.execute(insert(Outbox).values(**told))
            session.execute(insert(Event).values(position=7, **{**told, "peer_id": None}))
            session.execute(update(EventLog).values(last_position=7, gone=3))
            waits = {"hook": "h", "room_name": "room 0 𝄞", "after": 6, "last": 7}
            session.execute(insert(WebhookQueue).values(due_at=_THEN, attempts=0, **waits))
            session.execute(insert(WebhookFailure).values(failed_at=_THEN, error="no", **waits))
            session.execute(update(Usage).values(rooms=count, file_bytes=peers))


def sums(url: str) -> dict[str, Any]:
    """Return counts and sums of every table by its name."""
    return sums_of(engines.open_database(url))


def sums_of(engine: Engine) -> dict[str, Any]:
    with engines.snapshot(engine) as connection:
        return {t.name: rows.digest(connection, t).body() for t in rows.described()}


def _peer(n: int, rooms_: int) -> dict[str, Any]:
    return {
        "id": n + 1,
        "room_id": n % rooms_ + 1,
        "peer_id": f"peer {n}",
        "username": f"Ada {n} 😀",
        "joined_at": _THEN + timedelta(microseconds=n),
        "last_seen": _THEN + timedelta(seconds=n),
        "user_data": ODD_DATA[n % len(ODD_DATA)],
        "away_reason": None if n % 2 else "left",
    }


def _file(n: int) -> dict[str, Any]:
    return {
        "peer_row_id": n + 1,
        "stored_name": f"{n:032x}.txt",
        "original_name": f"été {n}.txt",
        "content_type": "text/plain",
        "size": 1,
        "uploaded_at": _THEN,
    }


def _activity(n: int, rooms_: int) -> dict[str, Any]:
    return {
        "room_id": n % rooms_ + 1,
        "at": _THEN,
        "kind": "joined",
        "peer_id": f"peer {n}",
        "username": "Ada",
        "times": 1,
        "detail": {"n": n},
    }
