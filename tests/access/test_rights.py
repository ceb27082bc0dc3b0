"""Rights that an admin changes while somebody is here: at once, everywhere, and to stay."""

from __future__ import annotations

import operator
import random
from typing import Any

import pytest
import requests
from presence_client import Client

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join, joined, upload
from tests.support.clients import Body, PythonClient, events, hears
from tests.support.keys import EVERYTHING, token

STATE_OF = operator.itemgetter("peer_id", "state")
LISTENER = ["join", "update", "listen", "list"]


def regrant(server: LiveServer, room: str, peer_id: str, grants: Any) -> requests.Response:
    path = f"{ROOMS}/{room}/peers/{peer_id}/grants"
    return ask(server, "POST", path, admin(room), json={"grants": grants})


def listed(server: LiveServer, room: str, peer_id: str) -> Body:
    return dict(ask(server, "GET", f"{ROOMS}/{room}/peers/{peer_id}", admin(room)).json())


def said(client: PythonClient, grants: list[str]) -> Body:
    """Wait until a socket has heard that it may do exactly this now."""
    return hears(client, "grants_changed", lambda body: body["grants"] == grants)


# What needs each grant: an event, or a request with the peer's own token.
SOCKET = {
    "update": ("update_user_data", {"user_data": {"n": 1}}),
    "signal": ("broadcast", {"event": "e", "data": 1}),
}


def over_rest(server: LiveServer, made: str, room: str, peer_id: str) -> dict[str, bool]:
    """Return what a token lets its peer do in a room over REST."""
    place = f"{ROOMS}/{room}"
    tried = {
        "update": ask(
            server,
            "POST",
            f"{place}/update-data?peer_id={peer_id}",
            made,
            json={"user_data": {"n": 2}},
        ),
        "upload": ask(
            server,
            "POST",
            "/api/webrtc/upload",
            made,
            data={"room_name": room, "peer_id": peer_id},
            files={"file": ("notes.txt", b"some words")},
        ),
        "list": ask(server, "GET", place, made),
    }
    for answer in tried.values():
        assert answer.ok or answer.json()["code"] == "not_granted", answer.text
    in_list = ask(server, "GET", ROOMS, made)
    paged = ask(server, "GET", f"{ROOMS}?limit=1000", made)
    seen = {room in answer.json() for answer in (in_list, paged)}
    assert seen == {tried["list"].ok}, "the list of rooms has it where the room is shown"
    return {grant: answer.ok for grant, answer in tried.items()}


def over_socket(client: PythonClient) -> dict[str, bool]:
    found = {}
    for grant, (event, message) in SOCKET.items():
        answer = client.call(event, message)
        assert answer["ok"] or answer["code"] == "not_granted", answer
        found[grant] = answer["ok"]
    return found


@pytest.mark.parametrize(
    "own", [EVERYTHING, ("join", "list"), ("join",)], ids=["everything", "list", "join"]
)
def test_what_an_admin_says_counts_and_not_the_token(
    locked: LiveServer, room: str, own: tuple[str, ...]
) -> None:
    client = joined(locked, "ada", room, own)
    made = token("ada", room, own)
    choice = random.Random(7)
    version = 0
    for _ in range(6):
        given = [grant for grant in EVERYTHING if choice.random() < 0.5]
        answer = regrant(locked, room, "ada", given).json()
        effective = [grant for grant in EVERYTHING if grant in {"join", *given}]
        assert (answer["success"], answer["grants"]) == (True, effective)
        assert answer["version"] >= version
        version = answer["version"]
        assert listed(locked, room, "ada")["grants"] == effective
        allowed = {grant: grant in given for grant in EVERYTHING}
        for found in (over_socket(client), over_rest(locked, made, room, "ada")):
            assert found == {grant: allowed[grant] for grant in found}, given
    assert regrant(locked, room, "ada", None).json()["grants"] is None
    assert "grants" not in listed(locked, room, "ada")
    assert over_socket(client) == {grant: grant in own for grant in SOCKET}
    client.disconnect()


def test_a_listener_signals_and_is_shown_as_one(locked: LiveServer, room: str) -> None:
    ada, bob = joined(locked, "ada", room), joined(locked, "bob", room)
    assert hears(ada, "join_room_success")["grants"] == list(EVERYTHING)
    regrant(locked, room, "ada", LISTENER)
    assert said(ada, LISTENER)["peer_id"] == "ada"
    assert events(bob, "grants_changed") == []
    hears(
        bob,
        "peer_list_updated",
        lambda body: (
            {peer["peer_id"]: peer.get("grants") for peer in body["peers"]}
            == {"ada": LISTENER, "bob": None}
        ),
    )
    assert ada.call("signal", {"to": "bob", "data": {}, "type": "answer"})["ok"]
    # What was so before is not told again, and raises no version.
    before = regrant(locked, room, "ada", LISTENER).json()["version"]
    assert regrant(locked, room, "ada", [*LISTENER, "list"]).json()["version"] == before
    assert len(events(ada, "grants_changed")) == 1
    for client in (ada, bob):
        client.disconnect()


