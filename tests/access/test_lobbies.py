"""Rooms with a lobby: who waits, who is asked, and that nothing of the room is told before."""

from __future__ import annotations

from typing import Any

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join, joined
from tests.support.clients import Body, PythonClient, events, hears, shows
from tests.support.keys import EVERYTHING, token

HOST = (*EVERYTHING, "admit")


def lobby(server: LiveServer, room: str, **terms: Any) -> Body:
    answer = ask(server, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": True, **terms})
    assert answer.json()["lobby"] is True, answer.text
    return dict(answer.json())


def knock(server: LiveServer, room: str, peer_id: str) -> PythonClient:
    """Connect somebody who waits in front of a room."""
    client = PythonClient(server.url, ["websocket"], {"token": token(peer_id, room)})
    answer = client.call("join_room", join(room, peer_id))
    assert (answer["ok"], answer["code"]) == (False, "waiting"), answer
    return client


def say(
    server: LiveServer, room: str, peer_id: str, what: str, made: str = "", **how: Any
) -> requests.Response:
    path = f"{ROOMS}/{room}/knocking/{peer_id}/{what}"
    return ask(server, "POST", path, made or token("host", room, HOST), json=how)


def knocking(server: LiveServer, room: str) -> list[str]:
    made = token("host", room, HOST)
    body = ask(server, "GET", f"{ROOMS}/{room}/knocking", made).json()
    return [one["peer_id"] for one in body["knocking"]]


def test_who_knocks_is_seen_and_admitted_or_refused(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    host = joined(locked, "host", room, HOST)
    ada = knock(locked, room, "ada")
    # Not even that anything happens there.
    watcher = PythonClient(locked.url, ["websocket"], {"token": token("eve", room)})
    assert watcher.call("watch", {})["ok"]
    seen = hears(host, "peer_waiting")
    assert (seen["room_name"], seen["peer_id"], seen["username"]) == (room, "ada", "Ada")
    hears(host, "knocking", lambda body: [one["peer_id"] for one in body["knocking"]] == ["ada"])
    assert knocking(locked, room) == ["ada"]

    # Nothing of the room, whichever way she asks.
    made = token("ada", room)
    for method, path, json in (
        ("GET", "", None),
        ("GET", "/peers/host", None),
        ("GET", "/activity", None),
        ("POST", "/update-data?peer_id=ada", {"user_data": {}}),
        ("GET", "/knocking", None),
        ("POST", "/knocking/ada/admit", {}),
    ):
        answer = ask(locked, method, f"{ROOMS}/{room}{path}", made, json=json)
        code = answer.json()["code"]
        assert code == ("not_granted" if "knocking" in path else "not_admitted"), path
    assert room not in ask(locked, "GET", ROOMS, made).json()
    assert room not in ask(locked, "GET", f"{ROOMS}?limit=1000", made).json()
    assert ask(locked, "GET", f"/rooms/{room}/live", made).status_code == 403
    for event, message in (
        ("watch", {"room_name": room}),
        ("update_user_data", {"user_data": {"n": 1}}),
        ("signal", {"to": "host", "data": 1}),
        ("broadcast", {"event": "e", "data": 1}),
        ("sync", {"since": 0}),
    ):
        assert ada.call(event, message)["code"] in ("not_admitted", "not_joined"), event
    assert host.call("signal", {"to": "ada", "data": 1})["code"] == "unknown_peer"
    assert host.call("broadcast", {"event": "secret", "data": 1})["ok"]
    heard = {name for name, _ in ada.received}
    assert heard <= {"join_room_error", "signal_error", "broadcast_error", "sync_error"} | {
        "watch_error",
        "update_user_data_error",
    }
    listed = ask(locked, "GET", f"{ROOMS}/{room}", token("host", room, HOST)).json()
    assert [peer["peer_id"] for peer in listed["peers"]] == ["host"], "who waits is no peer"

    assert say(locked, room, "ada", "refuse", reason="Not before ten").json()["success"]
    refused = hears(ada, "join_room_error", lambda body: body["code"] == "admission_refused")
    assert refused["reason"] == "Not before ten"
    hears(host, "knocking", lambda body: body["knocking"] == [])
    assert ada.call("join_room", join(room, "ada"))["code"] == "waiting", "she may knock again"
    assert say(locked, room, "ada", "admit").json()["success"]
    assert hears(ada, "join_room_success")["peer_id"] == "ada"
    shows(host, "ada", is_active=True)
    assert events(watcher, "rooms_changed") == []
    assert say(locked, room, "ada", "admit").json()["code"] == "not_waiting"
    assert ada.call("signal", {"to": "host", "data": 1})["ok"]
    assert ask(locked, "GET", f"{ROOMS}/{room}", made).ok
    # Whoever left waits once more; whoever is there may come by another socket.
    joined(locked, "ada", room).disconnect()
    ada.call("leave_room", {})
    assert ada.call("join_room", join(room, "ada"))["code"] == "waiting"
    ada.call("leave_room", {})
    eventually(lambda: knocking(locked, room) == [], "she waits no more")
    for client in (ada, host, watcher):
        client.disconnect()


def test_who_left_neither_changes_nor_sees_what_a_room_keeps(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    inside = [*EVERYTHING, "room"]
    made = token("ada", room, [*inside, "enter"])
    ada = PythonClient(locked.url, ["websocket"], {"token": made})
    assert ada.call("join_room", join(room, "ada"))["ok"]
    assert ada.call("update_room_data", {"room_data": {"secret": 1}})["ok"]
    assert ada.call("leave_room", {})["ok"]
    path = f"{ROOMS}/{room}/data"
    without = token("ada", room, inside)
    changes: list[Body] = [{"room_data": {"n": 1}}, {"remove": []}, {"replace": True}]
    for change in changes:
        answer = ask(locked, "POST", path, without, json=change)
        assert answer.json()["code"] == "not_admitted", answer.text
        assert "secret" not in answer.text
    assert ask(locked, "GET", path, without).json()["code"] == "not_admitted"
    kept = ask(locked, "GET", path, admin(room)).json()
    assert kept["room_data"] == {"secret": 1}
    ada.disconnect()


def test_there_are_exactly_as_many_places_as_there_are(locked: LiveServer, room: str) -> None:
    lobby(locked, room, max_peers=2)
    host = joined(locked, "host", room, HOST)
    ada, bob = knock(locked, room, "ada"), knock(locked, room, "bob")
    assert say(locked, room, "ada", "admit").ok
    full = say(locked, room, "bob", "admit")
    assert (full.status_code, full.json()["code"]) == (409, "room_full")
    assert knocking(locked, room) == ["bob"], "he goes on waiting"
    hears(ada, "join_room_success")
    ada.disconnect()
    shows(host, "ada", is_active=False)
    # Who lost its connection comes back without knocking.
    again = joined(locked, "ada", room)
    again.call("leave_room", {})
    again.disconnect()
    assert say(locked, room, "bob", "admit").ok
    hears(bob, "join_room_success")
    for client in (bob, host):
        client.disconnect()


def test_whoever_goes_waits_no_more(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    host = joined(locked, "host", room, HOST)
    ada, bob = knock(locked, room, "ada"), knock(locked, room, "bob")
    assert knocking(locked, room) == ["ada", "bob"]
    ada.disconnect()
    hears(host, "knocking", lambda body: [one["peer_id"] for one in body["knocking"]] == ["bob"])
    assert say(locked, room, "ada", "admit").json()["code"] == "not_waiting"
    # Another room than that in front of which one waits.
    assert bob.call("join_room", join(room, "bob"))["code"] == "waiting"
    eventually(lambda: knocking(locked, room) == ["bob"], "once")
    assert ask(locked, "POST", f"{ROOMS}/{room}/peers/bob/ban", admin(room), json={}).ok
    hears(bob, "join_room_error", lambda body: body["code"] == "banned")
    assert knocking(locked, room) == []
    cyd = knock(locked, room, "cyd")
    assert ask(locked, "POST", f"{ROOMS}/{room}/close", admin(room), json={}).ok
    hears(cyd, "join_room_error", lambda body: body["code"] == "room_closed")
    for client in (bob, cyd, host):
        client.disconnect()


def test_a_restart_lets_nobody_in_and_keeps_nobody_waiting(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    ada = knock(locked, room, "ada")
    ada.kill()
    locked.kill()
    locked.start()
    assert knocking(locked, room) == []
    again = knock(locked, room, "ada")
    assert knocking(locked, room) == ["ada"]
    again.disconnect()


def test_over_rest_one_asks_again_until_one_is_let_in(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    path, made = f"{ROOMS}/{room}/join", token("ada", room)

    def come() -> Body:
        return dict(ask(locked, "POST", path, made, json=join(room, "ada")).json())

    for _ in range(2):
        assert come()["code"] == "waiting"
    assert knocking(locked, room) == ["ada"]
    say(locked, room, "ada", "refuse", reason="no")
    refused = come()
    assert (refused["code"], refused["reason"]) == ("admission_refused", "no")
    assert come()["code"] == "waiting"
    assert say(locked, room, "ada", "admit").ok
    assert come()["success"]


def test_who_need_not_wait(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    for name, grants in (("eve", (*EVERYTHING, "enter")), ("root", ("admin",))):
        joined(locked, name, room, grants).disconnect()
    ada = joined(locked, "ada", f"{room}-none")
    assert ask(locked, "GET", f"{ROOMS}/{room}", token("eve", room, ("list", "enter"))).ok
    zoe = knock(locked, room, "zoe")
    off = ask(locked, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": False}).json()
    assert off["lobby"] is False
    hears(zoe, "join_room_success")
    for client in (ada, zoe):
        client.disconnect()


def test_an_open_server_has_no_lobbies(server: LiveServer, room: str) -> None:
    answer = requests.put(f"{server.url}{ROOMS}/{room}", json={"lobby": True}, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (403, "open_mode")


def test_no_more_wait_than_may(locked: LiveServer, room: str) -> None:
    lobby(locked, room)
    path = f"{ROOMS}/{room}/join"
    codes = [
        ask(locked, "POST", path, token(f"p{n}", room), json=join(room, f"p{n}")).json()["code"]
        for n in range(101)
    ]
    assert codes == ["waiting"] * 100 + ["lobby_full"]
