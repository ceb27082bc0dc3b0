"""Letting somebody in who waits in front of a room: its joining, on its behalf."""

from __future__ import annotations

from sqlalchemy.orm import Session

from presence.domain.peers import lobbies, passwords, peers
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Joined
from presence.domain.peers.sessions import RestPresence, SocketPresence


def admit(
    session: Session, room_name: str, peer_id: str, *, rest_seconds: float, limits: Limits
) -> list[tuple[str | None, Joined]]:
    """Let a peer join that waits, by every socket by which it does, or over REST for so long.

    Returns each socket, None for REST, with its joining. Raises `NotWaiting`, and what `peers.join`
    raises, `RoomFull` above all: then it goes on waiting.
    """
    joined = []
    for knock in lobbies.take(session, room_name, peer_id):
        joining = peers.join(
            session,
            room_name=room_name,
            peer_id=peer_id,
            username=knock.username,
            new_data=knock.user_data,
            presence=(
                RestPresence(rest_seconds)
                if knock.sid is None
                else SocketPresence(knock.sid, str(knock.worker_id))
            ),
            limits=limits,
            passed=passwords.UNASKED,
        )
        joined.append((knock.sid, joining))
    return joined
