"""What a room notes of how many peers are active is what counting them gives, whatever happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from presence.domain.peers import moderation, peers, recovery, sessions, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.recovery import Told
from presence.domain.peers.sessions import RestPresence, SocketPresence
from presence.domain.values import clock
from presence.errors import PresenceError, RoomFull
from presence.storage import database
from presence.storage.models import Peer, PeerSession, Room
from tests.support.bare_domain import WORKER

LIMITS = Limits(max_peers=3, max_user_data_bytes=1000, max_kept_peers=5)
ROOMS = ("den", "hall")
PEERS = ("ada", "bo", "cy", "di", "ed", "flo")
SIDS = ("s1", "s2", "s3", "s4", "s5", "s6", "s7")
STEPS = 150


class _History:
    """Steps taken by chance, in rooms so small that they are often full."""

    def __init__(self, session: Session, chance: random.Random) -> None:
        self._session = session
        self._chance = chance

    def steps(self) -> list[Callable[[], object]]:
        """Return everything that begins or ends sessions."""
        session, pick = self._session, self._chance.choice
        return [
            self._join_by_socket,
            self._join_by_socket,
            self._join_by_socket,
            self._join_over_rest,
            self._resume,
            self._let_time_pass,
            lambda: sessions.end_expired(session),
            lambda: sessions.end_socket(session, pick(SIDS)),
            lambda: sessions.suspend(session, pick(SIDS), 60),
            lambda: peers.leave_socket(session, pick(SIDS)),
            lambda: peers.leave(session, pick(ROOMS), pick(PEERS)),
            lambda: peers.erase(session, pick(ROOMS), pick(PEERS)),
            lambda: moderation.ban(session, pick(ROOMS), pick(PEERS), 0.001, "a while"),
            lambda: workers.end_lost_sockets(session, WORKER, lambda sid: sid != pick(SIDS)),
        ]

    def _join_by_socket(self) -> None:
        sid = self._chance.choice(SIDS)
        self._join(SocketPresence(sid, WORKER))
        recovery.offer(self._session, sid, f"secret of {sid}", Told(deltas=False))

    def _join_over_rest(self) -> None:
        self._join(RestPresence(60))

    def _join(self, presence: sessions.Presence) -> None:
        who = self._chance.choice(PEERS)
        peers.join(
            self._session,
            room_name=self._chance.choice(ROOMS),
            peer_id=who,
            username=who,
            new_data={},
            presence=presence,
            limits=LIMITS,
        )

    def _resume(self) -> None:
        old, new = self._chance.sample(SIDS, 2)
        if not sessions.of_socket(self._session, new):
            presence = SocketPresence(new, WORKER)
            if peers.resume(self._session, f"secret of {old}", presence, LIMITS):
                recovery.offer(self._session, new, f"secret of {new}", Told(deltas=False))

    def _let_time_pass(self) -> None:
        over = clock.now() - timedelta(seconds=1)
        self._session.execute(
            update(PeerSession)
            .where(PeerSession.expires_at.is_not(None))
            .values(expires_at=over)
            .execution_options(synchronize_session=False)
        )


@pytest.mark.parametrize("seed", range(5))
def test_rooms_note_how_many_are_active(domain: None, seed: int) -> None:
    chance = random.Random(seed)
    most = refused = 0
    for _ in range(STEPS):
        try:
            with database.writing() as session:
                chance.choice(_History(session, chance).steps())()
        except RoomFull:
            refused += 1
        except PresenceError:
            pass
        with database.reading() as session:
            noted = noted_and_counted(session)
        assert all(active == counted for active, counted in noted.values())
        most = max(most, *(active for active, _ in noted.values()), 0)
    assert most == LIMITS.max_peers
    assert refused > 0


def test_nobody_is_refused_for_a_wrong_note(session: Session) -> None:
    peers.join(
        session,
        room_name="den",
        peer_id="ada",
        username="Ada",
        new_data={},
        presence=SocketPresence("s1", WORKER),
        limits=LIMITS,
    )
    session.execute(update(Room).values(active_peers=99))
    peers.join(
        session,
        room_name="den",
        peer_id="bo",
        username="Bo",
        new_data={},
        presence=SocketPresence("s2", WORKER),
        limits=LIMITS,
    )
    assert noted_and_counted(session) == {"den": (2, 2)}


def noted_and_counted(session: Session) -> dict[str, tuple[int, int]]:
    """Return how many are active in each room, as it notes and as a count gives."""
    counted = (
        select(func.count(PeerSession.peer_row_id.distinct()))
        .join(Peer, Peer.id == PeerSession.peer_row_id)
        .where(Peer.room_id == Room.id)
        .correlate(Room)
        .scalar_subquery()
    )
    rows = session.execute(select(Room.name, Room.active_peers, counted))
    return {name: (active, count) for name, active, count in rows}
