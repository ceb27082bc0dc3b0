"""Lists that are kept and brought up to date show what one that is read anew shows, always.

A hypothesis state machine makes histories of everything that changes a room, while two processes'
lists are read now and then. `PRESENCE_TEST_EXAMPLES` is the number of histories.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete
from sqlalchemy.orm import Session

from presence.domain.data import peer_data, room_data
from presence.domain.files import file_types, files
from presence.domain.peers import peers, sessions, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.sessions import RestPresence, SocketPresence
from presence.domain.rooms import lists, rooms
from presence.domain.rooms.quotas import NO_QUOTAS
from presence.domain.values import clock
from presence.errors import PresenceError
from presence.storage import database
from presence.storage.models import Room
from presence.transport.live import room_lists
from presence.transport.live.deltas import History
from presence.transport.live.room_lists import RoomLists
from tests.rooms.kept_lists import WORKER, make_app, read_anew, shown

EXAMPLES = int(os.environ.get("PRESENCE_TEST_EXAMPLES", "25"))
LIMITS = Limits(max_peers=5, max_user_data_bytes=1000)

ROOMS = st.sampled_from(["r", "s"])
NAMES = st.sampled_from(["a", "b", "é", "d"])
SIDS = st.sampled_from(["sid1", "sid2", "sid3"])
DATA = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, True, "ü", None, [1.0]]))


class Histories(RuleBasedStateMachine):
    """Two rooms in which anything may happen, and two processes that list them."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.app = make_app(folder)
        self.stack.enter_context(self.app.app_context())
        # The first reads after every step; the second now and then, and keeps hardly anything.
        self.processes = [RoomLists(), RoomLists(max_bytes=400)]
        self.files = itertools.count(1)
        self.tags: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.stack.close()

    def do(self, what: Any, *args: Any, **kwargs: Any) -> None:
        try:
            with database.writing() as session:
                what(session, *args, **kwargs)
        except PresenceError:
            pass  # and nothing has changed

    @rule(room=ROOMS, name=NAMES, sid=SIDS, data=DATA, seconds=st.sampled_from([None, -1, 60]))
    def join(self, room: str, name: str, sid: str, data: Any, seconds: int | None) -> None:
        presence = RestPresence(seconds) if seconds else SocketPresence(sid, WORKER)
        self.do(
            peers.join,
            room_name=room,
            peer_id=name,
            username=name,
            new_data=data,
            presence=presence,
            limits=LIMITS,
        )

    @rule(room=ROOMS, name=NAMES, data=DATA, replace=st.booleans())
    def update(self, room: str, name: str, data: Any, replace: bool) -> None:
        self.do(
            peer_data.update,
            room_name=room,
            peer_id=name,
            new_data=data,
            replace=replace,
            limits=LIMITS,
        )

    @rule(room=ROOMS, name=st.none() | NAMES, data=DATA, replace=st.booleans())
    def update_room(self, room: str, name: str | None, data: Any, replace: bool) -> None:
        wish = room_data.Wish(data, replace=replace)
        self.do(room_data.change, room, wish, LIMITS, NO_QUOTAS, by=name)

    @rule(room=ROOMS, name=NAMES)
    def leave(self, room: str, name: str) -> None:
        self.do(peers.leave, room, name)

    @rule(sid=SIDS, how=st.sampled_from([peers.leave_socket, sessions.end_socket]))
    def lose(self, sid: str, how: Any) -> None:
        self.do(how, sid)

    @rule(sid=SIDS)
    def suspend(self, sid: str) -> None:
        self.do(sessions.suspend, sid, 60)

    @rule()
    def expire(self) -> None:
        self.do(sessions.end_expired)

    @rule(room=ROOMS, name=NAMES)
    def upload(self, room: str, name: str) -> None:
        self.do(
            files.attach,
            room_name=room,
            peer_id=name,
            stored_name=f"{next(self.files)}.txt",
            original_name="a.txt",
            file_type=file_types.TXT,
            size=1,
            renew_seconds=60,
        )

    @rule(room=ROOMS, number=st.integers(0, 5))
    def delete_file(self, room: str, number: int) -> None:
        with database.reading() as session:
            stored = [owned.file.stored_name for owned in files.of_room(session, room, 6)]
        if stored:
            self.do(files.remove, room, stored[number % len(stored)])

    @rule(room=ROOMS, name=NAMES)
    def erase(self, room: str, name: str) -> None:
        self.do(peers.erase, room, name)

    @rule(room=ROOMS)
    def erase_room(self, room: str) -> None:
        self.do(lambda session: session.execute(delete(Room).where(Room.name == room)))

    @rule()
    def lose_the_worker(self) -> None:
        def die_and_come_back(session: Session) -> None:
            workers.leave(session, WORKER)
            workers.register(session, WORKER, alone=False)

        self.do(die_and_come_back)

    @rule(room=ROOMS)
    def read(self, room: str) -> None:
        with database.reading() as session:
            if room in rooms.versions(session, [room]):
                assert shown(self.processes[1].read(session, room)) == read_anew(session, room)

    @rule()
    def read_all(self) -> None:
        with database.reading() as session:
            assert [shown(one) for one in self.processes[1].read_all(session)] == [
                read_anew(session, head.name) for head in lists.heads(session)
            ]

    @invariant()
    def the_busy_process_shows_what_is_stored(self) -> None:
        with database.reading() as session:
            for head in lists.heads(session):
                kept = self.processes[0].read(session, head.name)
                assert shown(kept) == read_anew(session, head.name)

    @invariant()
    def a_tag_stands_for_one_list(self) -> None:
        with database.reading() as session:
            names = [head.name for head in lists.heads(session)]
            bodies = {name: orjson.dumps(read_anew(session, name)) for name in names}
            tags = {room_lists.tag_of(session, name): body for name, body in bodies.items()}
            tags["all " + room_lists.tag_of_all(session)] = b"".join(bodies.values())
        for tag, body in tags.items():
            assert self.tags.setdefault(tag, body) == body


