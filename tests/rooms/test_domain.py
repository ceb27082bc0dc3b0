"""The domain's rules, as plain functions over a database in a temporary folder."""

from __future__ import annotations

import io
import math
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from presence.config import InvalidSetting, Settings
from presence.domain.data import peer_data
from presence.domain.data.peer_data import Wish
from presence.domain.files import file_types, files, word_documents
from presence.domain.peers import peers, sessions, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.results import Updated
from presence.domain.peers.sessions import Presence, RestPresence, SocketPresence
from presence.domain.rooms import lists, overview, rooms
from presence.domain.rooms.lists import Known
from presence.domain.values import clock, json_values, names, user_data
from presence.errors import (
    FileTooComplex,
    InvalidField,
    PeerNotFound,
    RoomFull,
    RoomNotFound,
    UploadedFileNotFound,
    UserDataTooLarge,
)
from presence.storage import database, schema
from presence.storage.models import Peer, PeerSession, Room, Worker
from presence.transport.wire import serializers
from tests.support.bare_domain import WORKER

LIMITS = Limits(max_peers=2, max_user_data_bytes=1000)


def join(session: Session, room: str, peer_id: str, presence: Presence | str, **data: Any) -> Any:
    if isinstance(presence, str):
        presence = SocketPresence(presence, WORKER)
    return peers.join(
        session,
        room_name=room,
        peer_id=peer_id,
        username=peer_id.title(),
        new_data=data,
        presence=presence,
        limits=LIMITS,
    )


def activity(session: Session, room: str) -> dict[str, bool]:
    return {peer.peer_id: peer.is_active for peer in rooms.view(session, room).peers}


def test_a_peer_is_active_while_it_has_a_session(session: Session) -> None:
    join(session, "r", "a", "sid1")
    join(session, "r", "a", "sid2")
    sessions.end_socket(session, "sid1")
    assert activity(session, "r") == {"a": True}
    sessions.end_socket(session, "sid2")
    assert activity(session, "r") == {"a": False}


def test_a_late_disconnect_ends_only_its_own_session(session: Session) -> None:
    join(session, "r", "a", "old")
    join(session, "r", "a", "new")
    assert sessions.end_socket(session, "old") is not None
    assert sessions.end_socket(session, "old") is None
    assert activity(session, "r") == {"a": True}


def test_every_change_raises_the_version_by_one(session: Session) -> None:
    versions = [join(session, "r", "a", "sid").version]
    versions.append(
        peer_data.update(
            session, room_name="r", peer_id="a", new_data={"x": 1}, limits=LIMITS
        ).version
    )
    versions.append(peers.leave_socket(session, "sid").version)
    versions.append(join(session, "r", "a", "sid").version)
    sessions.end_socket(session, "sid")
    versions.append(rooms.view(session, "r").version)
    versions.append(peers.erase(session, "r", "a").version)
    assert versions == [1, 2, 3, 4, 5, 6]


