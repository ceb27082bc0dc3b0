"""What a process remembers of a room is what the room showed at that version, whatever it was told.

A hypothesis state machine lets three processes write the same rooms. Each puts its own changes over
its copy at once and hears of the others' late, in any order between them, or not at all, as from
one that is frozen between its commit and its telling. `PRESENCE_TEST_EXAMPLES` is the number of
histories.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from local_cluster.private_postgresql import PrivatePostgresql
from presence.domain.data import peer_data, room_data
from presence.domain.data.peer_data import Wish
from presence.domain.peers import moderation, peers, sessions
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Updated
from presence.domain.peers.sessions import RestPresence, SocketPresence
from presence.domain.rooms import lists, rooms
from presence.domain.rooms.lists import Change
from presence.domain.rooms.quotas import NO_QUOTAS
from presence.errors import PresenceError
from presence.storage import database
from presence.storage.models import db
from presence.transport.live.room_lists import RoomLists
from presence.transport.wire import serializers
from tests.rooms.kept_lists import WORKER, make_app, read_anew, shown

EXAMPLES = int(os.environ.get("PRESENCE_TEST_EXAMPLES", "15"))
LIMITS = Limits(max_peers=4, max_user_data_bytes=1000, max_kept_peers=5)

PROCESSES = st.integers(0, 2)
ROOMS = st.sampled_from(["r", "s"])
NAMES = st.sampled_from(["a", "b", "é", "d"])
DATA = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, True, "ü", None, [1.0]]))


class Process:
    """What one process keeps, where its sockets are, and what it has not heard yet."""

    def __init__(self) -> None:
        self.lists = RoomLists()
        self.seats: dict[str, tuple[str, str]] = {}
        self.inbox: dict[int, deque[Change]] = {number: deque() for number in range(3)}


class Histories(RuleBasedStateMachine):
    """Three processes that write two rooms, of a database that `url` makes."""

    url: Callable[[], str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        url = type(self).url
        self.stack.enter_context(make_app(folder, url() if url else None).app_context())
        self.stack.callback(db.engine.dispose)
        self.processes = [Process() for _ in range(3)]
        self.sids = itertools.count(1)
        # What each room showed at each of its versions.
        self.truth: dict[tuple[str, int], dict[str, Any]] = {}

    def teardown(self) -> None:
        self.stack.close()

    def do(self, number: int, verb: Any, *args: Any, **kwargs: Any) -> Any:
        """Let a process do something; it knows at once what it changed, the others may hear."""
        done = None
        try:
            with database.writing() as session:
                done = verb(session, *args, **kwargs)
        except PresenceError:
            pass
        self.look()
        change = getattr(done, "change", None)
        if change is not None:
            self.tell(number, change)
        return done

    def look(self) -> None:
        """Note what every room shows now, which is what it showed at this version before."""
        with database.reading() as session:
            for head in lists.heads(session):
                now = read_anew(session, head.name)
                assert self.truth.setdefault((head.name, head.version), now) == now

    def tell(self, number: int, change: Change) -> None:
        """Let a process know what it has changed, and the others hear of it some time."""
        self.processes[number].lists.put(change)
        for other in {0, 1, 2} - {number}:
            self.processes[other].inbox[number].append(change)

    @rule(number=PROCESSES, room=ROOMS, name=st.none() | NAMES, data=DATA, replace=st.booleans())
    def update_room(
        self, number: int, room: str, name: str | None, data: Any, replace: bool
    ) -> None:
        wish = room_data.Wish(data, replace=replace)
        self.do(number, room_data.change, room, wish, LIMITS, NO_QUOTAS, by=name)

    @rule(number=PROCESSES, room=ROOMS, name=NAMES, data=DATA)
    def join(self, number: int, room: str, name: str, data: Any) -> None:
        sid = f"sid{next(self.sids)}"
        joined = self.do(
            number,
            peers.join,
            room_name=room,
            peer_id=name,
            username=name,
            new_data=data,
            presence=SocketPresence(sid, WORKER, is_new=True),
            limits=LIMITS,
        )
        if joined is not None:
            self.processes[number].seats[sid] = (room, name)

    @rule(number=PROCESSES, room=ROOMS, name=NAMES, seconds=st.sampled_from([-1, 60]))
    def join_over_rest(self, number: int, room: str, name: str, seconds: int) -> None:
        self.do(
            number,
            peers.join,
            room_name=room,
            peer_id=name,
            username=f"{name} over REST",
            new_data={},
            presence=RestPresence(seconds),
            limits=LIMITS,
        )

    @rule(number=PROCESSES, index=st.integers(0, 9), data=DATA, replace=st.booleans())
    def update(self, number: int, index: int, data: Any, replace: bool) -> None:
        process = self.processes[number]
        if not process.seats:
            return
        sid, seat = list(process.seats.items())[index % len(process.seats)]
        known = process.lists.known(*seat)
        updated = self.do(
            number,
            peer_data.update_of_socket,
            Wish(sid, data, replace=replace),
            known=(seat[0], known) if known else None,
            limits=LIMITS,
        )
        if updated is not None:
            stored = self.truth[updated.room_name, updated.version]["peers"]
            (own,) = [peer for peer in stored if peer["peer_id"] == updated.peer_id]
            assert own["user_data"] == updated.user_data

    @rule(number=PROCESSES, indexes=st.lists(st.integers(0, 9), min_size=2, max_size=4), data=DATA)
    def update_together(self, number: int, indexes: list[int], data: Any) -> None:
        process = self.processes[number]
        wishes = []
        for index in indexes:
            seats = list(process.seats.items())
            sid, seat = seats[index % len(seats)] if seats else ("none", ("r", "a"))
            known = process.lists.known(*seat)
            if known is not None:
                wishes.append((Wish(sid, {**data, "y": index}), seat[0], known))
        with database.writing() as session:
            outcomes = peer_data.update_of_sockets(session, wishes, LIMITS)
        done = [outcome for outcome in outcomes if isinstance(outcome, Updated)]
        assert len(outcomes) == len(wishes)
        for updated in done:
            # Each has made a version of its own of the one before it.
            before = self.truth[updated.room_name, updated.version - 1]
            own = orjson.loads(orjson.dumps(serializers.listed_peer(updated.change.peers[0])))
            peers_then = [
                own if peer["peer_id"] == updated.peer_id else peer for peer in before["peers"]
            ]
            after = {**before, "version": updated.version, "peers": peers_then}
            (was,) = [peer for peer in before["peers"] if peer["peer_id"] == updated.peer_id]
            (wish,) = [w for w, outcome in zip(wishes, outcomes, strict=True) if outcome is updated]
            assert updated.user_data == {**was["user_data"], **wish[0].new_data}
            self.truth[updated.room_name, updated.version] = after
        self.look()
        for updated in done:
            self.tell(number, updated.change)

    @rule(number=PROCESSES, index=st.integers(0, 9), leaves=st.booleans(), is_hinted=st.booleans())
    def end(self, number: int, index: int, leaves: bool, is_hinted: bool) -> None:
        process = self.processes[number]
        if not process.seats:
            return
        sid = list(process.seats)[index % len(process.seats)]
        in_room = process.seats.pop(sid)[0] if is_hinted else None
        process.seats.pop(sid, None)
        if leaves:
            self.do(number, peers.leave_socket, sid, in_room)
        else:
            self.do(number, sessions.end_socket, sid, in_room=in_room)

    @rule(number=PROCESSES, room=ROOMS, name=NAMES, how=st.sampled_from(["kick", "erase", "leave"]))
    def put_out(self, number: int, room: str, name: str, how: str) -> None:
        verbs = {"kick": moderation.kick, "erase": peers.erase, "leave": peers.leave}
        self.do(number, verbs[how], room, name)

    @rule(number=PROCESSES, room=ROOMS)
    def remove_room(self, number: int, room: str) -> None:
        self.do(number, moderation.remove_room, room)

    @rule(number=PROCESSES, of=PROCESSES, times=st.integers(1, 5), is_lost=st.booleans())
    def hear(self, number: int, of: int, times: int, is_lost: bool) -> None:
        process = self.processes[number]
        for _ in range(times):
            if process.inbox[of]:
                change = process.inbox[of].popleft()
                if not is_lost:
                    process.lists.put(change, own=False)

    @rule(number=PROCESSES, room=ROOMS)
    def read(self, number: int, room: str) -> None:
        with database.reading() as session:
            if room in rooms.versions(session, [room]):
                kept = self.processes[number].lists.read(session, room)
                assert shown(kept) == read_anew(session, room)

    @invariant()
    def every_copy_shows_what_the_room_showed_then(self) -> None:
        for process in self.processes:
            for room in ("r", "s"):
                kept = process.lists.at_least(room, 0)
                if kept is not None:
                    assert shown(kept) == self.truth[room, kept.version]

    @invariant()
    def every_peer_is_known_as_it_was_then(self) -> None:
        for process in self.processes:
            for room, name in itertools.product(("r", "s"), ("a", "b", "é", "d")):
                known = process.lists.known(room, name)
                if known is not None:
                    body = orjson.loads(orjson.dumps(serializers.listed_peer(known.peer)))
                    assert body in self.truth[room, known.version]["peers"]


def run(histories: type[Histories], examples: int) -> None:
    run_state_machine_as_test(
        histories, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )


@pytest.mark.timeout(60 + 6 * EXAMPLES)
def test_copies_show_what_was_there_whatever_was_told_late_or_not_at_all() -> None:
    run(Histories, EXAMPLES)


@pytest.mark.timeout(60 + 6 * EXAMPLES)
def test_on_postgresql_they_do_so_too(postgresql: PrivatePostgresql) -> None:
    class OnPostgresql(Histories):
        url = postgresql.new_database

    run(OnPostgresql, max(3, EXAMPLES // 5))


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with make_app(tmp_path).app_context(), database.writing() as made:
        yield made


def test_one_process_reads_nothing_that_it_wrote(session: Any) -> None:
    kept = RoomLists()
    for number in range(5):
        joined = peers.join(
            session,
            room_name="r",
            peer_id=f"p{number}",
            username="P",
            new_data={},
            presence=SocketPresence(f"sid{number}", WORKER, is_new=True),
            limits=Limits(max_peers=9, max_user_data_bytes=1000),
        )
        assert joined.change is not None
        kept.put(joined.change)
    known = kept.known("r", "p3")
    assert known is not None
    wish = Wish("sid3", {"a": 1})
    updated = peer_data.update_of_socket(session, wish, known=("r", known), limits=LIMITS)
    kept.put(updated.change)
    ended = sessions.end_socket(session, "sid2", in_room="r")
    assert ended is not None
    kept.put(ended.change)
    view = kept.at_least("r", ended.change.version)
    assert view is not None
    assert shown(view) == read_anew(session, "r")
