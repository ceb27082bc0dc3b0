"""States of the moment: the newest of each connection, for those who want to know."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.transport.cluster import states
from presence.transport.live.switchboard import Seat
from tests.support.clients import PythonClient, events
from tests.support.raw_socket import RawSocket
from tests.support.rest import Rest

Connect = Callable[..., Any]
Enter = Callable[..., Any]


@pytest.fixture
def enter(server: LiveServer, connect: Connect, room: str) -> Enter:
    """Let somebody join, who hears the states of others or does not."""

    def join(peer_id: str, *, states: bool = True) -> Any:
        client = connect(server)
        message = {"room_name": room, "peer_id": peer_id, "username": peer_id, "states": states}
        assert client.call("join_room", message)["ok"]
        return client

    return join


def put(client: Any, state: Any) -> None:
    answer = client.call("state", {"state": state})
    assert answer == {"ok": True}, answer


def shown(client: Any) -> dict[str, Any]:
    """Return what a client has been told, by peer; the order of its messages is their length."""
    now: dict[str, Any] = {}
    for body in events(client, "states_changed"):
        for one in body["states"]:
            now[one["peer_id"]] = one["state"]
    return {peer_id: state for peer_id, state in now.items() if state is not None}


def sees(client: Any, wanted: dict[str, Any]) -> None:
    eventually(lambda: shown(client) == wanted, f"it sees {wanted}")


def test_those_who_want_to_know_hear_of_it_and_who_comes_later_of_all(enter: Enter) -> None:
    ada, bob, deaf = enter("ada"), enter("bob"), enter("deaf", states=False)
    put(ada, {"cursor": [1, 2]})
    sees(bob, {"ada": {"cursor": [1, 2]}})
    told = events(bob, "states_changed")[0]["states"][0]
    assert set(told) == {"peer_id", "session", "state"}
    put(deaf, {"typing": True})
    put(ada, {"cursor": [3, 4]})
    late = enter("late")
    for client in (bob, late):
        sees(client, {"ada": {"cursor": [3, 4]}, "deaf": {"typing": True}})
    assert not events(deaf, "states_changed")
    put(ada, None)
    sees(bob, {"deaf": {"typing": True}})
    put(ada, None)


def test_it_is_in_no_list_and_in_no_database(enter: Enter, server: LiveServer, room: str) -> None:
    ada, bob = enter("ada"), enter("bob")
    put(ada, {"marker": "onlynow5b1"})
    sees(bob, {"ada": {"marker": "onlynow5b1"}})
    assert "onlynow5b1" not in Rest(server).get(f"/rooms/{room}").text
    files = server.folder.glob("presence.db*")
    assert not any(b"onlynow5b1" in path.read_bytes() for path in files)


@pytest.mark.parametrize("way", ["disconnect", "kill", "leave", "elsewhere", "erased"])
def test_it_is_gone_with_its_connection(
    enter: Enter, server: LiveServer, room: str, way: str
) -> None:
    ada, bob = enter("ada"), enter("bob")
    put(ada, {"hand": "raised"})
    sees(bob, {"ada": {"hand": "raised"}})
    if way == "leave":
        ada.call("leave_room", {})
    elif way == "elsewhere":
        there = {"room_name": f"{room}2", "peer_id": "ada", "username": "ada"}
        assert ada.call("join_room", there)["ok"]
    elif way == "erased":
        assert Rest(server).delete(f"/rooms/{room}/peers/ada").ok
    else:
        getattr(ada, way)()
    sees(bob, {})
    sees(enter("late"), {})


def test_two_tabs_have_two_states(enter: Enter) -> None:
    tabs, bob = [enter("ada"), enter("ada")], enter("bob")
    for number, tab in enumerate(tabs):
        put(tab, {"tab": number})

    def of_sessions() -> dict[str, Any]:
        now = {}
        for body in events(bob, "states_changed"):
            now.update({one["session"]: one["state"] for one in body["states"]})
        return now

    eventually(
        lambda: sorted(state["tab"] for state in of_sessions().values() if state) == [0, 1],
        "it sees both",
    )
    tabs[0].disconnect()
    eventually(
        lambda: [state for state in of_sessions().values() if state] == [{"tab": 1}], "one is left"
    )


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "invalid_field"),
        ([], "invalid_json"),
        ({"state": 7}, "invalid_field"),
        ({"state": ["a"]}, "invalid_field"),
        ({"state": {"a": "x" * 5000}}, "state_too_large"),
        ({"state": {"a": "\ud800"}}, "invalid_field"),
    ],
)
def test_what_is_no_state_is_answered(enter: Enter, message: Any, code: str) -> None:
    ada, bob = enter("ada"), enter("bob")
    put(ada, {"a": 1})
    assert ada.call("state", message)["code"] == code
    sees(bob, {"ada": {"a": 1}})


def test_outside_of_rooms_there_is_none(server: LiveServer, connect: Connect) -> None:
    assert connect(server).call("state", {"state": {}})["code"] == "not_joined"


def test_many_changes_are_told_in_few_messages_and_the_newest_wins(enter: Enter) -> None:
    ada, bob, carol = enter("ada"), enter("bob"), enter("carol")
    before = len(events(carol, "states_changed"))
    began = time.monotonic()
    for number in range(200):
        for client in (ada, bob):
            client.emit("state", {"state": {"n": number}})
    sees(carol, {"ada": {"n": 199}, "bob": {"n": 199}})
    windows = (time.monotonic() - began) / 0.05
    assert len(events(carol, "states_changed")) - before <= windows + 3


def test_who_does_not_read_costs_little_and_sees_what_is_so_when_it_does(
    enter: Enter, server: LiveServer, room: str
) -> None:
    ada = enter("ada", states=False)
    raw = RawSocket(server)
    join = {"room_name": room, "peer_id": "slow", "username": "slow", "states": True}
    raw.send("42" + json.dumps(["join_room", join]))
    raw.receive()
    text = "x" * 4000
    for number in range(600):  # far more than the kernel takes in for it
        ada.call("state", {"state": {"n": number, "text": text}})
    newest, count = None, 0
    deadline = time.monotonic() + 10
    while newest != 599 and time.monotonic() < deadline:
        message = raw.receive_at_once()
        if message is None:
            time.sleep(0.02)
        elif "states_changed" in message:
            count += 1
            newest = json.loads(message[2:])[1]["states"][-1]["state"]["n"]
    raw.close()
    assert newest == 599
    assert count < 600


def test_who_is_put_back_by_its_secret_hears_of_states_again(
    server: LiveServer, enter: Enter, room: str
) -> None:
    ada = enter("ada")
    put(ada, {"a": 1})
    raw = RawSocket(server)
    join = {"room_name": room, "peer_id": "bob", "username": "bob", "states": True}
    raw.send("427" + json.dumps(["join_room", join]))
    while not raw.receive().startswith("437"):
        pass
    pid = raw.connected["pid"]
    raw.cut()
    again = RawSocket(server, auth={"pid": pid})
    while "states_changed" not in (text := again.receive()):
        assert text
    assert json.loads(text[2:])[1]["states"][0]["state"] == {"a": 1}
    again.close()


def test_all_of_a_room_are_told_together(server: LiveServer, room: str) -> None:
    clients = [PythonClient(server.url, ["websocket"]) for _ in range(20)]
    for number, client in enumerate(clients):
        message = {"room_name": room, "peer_id": f"p{number}", "username": "p", "states": True}
        assert client.call("join_room", message)["ok"]
    for number, client in enumerate(clients):
        client.emit("state", {"state": {"n": number}})
    wanted = {f"p{number}": {"n": number} for number in range(20)}
    for client in clients:
        sees(client, wanted)
    for client in clients:
        client.disconnect()


def test_of_what_a_reader_lacks_only_so_much_is_looked_at_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"s{number}" for number in range(60)]
    eio = SimpleNamespace(
        sockets={name: SimpleNamespace(queue=SimpleNamespace(size=0)) for name in names}
    )
    manager = SimpleNamespace(eio_sid_from_sid=lambda sid, _namespace: sid)
    windows: list[Any] = []
    sockets: Any = SimpleNamespace(
        server=SimpleNamespace(eio=eio, manager=manager),
        start_background_task=lambda *task: windows.append(task),
        sleep=lambda _seconds: None,
    )
    told: list[int] = []
    looked: list[str] = []
    newest = states._Room.newest

    def send_to_all(_eio: Any, to: list[str], packet: Any) -> None:
        told.append(len(to) * packet.data.count('"session"'))

    def look(room: Any, sid: str, peer_id: str) -> Any:
        looked.append(sid)
        return newest(room, sid, peer_id)

    monkeypatch.setattr(states, "send_to_all", send_to_all)
    monkeypatch.setattr(states._Room, "newest", look)
    hearing: Any = SimpleNamespace(when_left=[], listeners=[], when_changed=[])
    all_states = states.States(sockets, hearing, hearing, hearing, 0.05)
    for name in names:
        all_states.set(name, Seat("crowd", name), json.dumps({"text": "x" * 4000}))
    for name in names:
        all_states.listen(name, "crowd")
    (window,) = windows
    window[0](*window[1:])
    assert sum(told) >= len(names) * len(names), "everybody is told of everybody"
    assert len(looked) < 2 * sum(told)