def test_several_updates_in_one_step_are_what_each_alone_would_have_been(app: Flask) -> None:
    with app.app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, WORKER, alone=True)
            for room, peer_id in (("r", "a"), ("r", "b"), ("s", "c"), ("é", "a"), ("é", "gone")):
                join(session, room, peer_id, f"{room}-{peer_id}", kept=1)
        with database.writing() as session:
            knowns = {
                (room, peer.peer_id): Known(peer, rooms.view(session, room).version)
                for room in ("r", "s", "é")
                for peer in lists.changed(session, rooms.identify(session, room)[0], -1)
            }
            sessions.end_socket(session, "é-gone")
        with database.writing() as session:
            peer_data.update(session, room_name="s", peer_id="c", new_data={"x": 0}, limits=LIMITS)

        def wish(room: str, peer_id: str, **data: Any) -> tuple[Wish, str, Known]:
            return Wish(f"{room}-{peer_id}", data), room, knowns[room, peer_id]

        wishes = [
            wish("r", "b", x="é"),
            wish("é", "a", x=1),
            wish("s", "c", x=1),  # it has changed since
            wish("r", "a", x="y" * 1000),  # more than it may keep
            wish("é", "gone", x=1),  # its socket stands for nobody any more
            wish("r", "a", x=1),
            wish("r", "b", x=2),  # is in this step already
            (Wish("r-a", {"x": 1}), "nowhere", knowns["r", "a"]),
        ]
        with database.writing() as session:
            outcomes = peer_data.update_of_sockets(session, wishes, LIMITS)
        kinds = [type(outcome) for outcome in outcomes]
        nothing = type(None)
        assert kinds == [
            *(Updated, Updated, nothing, UserDataTooLarge, nothing, nothing, nothing, nothing)
        ]
        first, second = outcomes[:2]
        assert isinstance(first, Updated)
        assert isinstance(second, Updated)
        assert (first.version, first.user_data) == (3, {"kept": 1, "x": "é"})
        assert second.user_data == {"kept": 1, "x": 1}
        with database.reading() as session:
            stored = {
                (room, peer.peer_id): (peer.user_data, peer.changed_version)
                for room in ("r", "s", "é")
                for peer in rooms.view(session, room).peers
            }
            assert rooms.view(session, "r").version == 3
        assert stored["r", "b"] == ({"kept": 1, "x": "é"}, 3)
        assert stored["s", "c"] == ({"kept": 1, "x": 0}, 2)
        assert stored["r", "a"][0] == stored["é", "gone"][0] == {"kept": 1}


def test_a_full_room_counts_active_peers_only(session: Session) -> None:
    join(session, "r", "a", "sid1")
    join(session, "r", "b", "sid2")
    with pytest.raises(RoomFull):
        join(session, "r", "c", "sid3")
    sessions.end_socket(session, "sid1")
    join(session, "r", "c", "sid3")
    with pytest.raises(RoomFull):
        join(session, "r", "a", "sid4")


def test_a_rest_session_that_is_over_frees_its_place_before_it_is_swept_up(
    session: Session,
) -> None:
    join(session, "r", "a", RestPresence(seconds=-1))
    join(session, "r", "b", RestPresence(seconds=60))
    join(session, "r", "c", "sid")
    assert activity(session, "r") == {"a": False, "b": True, "c": True}


def test_expired_rest_sessions_are_ended_once(session: Session) -> None:
    join(session, "r", "a", RestPresence(seconds=-1))
    join(session, "s", "b", RestPresence(seconds=60))
    assert sessions.any_expired(session)
    assert sessions.end_expired(session) == {"r"}
    assert sessions.end_expired(session) == set()
    assert not sessions.any_expired(session)


def test_a_dead_workers_sessions_end_when_its_lease_runs_out(session: Session) -> None:
    join(session, "r", "a", "sid")
    assert workers.end_dead(session) == set()
    assert workers.living(session) == {WORKER}
    last_alive = clock.now() - workers.LEASE - timedelta(seconds=1)
    session.execute(update(Worker).values(renewed_at=last_alive))
    session.execute(update(Peer).values(last_seen=last_alive - timedelta(hours=1)))
    assert workers.any_dead(session)
    assert workers.end_dead(session) == {"r"}
    peer = rooms.view(session, "r").peers[0]
    assert not peer.is_active
    assert peer.last_seen == last_alive, "as long as its worker was known to live"
    assert not workers.renew(session, WORKER)


