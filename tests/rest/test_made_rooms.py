"""Rooms as things: made before anybody joins, changed, listed page by page, and kept."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, ask, join
from tests.support.clients import PythonClient, hears
from tests.support.keys import LOCKED, token

NewServer = Callable[..., LiveServer]
# It is made when the tests are collected, and the last of them run much later.
ADMIN = token("root", "*", "admin", ttl=6 * 3600)


@pytest.fixture(scope="module")
def made_only(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A locked server that makes no rooms for whoever joins, and tells what happens."""
    server = LiveServer(
        tmp_path_factory.mktemp("made"),
        **LOCKED,
        PRESENCE_ROOMS="made",
        PRESENCE_MAX_PEERS="9",
        PRESENCE_KEEP_EVENTS="1d",
        PRESENCE_KEEP_EMPTY_ROOMS="1s",
        PRESENCE_KEEP_INACTIVE_PEERS="1d",
    ).start()
    yield server
    server.kill()


def put(server: LiveServer, room: str, made: str | None = None, **terms: Any) -> requests.Response:
    return ask(server, "PUT", f"{ROOMS}/{quote(room)}", made or ADMIN, json=terms)


def come(server: LiveServer, room: str, peer_id: str) -> Any:
    """Join over REST; return the answer's body."""
    who = token(peer_id, room)
    return ask(server, "POST", f"{ROOMS}/{room}/join", who, json=join(room, peer_id)).json()


def test_a_room_is_made_and_changed_and_stays(made_only: LiveServer) -> None:
    answer = put(made_only, "studio", max_peers=2, keep_inactive=60)
    assert answer.status_code == 201
    body = answer.json()
    shown = {name: body[name] for name in ("max_peers", "keep_inactive", "closed", "made")}
    assert shown == {"max_peers": 2, "keep_inactive": 60, "closed": False, "made": True}

    again = put(made_only, "studio", max_peers=2)
    assert (again.status_code, again.json()["version"]) == (200, body["version"])
    assert again.json()["keep_inactive"] == 60, "what is left out stays"
    changed = put(made_only, "studio", max_peers=None, keep_inactive=None).json()
    assert (changed["max_peers"], changed["keep_inactive"]) == (9, None)
    assert changed["version"] == body["version"] + 1

    listed = ask(made_only, "GET", f"{ROOMS}/studio", ADMIN).json()
    assert (listed["max_peers"], listed["version"]) == (9, changed["version"])

    made_only.kill()
    made_only.start()
    assert put(made_only, "studio").json()["max_peers"] == 9


def test_what_a_server_does_not_let_rooms_have_is_refused(made_only: LiveServer) -> None:
    for terms in (
        {"max_peers": 10},
        {"max_peers": 0},
        {"max_peers": True},
        {"max_peers": "2"},
        {"keep_inactive": 86_401},
        {"keep_inactive": -1},
        {"closed": 1},
    ):
        refused = put(made_only, "refused", **terms)
        assert refused.status_code == 422, terms
        assert refused.json()["field"] == next(iter(terms))
    assert ask(made_only, "GET", f"{ROOMS}/refused", ADMIN).status_code == 404
    mere = token("ada", "refused", ("join", "publish"))
    assert put(made_only, "refused", mere).status_code == 403


def test_only_rooms_that_were_made_can_be_joined(made_only: LiveServer) -> None:
    assert come(made_only, "nowhere", "ada")["code"] == "room_not_made"
    client = PythonClient(made_only.url, ["websocket"], {"token": token("ada", "*")})
    assert client.call("join_room", join("nowhere", "ada"))["code"] == "room_not_made"
    put(made_only, "somewhere")
    assert client.call("join_room", join("somewhere", "ada"))["ok"]
    # On the way from one room to another, too: the first one is not left for nothing.
    assert client.call("join_room", join("nowhere", "ada"))["code"] == "room_not_made"
    assert come(made_only, "somewhere", "bob")["active_peers"] == 2
    client.disconnect()
    ask(made_only, "DELETE", f"{ROOMS}/somewhere", ADMIN)
    assert come(made_only, "somewhere", "ada")["code"] == "room_not_made"


def test_a_room_holds_exactly_as_many_as_it_was_made_for(made_only: LiveServer) -> None:
    put(made_only, "small", max_peers=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: come(made_only, "small", f"p{n}"), range(12)))
    refused = [answer for answer in answers if answer.get("code")]
    assert len(refused) == 9
    assert {(one["code"], one["max_peers"]) for one in refused} == {("room_full", 3)}
    # Nobody is put out by fewer places; nobody new comes in.
    put(made_only, "small", max_peers=1)
    assert ask(made_only, "GET", f"{ROOMS}/small", ADMIN).json()["active_peer_count"] == 3
    assert come(made_only, "small", "late")["code"] == "room_full"
    put(made_only, "small", max_peers=4)
    assert come(made_only, "small", "late")["max_peers"] == 4


