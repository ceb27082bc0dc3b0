"""Who may change the data of a room on a locked server, and as whom."""

from __future__ import annotations

from local_cluster.live_server import LiveServer
from tests.support.callers import ROOMS, admin, ask, join
from tests.support.clients import PythonClient, hears
from tests.support.keys import EVERYTHING, token

USUAL = [grant for grant in EVERYTHING if grant not in ("room", "admin")]


def test_it_takes_the_grant_and_the_tokens_own_peer(locked: LiveServer, room: str) -> None:
    may, may_not = token("ada", room, ["join", "room", "list"]), token("bob", room, USUAL)
    ada, bob = (PythonClient(locked.url, ["websocket"], {"token": one}) for one in (may, may_not))
    assert ada.call("join_room", join(room, "ada"))["ok"]
    assert bob.call("join_room", join(room, "bob"))["ok"]
    assert ada.call("update_room_data", {"room_data": {"n": 1}})["ok"]
    assert bob.call("update_room_data", {"room_data": {"n": 2}})["code"] == "not_granted"
    path, change = f"{ROOMS}/{room}/data", {"room_data": {"n": 3}}
    assert ask(locked, "POST", path, may_not, json=change).json()["code"] == "not_granted"
    for named in ({"peer_id": "bob"}, {}):
        query = "?peer_id=bob" if not named else ""
        answer = ask(locked, "POST", path + query, may, json={**change, **named})
        assert answer.json()["code"] == "wrong_peer"
    assert ask(locked, "POST", path, may, json=change).ok
    notice = hears(bob, "room_data_updated", lambda body: body["room_data"] == {"n": 3})
    assert notice["by"] == "ada"
    assert ask(locked, "POST", path, admin(room), json={"room_data": {"n": 4}}).ok
    kept = ask(locked, "GET", path, may).json()
    assert (kept["by"], kept["room_data"]) == (None, {"n": 4})
    assert ask(locked, "POST", f"{path}?peer_id=bob", admin(room), json=change).ok
    assert ask(locked, "GET", path, may).json()["by"] == "bob"
    for client in (ada, bob):
        client.disconnect()


def test_whose_token_it_is_has_to_be_in_the_room(locked: LiveServer, room: str) -> None:
    stranger = token("eve", room, "room")
    path, change = f"{ROOMS}/{room}/data", {"room_data": {"n": 1}}
    assert ask(locked, "POST", path, stranger, json=change).json()["code"] == "room_not_found"
    ada = PythonClient(locked.url, ["websocket"], {"token": token("ada", room, "join")})
    assert ada.call("join_room", join(room, "ada"))["ok"]
    assert ask(locked, "POST", path, stranger, json=change).json()["code"] == "peer_not_found"
    ada.disconnect()


def test_an_admin_gives_and_takes_it_while_somebody_is_here(locked: LiveServer, room: str) -> None:
    ada = PythonClient(locked.url, ["websocket"], {"token": token("ada", room, "join")})
    assert ada.call("join_room", join(room, "ada"))["ok"]
    change = {"room_data": {"n": 1}}
    assert ada.call("update_room_data", change)["code"] == "not_granted"
    path = f"{ROOMS}/{room}/peers/ada/grants"
    assert ask(locked, "POST", path, admin(room), json={"grants": ["room"]}).ok
    hears(ada, "grants_changed")
    assert ada.call("update_room_data", change)["ok"]
    assert ask(locked, "POST", path, admin(room), json={"grants": []}).ok
    hears(ada, "grants_changed", lambda body: body["grants"] == ["join"])
    assert ada.call("update_room_data", change)["code"] == "not_granted"
    ada.disconnect()
