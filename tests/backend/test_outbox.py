"""Whatever happens in a room is told: who follows the events alone ends up with its list."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from presence.domain.data import peer_data, room_data
from presence.domain.data.room_data import Wish
from presence.domain.files import file_types, files
from presence.domain.outbox import outbox
from presence.domain.outbox.outbox import Wanted
from presence.domain.peers import moderation, peers, recovery, sessions
from presence.domain.peers.limits import Limits
from presence.domain.peers.recovery import Told
from presence.domain.peers.sessions import RestPresence, SocketPresence
from presence.domain.permissions import bans, room_patterns
from presence.domain.rooms import lists, rooms
from presence.domain.rooms.lists import Known
from presence.domain.rooms.quotas import NO_QUOTAS
from presence.errors import PresenceError
from presence.setting_values import EVENT_TYPES
from presence.storage import database
from presence.storage.models import Outbox
from tests.support.bare_domain import WORKER

HISTORIES = int(os.environ.get("PRESENCE_TEST_EXAMPLES", "4"))
STEPS = 50
NAMES = [f"p{number}" for number in range(4)]
LIMITS = Limits(max_peers=3, max_user_data_bytes=1000, max_kept_peers=5)


def want(session: Session, *types: str, of: str = "*") -> list[None]:
    """Let a session tell of events; returns a list that grows with each."""
    stirred: list[None] = []
    session.info[outbox.WANTED] = Wanted(
        frozenset(types or EVENT_TYPES),
        [room_patterns.parse(of)],
        lambda: stirred.append(None),
    )
    return stirred


def told(session: Session) -> list[dict[str, Any]]:
    """Return what was told, in the order of the rows."""
    rows = session.scalars(select(Outbox).order_by(Outbox.id)).all()
    return [
        {
            "type": row.type,
            "room": row.room_name,
            "version": row.version,
            "peer_id": row.peer_id,
            **json.loads(row.facts),
        }
        for row in rows
    ]


class Followed:
    """A room as it is by its events."""

    def __init__(self) -> None:
        self.exists = False
        self.is_empty = True
        self.version = 0
        self.active: dict[str, tuple[str, dict[str, Any]]] = {}
        self.files: set[str] = set()
        self.data: dict[str, Any] = {}

    def take(self, event: dict[str, Any]) -> None:
        assert event["version"] >= self.version, "versions never fall"
        self.version = event["version"]
        kind, peer_id = event["type"], event["peer_id"]
        assert self.exists or kind == "room_made"
        if kind == "room_made":
            assert not self.exists
            self.exists = True
            self.data = {}
        elif kind == "room_removed":
            assert not self.active
            self.exists = False
        elif kind == "room_emptied":
            assert not self.active
            assert not self.is_empty
            self.is_empty = True
        elif kind == "peer_joined":
            assert peer_id not in self.active
            self.is_empty = False
            self.active[peer_id] = (event["username"], event["user_data"])
        elif kind == "peer_updated" and peer_id in self.active:
            self.active[peer_id] = (event["username"], event["user_data"])
        elif kind == "peer_left":
            assert event["reason"] in {
                *("left", "lost", "expired", "kicked", "banned", "closed", "erased")
            }
            self.active.pop(peer_id, None)
        elif kind == "room_updated":
            assert event["changed"]
            self.data = event["room_data"]
        elif kind == "file_uploaded":
            self.files.add(event["filename"])
        elif kind == "file_deleted":
            self.files.remove(event["filename"])


class History:
    """Verbs of the domain in any order, by chance, in two rooms."""

    # Of all histories: one may go on in the rooms of another.
    numbers = itertools.count()

    session: Session

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.sids: list[str] = []

    def step(self, *wanted: str) -> None:
        """Do something, of which such events are told: all where none is named."""
        verbs: list[tuple[int, Callable[[], object]]] = [
            (6, self.join),
            (2, self.join_over_rest),
            (3, self.update),
            (2, self.update_room),
            (4, self.update_known),
            (2, self.leave),
            (2, self.lose),
            (1, self.suspend_and_expire),
            (2, self.upload),
            (1, self.delete_file),
            (1, self.erase),
            (1, self.kick),
            (1, self.ban),
            (1, self.close),
            (1, self.remove),
            (1, self.come_back),
        ]
        (verb,) = self.chance.choices([v for _, v in verbs], [weight for weight, _ in verbs])
        try:
            with database.writing() as self.session:
                if "nothing" not in wanted:
                    want(self.session, *wanted)
                verb()
        except PresenceError:
            pass

    @property
    def room(self) -> str:
        return self.chance.choice(["a", "b"])

    @property
    def peer(self) -> str:
        return self.chance.choice(NAMES)

    @property
    def data(self) -> dict[str, Any]:
        return self.chance.choice([{}, {"n": next(self.numbers)}, {"same": 1}])

    def join(self, presence: Any = None, name: str = "") -> None:
        if presence is None:
            if not self.sids or self.chance.random() < 0.7:
                self.sids.append(f"s{next(self.numbers)}")
            presence = SocketPresence(self.chance.choice(self.sids), WORKER)
        peers.join(
            self.session,
            room_name=self.room,
            peer_id=self.peer,
            username=self.chance.choice(["Ada", "Bob"]),
            new_data=self.data,
            presence=presence,
            limits=LIMITS,
        )
        if isinstance(presence, SocketPresence):
            recovery.offer(
                self.session, presence.sid, f"secret of {presence.sid}", Told(deltas=False)
            )

    def join_over_rest(self) -> None:
        self.join(RestPresence(self.chance.choice([-1, 60])))

    def update(self) -> None:
        peer_data.update(
            self.session, room_name=self.room, peer_id=self.peer, new_data=self.data, limits=LIMITS
        )

    def update_room(self) -> None:
        by = self.chance.choice([None, self.peer])
        wish = Wish(self.data, replace=self.chance.random() < 0.3)
        room_data.change(self.session, self.room, wish, LIMITS, NO_QUOTAS, by=by)

    def update_known(self) -> None:
        sid = self.chance.choice(self.sids or ["none"])
        room, peer_id = sessions.peer_of(self.session, sid)
        head = lists.head(self.session, room)
        (peer,) = [p for p in lists.changed(self.session, head.id, -1) if p.peer_id == peer_id]
        known = Known(peer, head.version - self.chance.choice([0, 0, 1]))
        wish = peer_data.Wish(sid, self.data)
        peer_data.update_of_socket(self.session, wish, known=(room, known), limits=LIMITS)

    def leave(self) -> None:
        if self.sids and self.chance.random() < 0.5:
            peers.leave_socket(self.session, self.chance.choice(self.sids))
        else:
            peers.leave(self.session, self.room, self.peer)

    def lose(self) -> None:
        sid = self.chance.choice(self.sids or ["none"])
        sessions.end_socket(self.session, sid)
        recovery.settle(self.session, sid)

    def come_back(self) -> None:
        sid = self.chance.choice(self.sids or ["none"])
        new = SocketPresence(f"s{next(self.numbers)}", WORKER)
        self.sids.append(new.sid)
        peers.resume(self.session, f"secret of {sid}", new, LIMITS)

    def suspend_and_expire(self) -> None:
        if self.sids:
            sessions.suspend(self.session, self.chance.choice(self.sids), -1)
        sessions.end_expired(self.session)

    def upload(self) -> None:
        files.attach(
            self.session,
            room_name=self.room,
            peer_id=self.peer,
            stored_name=f"{next(self.numbers):032x}.txt",
            original_name="a.txt",
            file_type=file_types.TXT,
            size=1,
            renew_seconds=60,
        )

    def delete_file(self) -> None:
        room = self.room
        owned = files.of_room(self.session, room, 100) if self.exists(room) else []
        if owned:
            files.remove(self.session, room, self.chance.choice(owned).file.stored_name)

    def erase(self) -> None:
        peers.erase(self.session, self.room, self.peer)

    def kick(self) -> None:
        moderation.kick(self.session, self.room, self.peer)

    def ban(self) -> None:
        room, peer_id = self.room, self.peer
        moderation.ban(self.session, room, peer_id, None, "")
        bans.lift(self.session, room, peer_id)

    def close(self) -> None:
        room = self.room
        moderation.close_room(self.session, room, None, "")
        bans.reopen(self.session, room)

    def remove(self) -> None:
        moderation.remove_room(self.session, self.room)

    def exists(self, room: str) -> bool:
        return room in rooms.versions(self.session, [room])


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_who_follows_the_events_knows_the_rooms(domain: None, seed: int) -> None:
    history = History(random.Random(seed))
    followed = {"a": Followed(), "b": Followed()}
    seen = 0
    for _ in range(STEPS):
        history.step()
        with database.reading() as session:
            events = told(session)
            for event in events[seen:]:
                followed[event["room"]].take(event)
            seen = len(events)
            for name, room in followed.items():
                compare(session, name, room)
    assert seen > STEPS // 4


def compare(session: Session, name: str, room: Followed) -> None:
    """Compare a room with what is known of it by its events."""
    assert room.exists == (name in rooms.versions(session, [name]))
    if not room.exists:
        assert not room.active
        return
    view = rooms.view(session, name)
    shown = {p.peer_id: (p.username, p.user_data) for p in view.peers if p.is_active}
    assert room.active == shown
    assert room.is_empty == (not shown)
    assert room.data == room_data.of(session, name).data
    assert view.version >= room.version
    # Files go with the peers that are erased, of whom it is told.
    assert {name for peer in view.peers for name in peer.files} <= room.files


def test_nothing_is_written_where_nothing_is_wanted(domain: None) -> None:
    for wanted in ("nothing", "peer_wanted"):
        history = History(random.Random(1))
        for _ in range(STEPS):
            history.step(wanted)
        with database.reading() as session:
            assert session.scalar(select(func.count()).select_from(Outbox)) == 0


def test_only_the_rooms_and_the_events_are_told_that_are_wanted(session: Session) -> None:
    stirred = want(session, "peer_joined", of="team-*")
    for room in ("team-1", "other", "team-2"):
        peers.join(
            session,
            room_name=room,
            peer_id="ada",
            username="Ada",
            new_data={},
            presence=RestPresence(60),
            limits=LIMITS,
        )
    assert [(one["type"], one["room"]) for one in told(session)] == [
        ("peer_joined", "team-1"),
        ("peer_joined", "team-2"),
    ]
    assert len(stirred) == 2


def test_nothing_of_a_peer_that_is_erased_is_told_any_more(session: Session) -> None:
    want(session)
    for peer_id in ("ada", "bob"):
        peers.join(
            session,
            room_name="r",
            peer_id=peer_id,
            username="Secret",
            new_data={"address": "Secret"},
            presence=RestPresence(60),
            limits=LIMITS,
        )
    peers.erase(session, "r", "ada")
    of_ada = [event for event in told(session) if event["peer_id"] == "ada"]
    assert [event["type"] for event in of_ada] == ["peer_joined", "peer_left"]
    assert of_ada[0]["erased"] is True
    assert "address" not in json.dumps(of_ada)
    assert [e["user_data"] for e in told(session) if e["peer_id"] == "bob"] == [
        {"address": "Secret"}
    ]


def test_the_settings_know_the_events_that_there_are() -> None:
    assert [getattr(outbox, name.upper()) for name in EVENT_TYPES] == list(EVENT_TYPES)