def test_who_is_there_is_shown_the_new_number_of_places(made_only: LiveServer) -> None:
    put(made_only, "seen", max_peers=3)
    client = PythonClient(made_only.url, ["websocket"], {"token": token("ada", "seen")})
    assert client.call("join_room", join("seen", "ada"))["max_peers"] == 3
    put(made_only, "seen", max_peers=5)
    assert hears(client, "peer_list_updated", lambda body: body["max_peers"] == 5)
    client.disconnect()


def test_a_room_is_closed_and_opened_by_what_it_is_to_be(made_only: LiveServer) -> None:
    assert put(made_only, "shut", closed=True).json()["closed"]
    assert come(made_only, "shut", "ada")["code"] == "room_closed"
    assert not put(made_only, "shut", closed=False).json()["closed"]
    client = PythonClient(made_only.url, ["websocket"], {"token": token("ada", "shut")})
    assert client.call("join_room", join("shut", "ada"))["ok"]
    assert put(made_only, "shut", closed=True).json()["put_out"] == ["ada"]
    hears(client, "leave_room_success", lambda body: body["reason"] == "room_closed")
    assert put(made_only, "shut", max_peers=1).json()["closed"], "what is left out stays"
    client.disconnect()


def test_backends_are_told_and_the_rooms_own_time_for_peers_counts(made_only: LiveServer) -> None:
    made = put(made_only, "told", max_peers=2, keep_inactive=1).json()
    assert come(made_only, "told", "ada")["success"]
    ask(made_only, "POST", f"{ROOMS}/told/leave?peer_id=ada", token("ada", "told"))

    def left() -> bool:
        room = ask(made_only, "GET", f"{ROOMS}/told", ADMIN).json()
        return bool(room["total_peer_count"] == 0)

    eventually(left, "ada is erased by the room's own time, long before the server's", 20)
    ask(made_only, "DELETE", f"{ROOMS}/told", ADMIN)

    def told() -> list[dict[str, Any]]:
        answer = ask(made_only, "GET", "/api/webrtc/events?room=told", ADMIN)
        return list(answer.json()["events"])

    eventually(lambda: told() and told()[-1]["type"] == "room_removed", "all is told")
    events = told()
    first = {name: events[0][name] for name in ("type", "max_peers", "version")}
    assert first == {"type": "room_made", "max_peers": 2, "version": made["version"]}
    assert [(event["type"], event.get("reason")) for event in events[1:]] == [
        ("peer_joined", None),
        ("peer_left", None),  # it was erased since
        ("room_emptied", None),
        ("peer_left", "erased"),
        ("room_removed", "removed"),
    ]


def test_an_open_server_lets_anybody_make_rooms_up_to_a_number(new_server: NewServer) -> None:
    server = new_server(PRESENCE_MAX_ROOMS_EACH=2)
    statuses = [
        requests.put(f"{server.url}{ROOMS}/r{number}", json={}, timeout=10).status_code
        for number in (0, 1, 1, 2)
    ]
    assert statuses == [201, 201, 200, 409]
    shut = requests.put(f"{server.url}{ROOMS}/r1", json={"closed": True}, timeout=10)
    assert shut.json()["code"] == "open_mode", "nobody can be shut out where nobody is known"


def test_rooms_are_listed_page_by_page(made_only: LiveServer) -> None:
    names = [f"page-{number:02}" for number in range(7)]
    for name in [*names, "Page-x", "page%-y"]:
        put(made_only, name)
    come(made_only, names[3], "ada")
    who = token("lister", "page-*", ("list",))

    def page(query: str) -> tuple[list[str], str | None]:
        answer = ask(made_only, "GET", f"{ROOMS}{query}", who)
        assert answer.status_code == 200, answer.text
        return list(answer.json()), answer.links.get("next", {}).get("url")

    everything, further = page("")
    assert (everything, further) == (names, None), "nothing asked, nothing changed"
    seen: list[str] = []
    query: str | None = "?prefix=page-&limit=3"
    while query:
        some, query = page(query)
        seen += some
    assert seen == names
    assert page("?active=true") == ([names[3]], None)
    assert page("?active=0&after=page-02&limit=2") == (
        ["page-04", "page-05"],
        "?active=false&after=page-05&limit=2",
    )
    assert page("?prefix=%25") == ([], None)
    assert page("?prefix=Page") == ([], None), "the token is not for that one"
    for wrong in ("limit=0", "limit=1001", "limit=x", "active=maybe"):
        refused = ask(made_only, "GET", f"{ROOMS}?{wrong}", who)
        assert (refused.status_code, refused.json()["field"]) == (422, wrong.split("=")[0])