def test_a_lease_is_counted_on_the_databases_clock(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(session, "r", "a", "sid")
    a_fast_clock = clock.now() + workers.LEASE * 10
    monkeypatch.setattr("presence.domain.values.clock.now", lambda: a_fast_clock)
    assert not workers.any_dead(session)
    assert workers.end_dead(session) == set()
    assert workers.living(session) == {WORKER}


def test_a_renewed_worker_keeps_its_sessions(session: Session) -> None:
    join(session, "r", "a", "sid")
    session.execute(update(Worker).values(renewed_at=clock.now() - workers.LEASE * 2))
    assert workers.renew(session, WORKER)
    assert workers.end_dead(session) == set()


def test_a_worker_alone_on_its_database_ends_everything_left_over(session: Session) -> None:
    join(session, "r", "a", "sid")
    join(session, "r", "b", RestPresence(60))
    assert workers.register(session, "x" * 32, alone=True) == {"r"}
    assert activity(session, "r") == {"a": False, "b": False}
    assert list(session.scalars(select(Worker.id))) == ["x" * 32]


def test_a_worker_among_others_leaves_the_living_alone(session: Session) -> None:
    join(session, "r", "a", "sid")
    assert workers.register(session, "x" * 32, alone=False) == set()
    assert activity(session, "r") == {"a": True}


def test_sockets_that_are_gone_are_ended(session: Session) -> None:
    join(session, "r", "a", "here")
    join(session, "r", "b", "gone")
    assert workers.end_lost_sockets(session, WORKER, lambda sid: sid == "here") == {"r"}
    assert activity(session, "r") == {"a": True, "b": False}


def test_a_worker_that_leaves_takes_its_sessions_with_it(session: Session) -> None:
    join(session, "r", "a", "sid")
    assert workers.leave(session, WORKER) == {"r"}
    assert activity(session, "r") == {"a": False}


def test_many_sessions_end_at_once(session: Session) -> None:
    join(session, "r", "a", "sid")
    peer_row_id = session.scalars(select(Peer.id)).one()
    count = 2500
    session.add_all(
        PeerSession(peer_row_id=peer_row_id, sid=f"s{n}", worker_id=WORKER, started_at=clock.now())
        for n in range(count)
    )
    session.flush()
    assert workers.end_dead(session, everybody=True) == {"r"}
    assert session.scalars(select(PeerSession)).all() == []


def test_erasing_takes_sessions_and_files_along(session: Session) -> None:
    join(session, "r", "a", "sid")
    files.attach(
        session,
        room_name="r",
        peer_id="a",
        stored_name="x.txt",
        original_name="a.txt",
        file_type=file_types.TXT,
        size=1,
        renew_seconds=60,
    )
    erased = peers.erase(session, "r", "a")
    assert (erased.sids, erased.stored_names) == (("sid",), ("x.txt",))
    assert files.known(session, {"x.txt"}) == set()
    with pytest.raises(PeerNotFound):
        peers.leave(session, "r", "a")
    with pytest.raises(RoomNotFound):
        peers.leave(session, "nowhere", "a")


def test_joining_merges_and_never_wipes(session: Session) -> None:
    join(session, "r", "a", "sid", kept=1, changed=1)
    join(session, "r", "a", "sid", changed=None)
    join(session, "r", "a", "sid")
    assert rooms.view(session, "r").peers[0].user_data == {"kept": 1, "changed": None}


def test_peers_are_listed_by_the_time_they_first_joined_then_by_id(session: Session) -> None:
    for name in ("b", "a"):
        join(session, "r", name, name)
    session.execute(update(Peer).values(joined_at=clock.now()))
    assert [peer.peer_id for peer in rooms.view(session, "r").peers] == ["a", "b"]


def test_peers_that_join_within_a_millisecond_are_listed_as_a_client_would_order_them(
    session: Session,
) -> None:
    for number in range(25):
        for name in ("b", "a"):
            join(session, f"r{number}", name, f"{name}{number}")
        shown = [serializers.peer(peer) for peer in rooms.view(session, f"r{number}").peers]
        assert shown == sorted(shown, key=lambda peer: (peer["joined_at"], peer["peer_id"]))


def test_a_refused_transaction_changes_nothing(app: Flask) -> None:
    with app.app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, WORKER, alone=True)
            join(session, "r", "a", "sid1")
            join(session, "r", "b", "sid2")
        with pytest.raises(RoomFull), database.writing() as session:
            join(session, "r", "c", "sid3")
        with database.reading() as session:
            assert rooms.view(session, "r").version == 2
            assert session.scalars(select(Room.version)).all() == [2]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": 1, "b": {"c": []}}, {"b": {"c": [0]}, "d": None}, ["a", "b", "d"]),
    ],
)
def test_changed_keys_are_told(before: Any, after: Any, changed: list[str]) -> None:
    assert user_data.changed_keys(before, after) == changed


