"""Changes instead of lists: what they tell, how gaps are closed, and that clients converge."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.faults.follower import CHANGES, DeltaList
from tests.support.clients import events, hears, shows
from tests.support.raw_socket import RawSocket

Connect = Callable[..., Any]


def joining(room: str, peer_id: str, **more: Any) -> dict[str, Any]:
    return {"room_name": room, "peer_id": peer_id, "username": peer_id.title(), **more}


def followed(client: Any, joined: dict[str, Any]) -> DeltaList:
    """Return the list after every change the client has received so far."""
    kept = DeltaList(joined)
    for name, body in list(client.received):
        if name in CHANGES:
            kept.apply(body)
    return kept


def stored(server: LiveServer, room: str) -> dict[str, Any]:
    body: dict[str, Any] = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()
    return body


def test_changes_say_who_joined_changed_and_left(
    server: LiveServer, room: str, connect: Connect
) -> None:
    watcher, other = connect(server, "javascript"), connect(server)
    joined = watcher.call("join_room", joining(room, "watcher", updates="delta"))
    other.call("join_room", joining(room, "other"))
    came = hears(watcher, "peer_joined", lambda body: body["peers"][0]["peer_id"] == "other")
    assert came["version"] > came["previous_version"]
    assert (came["active_peers"], came["total_peers"]) == (2, 2)
    other.call("update_user_data", {"user_data": {"x": 1}})
    changed = hears(watcher, "peer_updated", lambda body: body["peers"][0]["user_data"] == {"x": 1})
    assert [peer["peer_id"] for peer in changed["peers"]] == ["other"]
    other.call("leave_room")
    left = hears(watcher, "peer_left", lambda body: body["peers"][0]["peer_id"] == "other")
    assert left["peers"][0]["is_active"] is False
    requests.delete(f"{server.url}/api/webrtc/rooms/{room}/peers/other", timeout=10)
    hears(
        watcher,
        "peer_left",
        lambda body: (
            body["peers"][0]
            == {
                "peer_id": "other",
                "erased": True,
                "reason": "erased",
            }
        ),
    )
    assert events(watcher, "peer_list_updated") == []
    kept = followed(watcher, joined)
    assert kept.gaps == 0
    assert kept.sorted() == stored(server, room)["peers"]


def test_who_comes_and_is_erased_unseen_leaves_no_gap(
    new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_ANNOUNCE_WINDOW=1)
    watcher, other = connect(server), connect(server)
    joined = watcher.call("join_room", joining("r", "watcher", updates="delta"))
    other.call("join_room", joining("r", "other"))  # opens a window
    hears(watcher, "peer_joined", lambda body: body["peers"][0]["peer_id"] == "other")
    rooms = f"{server.url}/api/webrtc/rooms/r"
    requests.post(f"{rooms}/join", json={"peer_id": "ghost", "username": "G"}, timeout=10)
    erased = requests.delete(f"{rooms}/peers/ghost", timeout=10).json()["version"]
    watcher.call("sync", {"since": joined["version"]})  # has it announced
    updated = other.call("update_user_data", {"user_data": {"x": 1}})["version"]
    assert updated == erased + 1
    hears(watcher, "peer_updated", lambda body: body["version"] == updated)
    assert followed(watcher, joined).gaps == 0


def test_who_did_not_ask_for_changes_gets_lists(
    server: LiveServer, room: str, connect: Connect
) -> None:
    lists, changes = connect(server), connect(server)
    lists.call("join_room", joining(room, "lists"))
    changes.call("join_room", joining(room, "changes", updates="delta"))
    shows(lists, "changes", is_active=True)
    assert not [name for name, _body in lists.received if name in CHANGES]
    changes.call("join_room", joining(room, "changes"))
    hears(changes, "peer_list_updated")


@pytest.mark.parametrize("updates", ["delta", "list"])
def test_who_wants_no_notices_of_data_is_told_it_once(
    server: LiveServer, room: str, connect: Connect, updates: str
) -> None:
    once, both = connect(server, "javascript"), connect(server)
    once.call("join_room", joining(room, "once", updates=updates, data_notices=False))
    both.call("join_room", joining(room, "both", updates=updates))

    def is_shown(data: Any) -> bool:
        """Tell whether a list or a change has shown this data: of a peer, or of the room."""
        return any(
            body.get("room_data") == data or data in [peer["user_data"] for peer in body["peers"]]
            for name, body in list(once.received)
            if name in {*CHANGES, "peer_list_updated"}
        )

    both.call("update_user_data", {"user_data": {"x": 1}})
    eventually(lambda: is_shown({"x": 1}), "the data is shown")
    once.call("update_user_data", {"user_data": {"y": 2}})
    assert hears(both, "user_data_updated")["user_data"] == {"y": 2}
    both.call("update_room_data", {"room_data": {"slide": 3}})
    eventually(lambda: is_shown({"slide": 3}), "the room's data is shown")
    hears(both, "room_data_updated")
    assert events(once, "user_data_updated") == events(once, "room_data_updated") == []
    # What only a notice tells comes all the same, and all of it to who joins anew without a word.
    address, whose = f"{server.url}/api/webrtc/upload", {"room_name": room, "peer_id": "both"}
    file = {"file": ("a.txt", b"words")}
    requests.post(address, data=whose, files=file, timeout=10).raise_for_status()
    assert hears(once, "file_uploaded")["original_filename"] == "a.txt"
    once.call("join_room", joining(room, "once", updates=updates))
    both.call("update_user_data", {"user_data": {"x": 2}})
    assert hears(once, "user_data_updated")["changed"] == ["x"]


def test_who_is_put_back_by_its_secret_hears_as_little_as_before(
    server: LiveServer, room: str, connect: Connect
) -> None:
    first = RawSocket(server)
    join = joining(room, "ada", updates="delta", data_notices=False)
    first.send("427" + json.dumps(["join_room", join]))
    while not first.receive().startswith("437"):
        pass
    first.cut()
    again = RawSocket(server, auth={"pid": first.connected["pid"]})
    while "join_room_success" not in again.receive():
        pass
    other = connect(server)
    other.call("join_room", joining(room, "other"))
    other.call("update_user_data", {"user_data": {"x": 1}})
    while "peer_updated" not in (text := again.receive()):
        assert text
        assert "user_data_updated" not in text
    again.close()


def test_an_unknown_kind_of_updates_is_refused(
    server: LiveServer, room: str, connect: Connect
) -> None:
    answer = connect(server).call("join_room", joining(room, "a", updates="everything"))
    assert (answer["code"], answer["field"]) == ("invalid_field", "updates")


@pytest.mark.cluster
def test_a_delta_client_follows_a_busy_room(
    server: LiveServer, room: str, connect: Connect
) -> None:
    watcher = connect(server, "javascript")
    others = [connect(server) for _ in range(6)]
    others[0].call("join_room", joining(room, "p0"))
    joined = watcher.call("join_room", joining(room, "watcher", updates="delta"))
    for step in range(120):
        client, peer_id = others[step % 6], f"p{step % 6}"
        if step % 7 == 3:
            client.emit("leave_room")
        elif step % 5 == 0:
            client.emit("join_room", joining(room, peer_id))
        else:
            client.emit("update_user_data", {"user_data": {"step": [step, True, 1]}})
    for client in others:
        client.call("sync", {"since": 0})  # everything before it has been handled
    newest = stored(server, room)
    eventually(
        lambda: followed(watcher, joined).sorted() == newest["peers"], "the list is the server's"
    )
    assert followed(watcher, joined).gaps == 0
    changes = [body for name, body in watcher.received if name in CHANGES]
    assert sum(len(json.dumps(body)) for body in changes) < 120 * len(json.dumps(newest)) / 2


def test_sync_gives_exactly_what_is_missing_or_everything(
    server: LiveServer, room: str, connect: Connect
) -> None:
    watcher, other, third = connect(server), connect(server), connect(server)
    other.call("join_room", joining(room, "other"))
    third.call("join_room", joining(room, "third"))
    joined = watcher.call("join_room", joining(room, "watcher", updates="delta"))
    updated = other.call("update_user_data", {"user_data": {"x": 1}})
    answer = watcher.call("sync", {"since": joined["version"]})
    assert answer["full"] is False
    assert answer["version"] == updated["version"]
    assert [peer["peer_id"] for peer in answer["peers"]] == ["other"]
    assert watcher.call("sync", {"since": answer["version"]})["peers"] == []
    for unknown in (0, answer["version"] + 1000):
        full = watcher.call("sync", {"since": unknown})
        assert full["full"] is True
        assert full["peers"] == stored(server, room)["peers"]


@pytest.mark.parametrize("since", [None, "1", -1, 1.5, []])
def test_a_sync_without_a_version_is_refused(
    server: LiveServer, room: str, connect: Connect, since: Any
) -> None:
    client = connect(server)
    client.call("join_room", joining(room, "a"))
    answer = client.call("sync", {"since": since})
    assert (answer["code"], answer["field"]) == ("invalid_field", "since")


def test_sync_needs_a_room(server: LiveServer, connect: Connect) -> None:
    assert connect(server).call("sync", {"since": 1})["code"] == "not_joined"


def test_an_update_for_an_old_version_conflicts_and_says_what_is_now(
    server: LiveServer, room: str, connect: Connect
) -> None:
    first, second, third = connect(server), connect(server), connect(server)
    seen = first.call("join_room", joining(room, "alice", user_data={"x": 1}))["version"]
    second.call("join_room", joining(room, "alice"))
    third.call("join_room", joining(room, "somebody"))  # raises the version, but not of this data
    won = second.call("update_user_data", {"user_data": {"x": 2}, "if_version": seen})
    assert won["ok"]
    lost = first.call("update_user_data", {"user_data": {"x": 3}, "if_version": seen})
    assert (lost["code"], lost["user_data"], lost["version"]) == (
        "conflict",
        {"x": 2},
        won["version"],
    )
    assert first.call("update_user_data", {"user_data": {"x": 3}, "if_version": lost["version"]})[
        "ok"
    ]
    response = requests.post(
        f"{server.url}/api/webrtc/rooms/{room}/update-data",
        params={"peer_id": "alice"},
        json={"user_data": {"x": 4}, "if_version": seen},
        timeout=10,
    )
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
