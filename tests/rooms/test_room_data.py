"""The data of a room: shared by all in it, changed by anybody, lost by nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import events, hears
from tests.support.rest import Rest, refusal

Connect = Callable[..., Any]
Enter = Callable[[], Any]


def join(client: Any, room: str, peer_id: str, **more: Any) -> dict[str, Any]:
    message = {"room_name": room, "peer_id": peer_id, "username": peer_id, **more}
    answer: dict[str, Any] = client.call("join_room", message)
    assert answer["ok"], answer
    return answer


def set_data(client: Any, **data: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.call("update_room_data", {"room_data": data})
    assert answer["ok"], answer
    return answer


@pytest.fixture
def rest(server: LiveServer) -> Rest:
    return Rest(server)


@pytest.fixture
def enter(server: LiveServer, connect: Connect) -> Enter:
    return lambda: connect(server)


def test_whoever_is_in_the_room_hears_of_a_change_and_who_comes_later_has_it(
    enter: Enter, room: str, rest: Rest
) -> None:
    ada, bob, grace = enter(), enter(), enter()
    assert "room_data" not in join(ada, room, "ada")
    join(bob, room, "bob", updates="delta")
    answer = set_data(ada, slide=1, title="Hello")
    assert answer["room_data"] == {"slide": 1, "title": "Hello"}
    for client in (ada, bob):
        notice = hears(client, "room_data_updated")
        assert notice == {
            "room_name": room,
            "room_data": {"slide": 1, "title": "Hello"},
            "changed": ["slide", "title"],
            "version": answer["version"],
            "by": "ada",
        }
    told = hears(bob, "peer_updated", lambda body: "room_data" in body)
    assert told["room_data"] == answer["room_data"]
    hears(ada, "peer_list_updated", lambda body: body.get("room_data") == answer["room_data"])
    assert join(grace, room, "grace")["room_data"] == answer["room_data"]
    assert rest.get(f"/rooms/{room}").json()["room_data"] == answer["room_data"]
    assert rest.get("/rooms").json()[room]["room_data"] == answer["room_data"]
    assert bob.call("sync", {"since": 0})["room_data"] == answer["room_data"]


def test_keys_are_merged_removed_and_replaced_as_those_of_user_data(
    enter: Enter, room: str
) -> None:
    ada = enter()
    join(ada, room, "ada")
    set_data(ada, a=1, b=None)
    call = ada.call
    assert set_data(ada, c=[1])["room_data"] == {"a": 1, "b": None, "c": [1]}
    assert call("update_room_data", {"remove": ["a"]})["room_data"] == {"b": None, "c": [1]}
    replaced = call("update_room_data", {"room_data": {"d": 1}, "replace": True})
    assert replaced["room_data"] == {"d": 1}
    before = len(events(ada, "room_data_updated"))
    same = set_data(ada, d=1)
    assert same["version"] == replaced["version"], "nothing changed, and nothing was told"
    assert set_data(ada, d=1.0)["version"] > same["version"]
    assert call("update_room_data", {"replace": True})["room_data"] == {}
    hears(ada, "room_data_updated", lambda body: body["room_data"] == {})
    assert len(events(ada, "room_data_updated")) == before + 2
    bob = enter()
    assert join(bob, room, "bob")["room_data"] == {}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "invalid_field"),
        ({"room_data": []}, "invalid_field"),
        ({"room_data": {"a": "x" * 20_000}}, "room_data_too_large"),
        ({"room_data": {"a": "\x00"}}, "invalid_field"),
        ({"room_data": {}, "if_version": -1}, "invalid_field"),
        ({"remove": "a"}, "invalid_field"),
    ],
)
def test_what_cannot_be_is_answered_and_changes_nothing(
    enter: Enter, room: str, rest: Rest, message: dict[str, Any], code: str
) -> None:
    ada = enter()
    join(ada, room, "ada")
    version = set_data(ada, a=1)["version"]
    assert ada.call("update_room_data", message)["code"] == code
    assert refusal(rest.post(f"/rooms/{room}/data", message))[1] == code
    kept = rest.get(f"/rooms/{room}/data").json()
    assert kept == {"room_name": room, "room_data": {"a": 1}, "version": version, "by": "ada"}


def test_data_that_grows_too_large_by_several_updates_is_refused(enter: Enter, room: str) -> None:
    ada = enter()
    join(ada, room, "ada")
    set_data(ada, a="x" * 10_000)
    refused = ada.call("update_room_data", {"room_data": {"b": "x" * 10_000}})
    assert (refused["code"], refused["field"]) == ("room_data_too_large", "room_data")
    assert set_data(ada, a="y")["room_data"] == {"a": "y"}


def test_a_backend_changes_it_too_and_names_a_peer_or_none(
    enter: Enter, room: str, rest: Rest
) -> None:
    ada = enter()
    path = f"/rooms/{room}/data"
    assert refusal(rest.post(path, {"room_data": {}})) == (404, "room_not_found")
    join(ada, room, "ada")
    assert refusal(rest.post(path, {"room_data": {}, "peer_id": "eve"})) == (404, "peer_not_found")
    stored = rest.post(path, {"room_data": {"x": 1}}).json()
    assert stored["success"] is True
    assert hears(ada, "room_data_updated")["by"] is None
    rest.post(f"{path}?peer_id=ada", {"room_data": {"x": 2}})
    assert (
        hears(ada, "room_data_updated", lambda body: body["room_data"] == {"x": 2})["by"] == "ada"
    )
    # A change with no peer in it reaches those who follow changes.
    bob = enter()
    join(bob, room, "bob", updates="delta")
    rest.post(path, {"room_data": {"x": 3}})
    told = hears(bob, "peer_updated", lambda body: body.get("room_data") == {"x": 3})
    assert told["peers"] == []


def test_two_tabs_that_count_up_with_if_version_lose_nothing(enter: Enter, room: str) -> None:
    tabs = [enter(), enter()]
    version = max(join(tab, room, "ada")["version"] for tab in tabs)
    seen: list[tuple[int, dict[str, int]]] = [(version, {})] * 2

    def count_up(number: int) -> None:
        tab, (at, data) = tabs[number], seen[number]
        done = 0
        while done < 20:
            wanted = {"count": data.get("count", 0) + 1}
            answer = tab.call("update_room_data", {"room_data": wanted, "if_version": at})
            assert answer["ok"] or answer["code"] == "room_data_conflict", answer
            at, data = answer["version"], answer["room_data"]
            done += answer["ok"]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count_up, range(2)))
    hears(tabs[0], "room_data_updated", lambda body: body["room_data"] == {"count": 40})


def test_200_writers_at_once_lose_none(server: LiveServer, room: str, rest: Rest) -> None:
    rest.join(room, "ada")
    begin = threading.Barrier(50)

    def write(number: int) -> int:
        if number < 50:
            begin.wait()
        body = {"room_data": {f"k{number}": number}}
        url = f"{server.url}/api/webrtc/rooms/{room}/data"
        return requests.post(url, json=body, timeout=60).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(write, range(200))) == {200}
    kept = rest.get(f"/rooms/{room}/data").json()["room_data"]
    assert kept == {f"k{number}": number for number in range(200)}
    assert rest.get(f"/rooms/{room}").json()["room_data"] == kept


def test_erasing_a_peer_takes_its_name_off_but_leaves_the_data(
    enter: Enter, room: str, rest: Rest
) -> None:
    ada, bob = enter(), enter()
    join(ada, room, "ada")
    join(bob, room, "bob")
    set_data(ada, x=1)
    rest.delete(f"/rooms/{room}/peers/bob")
    assert rest.get(f"/rooms/{room}/data").json()["by"] == "ada"
    rest.delete(f"/rooms/{room}/peers/ada")
    kept = rest.get(f"/rooms/{room}/data").json()
    assert (kept["by"], kept["room_data"]) == (None, {"x": 1})


def test_a_room_that_is_made_again_has_no_data(
    new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_KEEP_EMPTY_ROOMS="1s", PRESENCE_KEEP_INACTIVE_PEERS="1s")
    rest = Rest(server)
    ada = connect(server)
    join(ada, "r", "ada")
    set_data(ada, x=1)
    ada.disconnect()
    eventually(lambda: rest.get("/rooms/r").status_code == 404, "the room is gone", 30)
    ada = connect(server)
    assert "room_data" not in join(ada, "r", "ada")
    assert ada.call("update_room_data", {"room_data": {"y": 1}})["room_data"] == {"y": 1}


def test_it_outlives_a_crash(new_server: Callable[..., LiveServer], connect: Connect) -> None:
    server = new_server()
    ada = connect(server)
    join(ada, "r", "ada")
    set_data(ada, x={"deep": [1, 2.5, None, "é😀"]}, big=2**63)
    server.kill()
    server.start()
    assert join(connect(server), "r", "bob")["room_data"]["x"] == {"deep": [1, 2.5, None, "é😀"]}