def test_the_size_is_counted_in_bytes_of_utf8() -> None:
    data = {"é": "é"}
    size = len('{"é":"é"}'.encode())
    assert user_data.check(data, size) == data
    with pytest.raises(UserDataTooLarge):
        user_data.check(data, size - 1)


@pytest.mark.parametrize("value", ["\ud800", math.nan, 2**64, b""])
def test_what_no_json_can_hold_is_measured_before_it_is_looked_for(value: Any) -> None:
    with pytest.raises(InvalidField):
        user_data.check({"x": [1] * 400 + [value]}, 1000)
    with pytest.raises(UserDataTooLarge):
        user_data.check({"x": [1] * 600 + [value]}, 1000)


@pytest.mark.parametrize(("levels", "error"), [(300, UserDataTooLarge), (5000, InvalidField)])
def test_what_is_too_large_is_not_walked_for_being_too_deep_as_well(
    monkeypatch: pytest.MonkeyPatch, levels: int, error: type[Exception]
) -> None:
    deep: list[Any] = []
    for _ in range(levels):
        deep = [deep]
    monkeypatch.delattr(json_values, "check")
    with pytest.raises(error):
        user_data.check({"x": [1] * 600, "y": deep}, 1000)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\Users\\me\\notes.txt", "notes.txt"),
        ("../../notes.txt", "notes.txt"),
        ("a\nb\x00\u202e.txt", "ab.txt"),
        ("e\u0301.txt", "é.txt"),
        ("", "file.txt"),
        ("/", "file.txt"),
        ("x" * 400, "x" * 251 + ".txt"),
        ("con.txt", "_con.txt"),
        ("COM1 .a.txt", "_COM1 .a.txt"),
        ("nul", "_nul"),
        ("console.txt", "console.txt"),
    ],
)
def test_original_names_are_cleaned(given: str, kept: str) -> None:
    assert files.clean_original_name(given, file_types.TXT) == kept


def test_names_are_normalised_and_counted_after_that() -> None:
    assert names.normalise("e\u0301" * 64, "username", 64) == "é" * 64
    with pytest.raises(InvalidField, match=r"^username must have at most 64 characters"):
        names.normalise("é" * 65, "username", 64)


def test_a_zip_directory_too_large_to_read_is_no_document() -> None:
    record = b"PK\x05\x06" + b"\0" * 8 + (2**31).to_bytes(4, "little") + b"\0" * 6
    with pytest.raises(FileTooComplex, match="directory entries"):
        word_documents.check_docx(io.BytesIO(b"PK\x03\x04" + record))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PRESENCE_MAX_PEERS", "0"),
        ("PRESENCE_PING_INTERVAL", "-1"),
        ("PRESENCE_ANNOUNCE_WINDOW", "-0.1"),
        ("PRESENCE_WEBSOCKET_COMPRESSION", "maybe"),
        ("PRESENCE_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=variable):
        Settings.from_environment({variable: value})


def test_settings_have_defaults_and_empty_counts_as_unset() -> None:
    settings = Settings.from_environment({"PORT": "", "PRESENCE_WEBSOCKET_COMPRESSION": "yes"})
    assert settings.port == 3001
    assert settings.websocket_compression is True
    assert settings.origins == "*"
    assert Settings.from_environment(
        {"PRESENCE_ALLOWED_ORIGINS": "https://a, https://b"}
    ).origins == [
        "https://a",
        "https://b",
    ]


@pytest.mark.parametrize(
    ("search", "found"), [("TUD", 1), ("%", 0), ("\0", 0), ("s\0t", 0), ("é😀", 0)]
)
def test_rooms_are_searched_for_any_text(session: Session, search: str, found: int) -> None:
    join(session, "studio", "ada", "s1")
    shown = overview.page_of_rooms(session, search, 1, 10)
    assert (len(shown.rooms), shown.found, shown.pages) == (found, found, 1)


@pytest.mark.parametrize("name", ["\0", "a\0.txt", "../a", "é😀", ""])
def test_a_name_that_no_file_has_is_not_found(session: Session, name: str) -> None:
    for look in (files.find, files.place):
        with pytest.raises(UploadedFileNotFound):
            look(session, name)
