"""Watching: hearing that rooms change without being in any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from local_cluster.live_server import LiveServer
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
