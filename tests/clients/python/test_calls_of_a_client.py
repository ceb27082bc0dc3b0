"""What a client can ask a server: data, lists, files, watching, moderation."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from presence_client.room import Room

from . import kinds
from .conftest import NewClient, NewLine
from .kinds import Driven, failure
from .support import LiveServer, eventually, token


def add_one(data: dict[str, Any]) -> dict[str, Any]:
    return {"count": data.get("count", 0) + 1}


def test_two_tabs_that_count_up_lose_no_increment(client: NewClient, room: str) -> None:
    tabs = [client("ada"), client("ada")]
    for tab in tabs:
        tab.call("join", room)

    def count(tab: Driven) -> None:
        for _ in range(20):
            tab.call("update", add_one)

    threads = [threading.Thread(target=count, args=(tab,)) for tab in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert tabs[0].call("peer", "ada")["user_data"] == {"count": 40}


def test_an_update_says_that_somebody_else_was_quicker(client: NewClient, room: str) -> None:
    ada, other = client("ada"), client("ada")
    ada.call("join", room, user_data={"a": 1})
    other.call("join", room)
    seen = ada.client.version
    newest = other.call("update", {"a": 2})
    conflict = ada.fails("update", {"a": 3}, if_version=seen)
    assert (conflict.code, conflict.body["user_data"]) == ("conflict", {"a": 2})
    assert ada.call("update", {"a": 3}, if_version=newest["version"])["user_data"] == {"a": 3}


def test_a_function_that_fails_stops_its_update(client: NewClient, room: str) -> None:
    ada = client("ada")
    ada.call("join", room)
    error = ada.start("update", lambda data: {"x": data["missing"]}).exception(10)
    assert isinstance(error, KeyError)


def test_a_client_follows_changes_and_fetches_what_it_has_missed(
    client: NewClient, room: str
) -> None:
    ada, bob = client("ada"), client("bob")
    ada.call("join", room)
    heard = ada.listen()
    bob.call("join", room)
    for number in range(10):
        bob.call("update", {"n": number})
    ada.call("wait_for", lambda c: c.peers[-1]["user_data"] == {"n": 9})
    assert ada.client.peers == ada.call("room")["peers"]
    life = (getattr(ada.client, "_inner", None) or ada.client)._life
    missed: list[Any] = []
    change = life._following.change
    life._following.change = missed.append
    bob.call("update", {"n": 10})
    eventually(lambda: missed, "a change is missed")
    life._following.change = change
    bob.call("update", {"n": 11})
    bob.call("leave")
    ada.call("wait_for", lambda c: not c.peers[-1]["is_active"])
    assert ada.client.peers == ada.call("room")["peers"]
    came = [peer["peer_id"] for event, peer in heard if event == "peer_joined"]
    # That she came herself may be told a moment after her join was answered.
    assert came in (["bob"], ["ada", "bob"])
    eventually(lambda: ("peer_left", ada.client.peers[-1]) in heard, "it is told that bob left")


def test_a_list_of_more_than_four_megabytes_is_joined(new_server: Any, room: str) -> None:
    server = new_server(
        PRESENCE_MAX_USER_DATA_BYTES=400_000,
        PRESENCE_MAX_MESSAGE_BYTES=1_000_000,
        PRESENCE_REQUESTS_PER_MINUTE=0,
    )
    for number in range(13):
        body = {"peer_id": f"p{number}", "username": "x", "user_data": {"x": "y" * 390_000}}
        url = f"{server.url}/api/webrtc/rooms/{room[:60]}/join"
        assert requests.post(url, json=body, timeout=30).ok
    for kind in kinds.KINDS:
        ada = kinds.make(kind, server.url, peer_id="ada", timeout=40)
        ada.call("join", room[:60])
        assert sum(len(p["user_data"].get("x", "")) for p in ada.client.peers) > 5_000_000
        ada.call("close")


def test_lists_of_rooms_peers_and_activity(client: NewClient, room: str) -> None:
    ada, reader = client("ada"), client("reader")
    ada.call("join", f"{room} ?%")
    assert reader.call("rooms")[f"{room} ?%"]["active_peer_count"] == 1
    assert reader.call("room", f"{room} ?%") == ada.call("room")
    assert ada.call("peer", "ada")["files"] == []
    assert ada.call("activity", limit=1)["activity"][0]["kind"] == "joined"
    assert reader.fails("room", f"{room}-none").code == "room_not_found"


def test_watching_lasts_over_a_lost_connection_and_joins_nobody(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    watcher, ada = client("watcher", url=wire.url), client("ada")
    heard = watcher.listen()
    ada.call("join", room)
    assert watcher.call("watch", room) == {"ok": True, "watching": room}
    ada.call("update", {"a": 1})
    eventually(lambda: [e for e, _ in heard if e == "room_changed"], "a change is told")
    made = wire.made
    wire.cut()
    eventually(lambda: wire.made > made and watcher.client.is_connected, "it is back", 20)
    before = len(heard)

    def is_told() -> bool:
        ada.call("update", {"a": len(heard)})
        return any(event == "room_changed" for event, _ in heard[before:])

    eventually(is_told, "it watches again", interval=0.1)
    assert watcher.state == "idle"
    assert [p["peer_id"] for p in ada.client.peers] == ["ada"]
    watcher.call("watch")
    ada.call("leave")
    eventually(lambda: [e for e, _ in heard if e == "rooms_changed"], "the list is watched")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (("signal", "nobody", 1), "unknown_peer"),
        (("signal", "ada", "x" * 70_000), "too_large"),
        (("signal", "ada", float("nan")), "invalid_field"),
        (("signal", "ada", {1, 2}), "invalid_field"),
        (("update", {"a": "\ud800"}), "invalid_field"),
        (("update", {"a": b"bytes"}), "invalid_field"),
        (("join", ""), "invalid_field"),
        (("join", 7), "invalid_field"),
        (("upload", b"MZ"), "file_type_refused"),
        (("peer", "nobody"), "peer_not_found"),
        (("kick", "ada"), "open_mode"),
    ],
)
def test_a_refusal_is_raised_with_its_code_and_sentence(
    client: NewClient, room: str, call: tuple[Any, ...], code: str
) -> None:
    ada = client("ada")
    ada.call("join", room)
    error = ada.fails(*call)
    assert (error.code, str(error)) == (code, error.detail)
    assert len(error.detail.split()) > 4


def test_uploading_tells_of_its_progress_and_can_be_aborted(
    client: NewClient, room: str, tmp_path: Path
) -> None:
    ada = client("ada")
    assert ada.fails("upload", b"words").code == "not_joined"
    ada.call("join", room)
    path = tmp_path / 'so "called" wörds.txt'
    path.write_text("some words " * 50_000)
    progress: list[tuple[int, int]] = []
    file = ada.call("upload", path, on_progress=lambda sent, total: progress.append((sent, total)))
    assert (file["original_filename"], file["file_size"]) == (path.name, 550_000)
    assert progress == sorted(progress)
    assert progress[-1][0] == progress[-1][1] > 550_000
    abort = threading.Event()
    error = ada.fails("upload", str(path), on_progress=lambda *_: abort.set(), abort=abort)
    assert error.code == "aborted"
    error = ada.start("upload", path, on_progress=lambda *_: 1 / 0).exception(10)  # type: ignore[assignment]
    assert isinstance(error, ZeroDivisionError)
    assert ada.call("upload", io.BytesIO(b"words"), name="n.txt")["file_size"] == 5
    files = ada.call("peer", "ada")["files"]
    assert [one["original_filename"] for one in files] == [path.name, "n.txt"]
    ada.call("delete_file", file["filename"])
    assert len(ada.call("peer", "ada")["files"]) == 1
    assert ada.call("ice_servers")["iceServers"] == []


@pytest.fixture
def admin(client: NewClient, locked_server: LiveServer) -> Driven:
    """A client with an admin's token, in no room."""
    return client("admin", url=locked_server.url, token=token("admin", "*", "admin"))


