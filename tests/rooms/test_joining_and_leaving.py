"""Joining, leaving, changing data and disappearing, seen from the other client's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import events, hears, shows

Connect = Callable[..., Any]

STOCK_CLIENTS = [
    pytest.param(("python", ["websocket"]), id="python-websocket"),
    pytest.param(("python", ["polling"]), id="python-polling"),
    pytest.param(("python", None), id="python-upgrading"),
    pytest.param(("javascript", ["websocket"]), id="javascript-websocket"),
    pytest.param(("javascript", ["polling"]), id="javascript-polling"),
    pytest.param(("javascript", None), id="javascript-upgrading"),
]


def joining(room: str, peer_id: str, **user_data: Any) -> dict[str, Any]:
    return {
        "room_name": room,
        "peer_id": peer_id,
        "username": peer_id.title(),
        "user_data": user_data,
    }


@pytest.fixture(params=STOCK_CLIENTS)
def alice(request: pytest.FixtureRequest, server: LiveServer, connect: Connect) -> Any:
    """The client under test, of every kind and transport."""
    kind, transports = request.param
    return connect(server, kind, transports)


@pytest.fixture
def bob(server: LiveServer, connect: Connect) -> Any:
    """The other client, from whose side everything is seen."""
    return connect(server)


@pytest.mark.cluster
def test_a_whole_visit_is_seen_by_the_other_client(
    server: LiveServer, room: str, alice: Any, bob: Any, connect: Connect
) -> None:
    bob.emit("join_room", joining(room, "bob"))
    hears(bob, "join_room_success")

    alice.emit("join_room", joining(room, "alice", role="moderator", preferences={"theme": "dark"}))
    success = hears(alice, "join_room_success")
    assert success["room_name"] == room
    assert (success["active_peers"], success["total_peers"]) == (2, 2)
    assert [peer["peer_id"] for peer in success["peers"]] == ["bob", "alice"]
    seen = shows(bob, "alice", is_active=True)
    assert seen["username"] == "Alice"
    assert seen["user_data"] == {"role": "moderator", "preferences": {"theme": "dark"}}
    assert seen["uploaded_files"] == []

    alice.emit("update_user_data", {"user_data": {"status": "presenting", "role": "speaker"}})
    merged = {"role": "speaker", "preferences": {"theme": "dark"}, "status": "presenting"}
    assert hears(alice, "update_user_data_success")["user_data"] == merged
    notice = hears(bob, "user_data_updated")
    assert (notice["peer_id"], notice["changed"]) == ("alice", ["role", "status"])
    eventually(
        lambda: shows(bob, "alice", is_active=True)["user_data"] == merged,
        "the list shows the merged data",
    )

    uploaded = requests.post(
        f"{server.url}/api/webrtc/upload",
        files={"file": ("hello.txt", b"hello")},
        data={"room_name": room, "peer_id": "alice"},
        timeout=10,
    ).json()
    notice = hears(bob, "file_uploaded")
    assert (notice["file_path"], notice["username"]) == (uploaded["file_path"], "Alice")
    eventually(
        lambda: shows(bob, "alice", True)["uploaded_files"] == [uploaded["file_path"]],
        "the list shows the file",
    )

    alice.emit("leave_room", {})
    assert hears(alice, "leave_room_success")["is_active"] is False
    gone = shows(bob, "alice", is_active=False)
    assert (gone["user_data"], gone["uploaded_files"]) == (merged, [uploaded["file_path"]])

    alice.emit("join_room", joining(room, "alice"))
    back = shows(bob, "alice", is_active=True)
    assert back["user_data"] == merged, "joining again with {} never wipes"
    assert back["joined_at"] == seen["joined_at"]
    assert back["last_seen"] > gone["last_seen"]

    alice.disconnect()
    shows(bob, "alice", is_active=False)


def test_a_client_that_crashes_is_inactive_for_the_others(
    room: str, server: LiveServer, bob: Any, connect: Connect
) -> None:
    crashing = connect(server, "javascript", ["websocket"])
    bob.call("join_room", joining(room, "bob"))
    crashing.call("join_room", joining(room, "alice"))
    shows(bob, "alice", is_active=True)
    crashing.kill()
    shows(bob, "alice", is_active=False)


def test_every_event_answers_its_acknowledgement(room: str, alice: Any) -> None:
    joined = alice.call("join_room", joining(room, "alice"))
    assert joined["ok"] is True
    assert joined["peers"][0]["peer_id"] == "alice"
    updated = alice.call("update_user_data", {"user_data": {"a": 1}})
    assert updated["ok"] is True
    assert updated["user_data"] == {"a": 1}
    assert updated["version"] > joined["version"]
    left = alice.call("leave_room", {})
    assert (left["ok"], left["is_active"]) == (True, False)
    refused = alice.call("leave_room", {})
    assert (refused["ok"], refused["code"]) == (False, "not_joined")


def test_the_short_names_mean_the_same(room: str, bob: Any) -> None:
    assert bob.call("join", joining(room, "bob"))["ok"]
    assert bob.call("leave", {})["ok"]
    assert hears(bob, "join_room_success")["peer_id"] == "bob"
    assert hears(bob, "leave_room_success")["peer_id"] == "bob"


@pytest.mark.cluster
def test_two_sockets_of_one_peer_keep_it_active_until_the_last_closes(
    room: str, server: LiveServer, bob: Any, connect: Connect
) -> None:
    bob.call("join_room", joining(room, "bob"))
    first, second = connect(server), connect(server)
    first.call("join_room", joining(room, "alice"))
    second.call("join_room", joining(room, "alice"))
    eventually(lambda: shows(bob, "alice", True)["session_count"] == 2, "both tabs count")

    first.disconnect()
    eventually(lambda: shows(bob, "alice", True)["session_count"] == 1, "one tab is left")
    second.disconnect()
    shows(bob, "alice", is_active=False)


def test_the_newer_of_two_sockets_may_close_first(
    room: str, server: LiveServer, bob: Any, connect: Connect
) -> None:
    bob.call("join_room", joining(room, "bob"))
    first, second = connect(server), connect(server)
    first.call("join_room", joining(room, "alice"))
    second.call("join_room", joining(room, "alice"))
    second.disconnect()
    eventually(lambda: shows(bob, "alice", True)["session_count"] == 1, "the older tab is left")
    assert first.call("update_user_data", {"user_data": {"still": "here"}})["ok"]


@pytest.mark.cluster
def test_a_late_disconnect_of_the_old_socket_does_not_end_the_new_one(
    room: str, server: LiveServer, bob: Any, connect: Connect
) -> None:
    bob.call("join_room", joining(room, "bob"))
    old = connect(server)
    old.call("join_room", joining(room, "alice"))
    new = connect(server)
    new.call("join_room", joining(room, "alice"))
    old.kill()
    eventually(lambda: shows(bob, "alice", True)["session_count"] == 1, "the old one has ended")
    assert all(
        peer["is_active"]
        for body in events(bob, "peer_list_updated")
        for peer in body["peers"]
        if peer["peer_id"] == "alice"
    )


def test_leaving_one_of_two_sockets_leaves_the_peer_active(
    room: str, server: LiveServer, connect: Connect
) -> None:
    first, second = connect(server), connect(server)
    first.call("join_room", joining(room, "alice"))
    second.call("join_room", joining(room, "alice"))
    assert first.call("leave_room", {})["is_active"] is True
    assert second.call("leave_room", {})["is_active"] is False


@pytest.mark.cluster
def test_joining_another_room_leaves_the_first(
    room: str, server: LiveServer, bob: Any, connect: Connect
) -> None:
    bob.call("join_room", joining(room, "bob"))
    alice = connect(server)
    alice.call("join_room", joining(room, "alice"))
    shows(bob, "alice", is_active=True)
    alice.call("join_room", joining(f"{room} 2", "alice"))
    shows(bob, "alice", is_active=False)
    lists_so_far = len(events(alice, "peer_list_updated"))
    bob.call("update_user_data", {"user_data": {"x": 1}})
    alice.call("update_user_data", {"user_data": {"y": 1}})
    hears(alice, "peer_list_updated", lambda body: body["peers"][0]["user_data"] == {"y": 1})
    later = events(alice, "peer_list_updated")[lists_so_far:]
    assert {body["room_name"] for body in later} == {f"{room} 2"}


def test_a_refused_move_keeps_the_room_one_is_in(
    room: str, new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_MAX_PEERS=1)
    alice, bob = connect(server), connect(server)
    alice.call("join_room", joining("one", "alice"))
    bob.call("join_room", joining("two", "bob"))
    assert alice.call("join_room", joining("two", "alice"))["code"] == "room_full"
    assert alice.call("update_user_data", {"user_data": {"x": 1}})["room_name"] == "one"


def test_one_socket_may_take_another_peer_id_in_the_same_room(room: str, bob: Any) -> None:
    bob.call("join_room", joining(room, "bob"))
    joined = bob.call("join_room", joining(room, "robert"))
    assert {peer["peer_id"]: peer["is_active"] for peer in joined["peers"]} == {
        "bob": False,
        "robert": True,
    }


def test_keys_can_be_removed_and_everything_replaced(room: str, bob: Any) -> None:
    bob.call("join_room", joining(room, "bob", a=1, b=2, c=None))
    assert bob.call("update_user_data", {"remove": ["a", "unknown"]})["user_data"] == {
        "b": 2,
        "c": None,
    }
    replaced = bob.call("update_user_data", {"user_data": {"d": 4}, "replace": True})
    assert replaced["user_data"] == {"d": 4}


def test_a_thousand_bursts_on_one_socket_stay_in_order(
    request: pytest.FixtureRequest, room: str, server: LiveServer, alice: Any
) -> None:
    # Over polling the clients take most of the time, so there are fewer.
    bursts = 1000 if "websocket" in request.node.name else 150
    for number in range(bursts):
        alice.emit("join_room", joining(room, "alice"))
        alice.emit("update_user_data", {"user_data": {"number": number}})
        alice.emit("leave_room", {})
    last = alice.call("leave_room", {})
    assert last["code"] == "not_joined"
    # The python client runs a thread for each event, so what it received may be out of order; how
    # often it heard from the server, and what was stored in the end, may not.
    answers = ["join_room_success", "update_user_data_success", "leave_room_success"]
    for name in answers:
        eventually(lambda name=name: len(events(alice, name)) == bursts, f"{bursts} × {name}", 30)  # type: ignore[misc]
    peer = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()["peers"][0]
    assert (peer["is_active"], peer["user_data"]) == (False, {"number": bursts - 1})
    if type(alice).__name__ == "JavaScriptClient":
        heard = [(name, body) for name, body in alice.received if name in answers]
        assert [name for name, _body in heard] == answers * bursts
        numbers = [body["user_data"]["number"] for name, body in heard if name == answers[1]]
        assert numbers == list(range(bursts))


@pytest.mark.cluster
def test_versions_never_go_back_on_one_socket(
    room: str, server: LiveServer, connect: Connect
) -> None:
    watcher = connect(server, "javascript")
    watcher.call("join_room", joining(room, "watcher"))
    others = [connect(server) for _ in range(5)]
    for number, other in enumerate(others):
        other.emit("join_room", joining(room, f"peer{number}"))
    comes_again = connect(server, "javascript")
    for step in range(40):
        others[step % 5].emit("update_user_data", {"user_data": {"step": step}})
        if step % 3 == 0:
            comes_again.emit("join_room", joining(room, "comes again"))
        elif step % 3 == 1:
            comes_again.emit("sync", {"since": 0})
    for other in [*others, comes_again]:
        other.call("leave_room", {})
    hears(
        watcher,
        "peer_list_updated",
        lambda body: (body["active_peers"], body["total_peers"]) == (1, 7),
    )
    for client in (watcher, comes_again):
        versions = [body["version"] for _event, body in client.received if "version" in body]
        assert versions == sorted(versions)
