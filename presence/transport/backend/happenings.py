"""What happens without a change of any room, and is told to backends that want to know it."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson
from sqlalchemy.orm import Session

from presence.domain.outbox import outbox
from presence.domain.rooms.broadcasts import Kept
from presence.domain.values import clock
from presence.storage import database
from presence.storage.maintenance import ReadOnly
from presence.transport.live.switchboard import Seat
from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

# A call is an offer and a dozen candidates: for so many seconds they count as one.
_SAME_SECONDS = 10.0
_MOST_KNOWN = 10_000


class WantedPeers:
    """Remembers who wanted whom just now, so that backends are told once."""

    def __init__(self, run: Runtime) -> None:
        self._run = run
        self._told: dict[tuple[str, str, str], float] = {}

    def note(self, sender: Seat, peer_id: str, kind: str | None) -> None:
        """Tell backends that a signal of some type was for a peer that is away."""
        wanted = self._run.wanted
        if wanted is None or not wanted.includes(outbox.PEER_WANTED, sender.room_name):
            return
        key, now = (sender.room_name, sender.peer_id, peer_id), time.monotonic()
        if now - self._told.get(key, -_SAME_SECONDS) < _SAME_SECONDS:
            return
        if len(self._told) >= _MOST_KNOWN:
            self._told = {k: at for k, at in self._told.items() if now - at < _SAME_SECONDS}
        self._told[key] = now
        facts = {"from": sender.peer_id, "signal_type": kind}
        try:
            _tell(self._run, outbox.PEER_WANTED, sender.room_name, peer_id, facts)
        except ReadOnly:
            self._told.pop(key, None)
        except Exception:
            # The sender is told that the peer is away in any case.
            self._told.pop(key, None)
            log.exception("backends could not be told that peer %r is wanted", peer_id)


def broadcast(run: Runtime, sender: Seat, event: str, data: Any) -> None:
    """Tell backends of a broadcast, if they want to know of any."""
    wanted = run.wanted
    if wanted is not None and wanted.includes(outbox.BROADCAST_SENT, sender.room_name):
        facts = {"event": event, "data": data}
        _tell(run, outbox.BROADCAST_SENT, sender.room_name, sender.peer_id, facts)


def published(run: Runtime, room_name: str, name: str | None, event: str, data: Any) -> None:
    """Tell backends of a broadcast in the server's name, if they want to know of any."""
    wanted = run.wanted
    if wanted is not None and wanted.includes(outbox.BROADCAST_SENT, room_name):
        facts = {"from_server": True, "username": name or "", "event": event, "data": data}
        _tell(run, outbox.BROADCAST_SENT, room_name, None, facts)


def kept(run: Runtime, session: Session, room_name: str, said: Kept) -> None:
    """Tell backends of a broadcast that a transaction keeps, if they want to know of any."""
    wanted = run.wanted
    if wanted is None or not wanted.includes(outbox.BROADCAST_SENT, room_name):
        return
    facts: dict[str, Any] = {"event": said.event, "data": orjson.loads(said.data)}
    if said.peer_id is None:
        facts = {"from_server": True, "username": said.name or "", **facts}
    outbox.tell_alone(
        session,
        outbox.BROADCAST_SENT,
        room_name=room_name,
        at=said.at,
        peer_id=said.peer_id,
        facts=facts,
    )


def _tell(
    run: Runtime, kind: str, room_name: str, peer_id: str | None, facts: dict[str, Any]
) -> None:
    with run.app.app_context(), database.writing() as session:
        outbox.tell_alone(
            session, kind, room_name=room_name, at=clock.now(), peer_id=peer_id, facts=facts
        )