def test_what_an_admin_does_ends_the_stay_of_a_peer_and_tells_why(
    locked_server: LiveServer, client: NewClient, admin: Driven, room: str
) -> None:
    ada = client(None, url=locked_server.url, token=token("ada", room))
    heard = ada.listen()

    def is_out(reason: str) -> None:
        eventually(lambda: ada.state == "idle", "it is out")
        # It is told a moment after the state has changed.
        eventually(lambda: [v["reason"] for e, v in heard if e == "left"][-1:] == [reason], reason)
        assert (ada.client.room_name, ada.client.peers) == (None, [])

    ada.call("join", room)
    admin.call("kick", "ada", room_name=room)
    is_out("kicked")
    ada.call("join", room)
    ban = admin.call("ban", "ada", room_name=room, seconds=60, reason="noise")
    assert (ban["peer_id"], ban["reason"]) == ("ada", "noise")
    is_out("banned")
    assert ada.fails("join", room).code == "banned"
    assert [one["peer_id"] for one in admin.call("bans", room)["bans"]] == ["ada"]
    admin.call("unban", "ada", room_name=room)
    ada.call("join", room)
    assert admin.call("close_room", room)["until"] is None
    is_out("room_closed")
    assert ada.fails("join", room).code == "room_closed"
    admin.call("reopen_room", room)
    ada.call("join", room)


def test_a_ban_while_the_connection_is_away_ends_the_stay(
    locked_server: LiveServer, client: NewClient, admin: Driven, line: NewLine, room: str
) -> None:
    wire = line(locked_server)
    ada = client(None, url=wire.url, token=token("ada", room))
    heard = ada.listen()
    ada.call("join", room)
    wire.shut()
    eventually(lambda: ada.state == "reconnecting", "the connection is lost")
    admin.call("ban", "ada", room_name=room)
    waiting = ada.start("update", {"a": 1})
    wire.open()
    assert failure(waiting).code == "not_joined"
    eventually(lambda: ada.state == "idle", "it gives up")
    eventually(lambda: [v["reason"] for e, v in heard if e == "left"] == ["banned"], "it says why")
    assert [v.code for e, v in heard if e == "error"] == ["banned"]


def test_a_client_that_is_in_no_list_yet_counts_up_as_of_the_beginning() -> None:
    # The server refuses that with what there is, and the function is called again.
    joined = {"room_name": "r", "peer_id": "ada", "version": 7, "max_peers": 2, "peers": []}
    assert Room(joined).own_data == (0, {})
