"""Announcing: after the commit, coalesced, the same bytes for everyone, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import PythonClient, events, hears


def of_version(version: int) -> Callable[[dict[str, Any]], bool]:
    return lambda body: body["version"] == version


def test_a_storm_of_joins_costs_a_few_lists_and_the_last_shows_everybody(
    server: LiveServer, room: str, connect: Callable[..., Any]
) -> None:
    watcher = connect(server, "javascript")
    watcher.call("join_room", {"room_name": room, "peer_id": "watcher", "username": "W"})
    count = 40
    clients: list[PythonClient] = [connect(server, "python", ["websocket"]) for _ in range(count)]
    together = threading.Barrier(count)

    def join(number: int) -> None:
        together.wait()
        message = {"room_name": room, "peer_id": f"peer{number}", "username": f"P{number}"}
        clients[number].call("join_room", message)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(join, range(count)))
    hears(watcher, "peer_list_updated", lambda body: body["active_peers"] == count + 1)
    lists = events(watcher, "peer_list_updated")
    assert len(lists) < count / 2
    versions = [body["version"] for body in lists]
    assert versions == sorted(set(versions))


def test_a_single_change_is_announced_at_once(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    server = new_server(PRESENCE_ANNOUNCE_WINDOW=60)
    bob = connect(server)
    bob.call("join_room", {"room_name": "r", "peer_id": "bob", "username": "Bob"})
    hears(bob, "peer_list_updated", seconds=5)


def test_what_is_announced_has_been_committed(
    server: LiveServer, room: str, connect: Callable[..., Any]
) -> None:
    bob, alice = connect(server), connect(server)
    seen: list[tuple[int, int]] = []

    def compare(body: dict[str, Any]) -> None:
        stored = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()
        seen.append((body["version"], stored["version"]))

    bob._sio.on("peer_list_updated", compare)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    for number in range(20):
        alice.call("join_room", {"room_name": room, "peer_id": f"a{number}", "username": "A"})
    alice.call("leave_room")
    eventually(lambda: seen, "lists were announced")
    assert all(announced <= stored for announced, stored in seen)


def test_a_list_says_what_rest_says(
    server: LiveServer, room: str, connect: Callable[..., Any]
) -> None:
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    heard = hears(bob, "peer_list_updated")
    stored = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()
    assert heard["peers"] == stored["peers"]
    assert (heard["active_peers"], heard["total_peers"], heard["version"]) == (
        stored["active_peer_count"],
        stored["total_peer_count"],
        stored["version"],
    )


def test_one_busy_client_does_not_silence_the_others(
    server: LiveServer, room: str, connect: Callable[..., Any]
) -> None:
    busy, calm = connect(server, "javascript"), connect(server)
    busy.call("join_room", {"room_name": room, "peer_id": "busy", "username": "Busy"})
    hears(busy, "peer_list_updated")
    for number in range(2000):
        busy.emit("update_user_data", {"user_data": {"n": number}})
    hears(busy, "update_user_data_success")
    answer = calm.call("join_room", {"room_name": f"{room}2", "peer_id": "calm", "username": "C"})
    assert answer["ok"]
    handled = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()
    assert handled["peers"][0]["user_data"]["n"] < 1999, "answered before the burst has ended"
    hears(busy, "update_user_data_success", lambda body: body["user_data"]["n"] == 1999, 30)


def test_notices_that_wait_for_each_other_in_a_large_room_do_not_wait_for_the_list(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    # A notice waits for 3 ms here, a list for 60 s; and no ping takes a notice along.
    server = new_server(PRESENCE_ANNOUNCE_WINDOW=60, PRESENCE_PING_INTERVAL=60)
    clients = [connect(server, "python", ["websocket"]) for _ in range(40)]
    for number, client in enumerate(clients):
        client.call("join_room", {"room_name": "r", "peer_id": f"p{number}", "username": "P"})
    for number in range(20):
        clients[1].emit("update_user_data", {"user_data": {"n": number}})
        updated = clients[1].call("update_user_data", {"user_data": {"n": number, "last": True}})
        hears(clients[0], "user_data_updated", of_version(updated["version"]))
    versions = [body["version"] for body in events(clients[0], "user_data_updated")]
    assert len(versions) == 40
    assert len(events(clients[0], "peer_list_updated")) == 1
