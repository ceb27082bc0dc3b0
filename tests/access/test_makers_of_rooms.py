"""How many rooms one may make, as a peer or from an address; and how an admin removes one."""

from __future__ import annotations

from collections.abc import Callable

import requests

from local_cluster.live_server import LiveServer
from tests.support.callers import ROOMS, admin, ask, join, joined, upload
from tests.support.clients import PythonClient, hears
from tests.support.keys import LOCKED, token

NewServer = Callable[..., LiveServer]


def make(server: LiveServer, made: str | None, room: str, peer_id: str = "ada") -> str:
    """Join a room over REST; return “ok” or the code of the refusal."""
    answer = ask(server, "POST", f"{ROOMS}/{room}/join", made, json=join(room, peer_id))
    return "ok" if answer.ok else str(answer.json()["code"])


def test_who_may_join_by_a_pattern_makes_only_so_many_rooms(new_server: NewServer) -> None:
    server = new_server(**LOCKED, PRESENCE_MAX_ROOMS_EACH=3)
    wide = token("ada", "team-*")
    assert [make(server, wide, f"team-{n}") for n in range(4)] == ["ok"] * 3 + [
        "too_many_rooms_made"
    ]
    assert make(server, wide, "team-1") == "ok", "a room that exists may be joined"
    client = PythonClient(server.url, ["websocket"], {"token": wide})
    refused = client.call("join_room", join("team-9", "ada"))
    assert (refused["code"], refused["limit"]) == ("too_many_rooms_made", 3)
    client.disconnect()
    assert make(server, token("bob", "team-*"), "team-5", "bob") == "ok", "others are not held"
    assert make(server, token("ada", "studio"), "studio") == "ok", "its issuer meant this room"
    assert make(server, token("root", "*", "admin"), "team-6", "root") == "ok"


def test_an_address_makes_only_so_many_rooms_of_an_open_server(new_server: NewServer) -> None:
    server = new_server(PRESENCE_MAX_ROOMS_EACH=2, PRESENCE_TRUSTED_PROXIES=1)

    def join_from(address: str, room: str) -> int:
        return requests.post(
            f"{server.url}{ROOMS}/{room}/join",
            json=join(room, "ada"),
            headers={"X-Forwarded-For": address},
            timeout=10,
        ).status_code

    assert [join_from("203.0.113.1", f"r{n}") for n in range(3)] == [200, 200, 409]
    assert join_from("203.0.113.1:4711", "r3") == 409, "its port makes it nobody else"
    assert join_from("203.0.113.2", "r3") == 200
    client = PythonClient(server.url, ["websocket"])
    assert [client.call("join_room", join(f"s{n}", "bob"))["ok"] for n in range(3)] == [
        True,
        True,
        False,
    ]
    client.disconnect()


def test_a_removed_room_makes_place_for_another(new_server: NewServer) -> None:
    server = new_server(**LOCKED, PRESENCE_MAX_ROOMS_EACH=1)
    wide = token("ada", "team-*")
    assert [make(server, wide, "team-1"), make(server, wide, "team-2")] == [
        "ok",
        "too_many_rooms_made",
    ]
    assert ask(server, "DELETE", f"{ROOMS}/team-1", admin("team-1")).ok
    assert make(server, wide, "team-2") == "ok"


def test_an_admin_removes_a_room_with_all_that_is_in_it(locked: LiveServer, room: str) -> None:
    client = joined(locked, "ada", room)
    stored = upload(locked, token("ada", room), room, "ada")
    watcher = PythonClient(locked.url, ["websocket"], {"token": token("eve", "*", "list")})
    assert watcher.call("watch", {"room_name": room})["ok"]
    before = ask(locked, "GET", f"{ROOMS}/{room}", admin(room)).json()["version"]
    answer = ask(locked, "DELETE", f"{ROOMS}/{room}", admin(room)).json()
    assert (answer["put_out"], answer["peers_erased"], answer["files_deleted"]) == (["ada"], 1, 1)
    assert answer["version"] > before
    told = hears(client, "leave_room_success")
    assert (told["reason"], told["is_active"]) == ("room_removed", False)
    assert client.call("signal", {"to": "ada", "data": 1})["code"] == "not_joined"
    hears(watcher, "room_changed", lambda body: body["total_peers"] == 0)
    gone = ask(locked, "GET", f"{ROOMS}/{room}", admin(room))
    assert (gone.status_code, gone.json()["code"]) == (404, "room_not_found")
    assert ask(locked, "GET", stored["file_url"]).status_code == 404
    assert ask(locked, "DELETE", f"{ROOMS}/{room}", admin(room)).status_code == 404
    again = client.call("join_room", join(room, "ada"))
    assert again["ok"]
    assert again["version"] > answer["version"], "nobody takes an older list for a newer one"
    client.disconnect()
    watcher.disconnect()


def test_who_is_no_admin_removes_no_room(locked: LiveServer, room: str) -> None:
    made = token("ada", room)
    assert make(locked, made, room) == "ok"
    assert ask(locked, "DELETE", f"{ROOMS}/{room}", made).json()["code"] == "not_granted"