def test_it_holds_after_leaving_a_crash_and_an_attempt_to_start_afresh(
    locked: LiveServer, room: str
) -> None:
    client = joined(locked, "ada", room)
    regrant(locked, room, "ada", LISTENER)
    said(client, LISTENER)
    client.call("leave_room", {})
    assert client.call("join_room", join(room, "ada"))["grants"] == LISTENER
    own = ask(locked, "DELETE", f"{ROOMS}/{room}/peers/ada", token("ada", room))
    assert (own.status_code, own.json()["code"]) == (403, "not_granted")
    client.disconnect()

    with Client(locked.url, token=token("ada", room), timeout=20) as ada:
        ada.join(room)
        assert ada.grants == LISTENER
        locked.kill()
        locked.start()
        eventually(lambda: ada.is_connected and ada.state == "joined", "she is back", 20)
        assert ada.grants == LISTENER
        told: list[Any] = []
        ada.on("grants_changed", told.append)
        with Client(locked.url, token=admin(room)) as host:
            host.set_grants("ada", ["signal"], room_name=room)
            eventually(lambda: told, "she hears of it")
            assert ada.grants == ["join", "signal"]
            host.set_grants("ada", None, room_name=room)
        eventually(lambda: ada.grants == list(EVERYTHING), "what her token says")
    over = ask(locked, "POST", f"{ROOMS}/{room}/join", token("ada", room), json=join(room, "ada"))
    assert over.json()["grants"] == list(EVERYTHING)


def test_the_state_of_who_may_have_none_any_more_is_gone(locked: LiveServer, room: str) -> None:
    ada, bob = (
        PythonClient(locked.url, ["websocket"], {"token": token(peer_id, room)})
        for peer_id in ("ada", "bob")
    )
    for peer_id, client in (("ada", ada), ("bob", bob)):
        assert client.call("join_room", {**join(room, peer_id), "states": True})["ok"]

    def is_told(client: PythonClient, peer_id: str, state: Body | None) -> None:
        told = (peer_id, state)
        hears(client, "states_changed", lambda body: told in map(STATE_OF, body["states"]))

    assert ada.call("state", {"state": {"hand": "up"}})["ok"]
    is_told(bob, "ada", {"hand": "up"})
    assert regrant(locked, room, "ada", ["list"]).ok
    is_told(bob, "ada", None)
    assert bob.call("state", {"state": {"n": 1}})["ok"]
    is_told(ada, "bob", {"n": 1})
    assert regrant(locked, room, "ada", None).ok
    assert ada.call("state", {"state": {"hand": "down"}})["ok"]
    is_told(bob, "ada", {"hand": "down"})
    for client in (ada, bob):
        client.disconnect()


def test_who_may_not_list_any_more_watches_no_more(locked: LiveServer, room: str) -> None:
    ada, watcher = joined(locked, "ada", room), None
    watcher = PythonClient(locked.url, ["websocket"], {"token": token("ada", room)})
    assert watcher.call("watch", {"room_name": room})["ok"]
    regrant(locked, room, "ada", ["signal"])
    count = len(events(watcher, "room_changed"))
    assert watcher.call("watch", {"room_name": room})["code"] == "not_granted"
    joined(locked, "bob", room).disconnect()
    hears(ada, "peer_list_updated")
    assert len(events(watcher, "room_changed")) <= count + 1
    for client in (ada, watcher):
        client.disconnect()


def test_admins_stay_what_they_are_and_alone_may_say_it(locked: LiveServer, room: str) -> None:
    host = PythonClient(locked.url, ["websocket"], {"token": admin(room)})
    assert host.call("join_room", join(room, "root"))["ok"]
    regrant(locked, room, "root", [])
    assert over_socket(host) == {"update": True, "signal": True}
    path = f"{ROOMS}/{room}/peers/root/grants"
    stranger = ask(locked, "POST", path, token("root", room), json={"grants": []})
    assert (stranger.status_code, stranger.json()["code"]) == (403, "not_granted")
    other = ask(locked, "POST", path, admin(f"{room}-2"), json={"grants": []})
    assert other.json()["code"] == "not_granted"
    for wrong in (["admin"], ["publish"], ["sing"], "signal", 7, ["signal"] * 10):
        assert regrant(locked, room, "root", wrong).json()["code"] == "invalid_field", wrong
    assert ask(locked, "POST", path, admin(room), json={}).json()["code"] == "invalid_field"
    assert regrant(locked, room, "nobody", []).json()["code"] == "peer_not_found"
    assert regrant(locked, f"{room}-none", "ada", []).status_code in (403, 404)
    upload(locked, admin(room), room, "root")
    host.disconnect()


def test_an_open_server_has_nobody_to_say_it(server: LiveServer, room: str) -> None:
    answer = ask(server, "POST", f"{ROOMS}/{room}/peers/ada/grants", json={"grants": []})
    assert (answer.status_code, answer.json()["code"]) == (403, "open_mode")
