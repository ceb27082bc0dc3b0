"""A join and an upload as the domain knows them, without a server."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from presence.domain.files import file_types, files
from presence.domain.peers import peers
from presence.domain.peers.limits import Limits
from presence.domain.peers.sessions import RestPresence
from presence.domain.rooms import quotas
from presence.domain.rooms.quotas import Quotas


def join(session: Session, room: str, peer_id: str, **limits: Any) -> Any:
    return peers.join(
        session,
        room_name=room,
        peer_id=peer_id,
        username=peer_id,
        new_data={},
        presence=RestPresence(60),
        limits=Limits(max_peers=10, max_user_data_bytes=1000, **limits),
    )


def attach(session: Session, name: str, size: int, limits: Quotas = quotas.NO_QUOTAS) -> None:
    files.attach(
        session,
        room_name="r",
        peer_id="ada",
        stored_name=name,
        original_name=name,
        file_type=file_types.TXT,
        size=size,
        renew_seconds=60,
        limits=limits,
    )