@pytest.mark.timeout(60 + 6 * EXAMPLES)
def test_kept_lists_show_what_is_stored_whatever_happened() -> None:
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)
    )


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with make_app(tmp_path).app_context(), database.writing() as made:
        yield made


def join(session: Session, room: str, name: str) -> None:
    peers.join(
        session,
        room_name=room,
        peer_id=name,
        username=name,
        new_data={},
        presence=RestPresence(60),
        limits=LIMITS,
    )


@pytest.mark.parametrize("over_rest", [True, False])
@pytest.mark.parametrize("has_rest", [True, False])
def test_who_comes_back_within_the_grace_is_shown_with_the_sessions_it_has(
    session: Session, has_rest: bool, over_rest: bool
) -> None:
    def come(presence: RestPresence | SocketPresence) -> None:
        peers.join(
            session,
            room_name="r",
            peer_id="a",
            username="a",
            new_data={},
            presence=presence,
            limits=LIMITS,
        )

    if has_rest:
        come(RestPresence(60))
    come(SocketPresence("sid1", WORKER))
    kept = RoomLists()
    kept.read(session, "r")
    sessions.suspend(session, "sid1", 60)
    come(RestPresence(60) if over_rest else SocketPresence("sid2", WORKER))
    assert shown(kept.read(session, "r")) == read_anew(session, "r")


def test_a_change_costs_the_reading_of_who_changed(session: Session) -> None:
    for name in ("a", "b", "c"):
        join(session, "r", name)
    kept = RoomLists()
    before = kept.read(session, "r")
    join(session, "r", "b")
    after = kept.read(session, "r")
    assert [n for n in "abc" if after.peers[n] is not before.peers[n]] == ["b"]
    assert kept.read(session, "r") is after


def test_a_deleted_file_is_gone_from_a_list_that_is_kept(session: Session) -> None:
    """Its row is gone too, so nothing but its owner's mark tells that anything changed."""
    for name in ("a", "b"):
        join(session, "r", name)
    stored_name = "0" * 32 + ".txt"
    files.attach(
        session,
        room_name="r",
        peer_id="a",
        stored_name=stored_name,
        original_name="a.txt",
        file_type=file_types.TXT,
        size=1,
        renew_seconds=60,
    )
    kept = RoomLists()
    before = kept.read(session, "r")
    assert stored_name in str(before.peers["a"])
    told = History(before)
    files.remove(session, "r", stored_name)
    after = kept.read(session, "r")
    assert stored_name not in str(after.peers["a"])
    assert after.peers["b"] is before.peers["b"]
    assert list(told.advance(after).events) == ["peer_updated"]


def test_many_rooms_are_read_at_once_and_kept(session: Session) -> None:
    names = [f"r{number:02}" for number in range(60)]
    for name in names:
        join(session, name, "a")
    kept = RoomLists()
    first = kept.read_all(session)
    assert [one.name for one in first] == names
    join(session, "r07", "b")
    second = kept.read_all(session)
    assert [one.name for one, other in zip(first, second, strict=True) if one is not other] == [
        "r07"
    ]
    assert second[7].total_peers == 2


def test_peers_that_joined_in_one_instant_are_ordered_by_id(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = clock.now()
    monkeypatch.setattr(clock, "now", lambda: instant)
    kept = RoomLists()
    for name in ("c", "a", "b"):
        join(session, "r", name)
        kept.read(session, "r")
    assert list(kept.read(session, "r").peers) == ["a", "b", "c"]
