"""Watching: hearing that rooms change without being in any."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.over_rest import join_over_rest
from tests.support.clients import events, hears

Connect = Callable[..., Any]


def test_a_watcher_hears_of_each_change_and_is_not_present(
    connect: Connect, site: LiveServer, room: str
) -> None:
    watcher = connect(site)
    assert watcher.call("watch", {"room_name": room}) == {"ok": True, "watching": room}
    join_over_rest(site, room, "ada")
    body = hears(watcher, "room_changed")
    stored = requests.get(f"{site.url}/api/webrtc/rooms/{room}", timeout=10).json()
    assert body == {
        "room_name": room,
        "version": stored["version"],
        "active_peers": 1,
        "total_peers": 1,
    }
    assert events(watcher, "peer_list_updated") == []


def test_a_watcher_of_all_rooms_hears_that_some_room_changed(
    connect: Connect, site: LiveServer, room: str
) -> None:
    watcher = connect(site)
    assert watcher.call("watch", {}) == {"ok": True, "watching": None}
    for number in range(20):
        join_over_rest(site, f"{room} {number}", "ada")
    hears(watcher, "rooms_changed")
    assert len(events(watcher, "rooms_changed")) < 20
    assert events(watcher, "room_changed") == []


def test_watching_something_else_ends_watching_the_first(
    connect: Connect, site: LiveServer, room: str
) -> None:
    watcher = connect(site)
    watcher.call("watch", {"room_name": f"{room} one"})
    watcher.call("watch", {"room_name": f"{room} two"})
    join_over_rest(site, f"{room} one", "ada")
    join_over_rest(site, f"{room} two", "ada")
    hears(watcher, "room_changed", lambda body: body["room_name"] == f"{room} two")
    assert len(events(watcher, "room_changed")) == 1


def test_a_name_that_no_room_can_have_is_refused(connect: Connect, site: LiveServer) -> None:
    answer = connect(site).call("watch", {"room_name": "a/b"})
    assert (answer["ok"], answer["code"], answer["field"]) == (False, "invalid_field", "room_name")


@pytest.mark.parametrize("server", ["eventlet", "threading"])
def test_a_page_that_asks_when_it_hears_of_a_change_is_shown_it_whoever_else_has_asked(
    connect: Connect, new_server: Callable[..., LiveServer], server: str, room: str
) -> None:
    live = new_server(server)
    watcher = connect(live)
    watcher.call("watch", {"room_name": room})
    url = f"{live.url}/rooms/{room}/live"
    chance = random.Random(1)
    kind = "remove"
    for number in range(40):
        mark = f"mark-{number}"
        kind = "update" if kind == "remove" else chance.choice(["join", "update", "remove"])
        heard = len(events(watcher, "room_changed"))
        # Somebody else's page has just asked.
        for _ in range(chance.choice([0, 1, 3])):
            assert requests.get(url, timeout=10).ok
        if kind == "remove":
            path = f"{live.url}/api/webrtc/rooms/{room}"
            assert requests.delete(path, timeout=10).ok
        else:
            join_over_rest(live, room, mark if kind == "join" else "ada", role=mark)
        eventually(
            lambda heard=heard: len(events(watcher, "room_changed")) > heard,  # type: ignore[misc]
            "the change is told",
        )
        shown = [requests.get(url, timeout=10).text for _ in range(2)]
        if kind == "remove":
            assert not any("ada" in one for one in shown), number
        else:
            assert all(mark in one for one in shown), (kind, number)
