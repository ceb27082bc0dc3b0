"""A room's capacity counts active peers only, and holds however many join at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support.clients import hears

# How often the race is run; PRESENCE_TEST_ROUNDS makes it a campaign.
ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "3"))

NewServer = Callable[..., LiveServer]


def join(server: LiveServer, peer_id: str) -> requests.Response:
    return requests.post(
        f"{server.url}/api/webrtc/rooms/r/join",
        json={"peer_id": peer_id, "username": peer_id},
        timeout=30,
    )


def leave(server: LiveServer, peer_id: str) -> None:
    requests.post(f"{server.url}/api/webrtc/rooms/r/leave", params={"peer_id": peer_id}, timeout=30)


def active(server: LiveServer) -> int:
    room = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=30).json()
    count: int = room["active_peer_count"]
    assert count == sum(peer["is_active"] for peer in room["peers"])
    return count


def test_a_full_room_refuses_and_takes_the_next_when_somebody_has_left(
    new_server: NewServer,
) -> None:
    server = new_server(PRESENCE_MAX_PEERS=2)
    assert [join(server, name).status_code for name in ("a", "b", "c")] == [200, 200, 409]
    refused = join(server, "c").json()
    assert (refused["code"], refused["max_peers"]) == ("room_full", 2)
    leave(server, "a")
    assert join(server, "c").status_code == 200
    assert active(server) == 2


def test_a_reactivation_counts_as_a_join(new_server: NewServer) -> None:
    server = new_server(PRESENCE_MAX_PEERS=2)
    for name in ("a", "b"):
        join(server, name)
    leave(server, "a")
    join(server, "c")
    assert join(server, "a").status_code == 409
    leave(server, "b")
    assert join(server, "a").status_code == 200


def test_who_is_inside_may_join_again_and_open_another_tab(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    server = new_server(PRESENCE_MAX_PEERS=1)
    message = {"room_name": "r", "peer_id": "a", "username": "A"}
    tabs = [connect(server), connect(server)]
    assert [tab.call("join_room", message)["ok"] for tab in tabs + tabs] == [True] * 4
    assert join(server, "a").status_code == 200
    outside = connect(server)
    outside.emit("join_room", {**message, "peer_id": "b"})
    assert hears(outside, "join_room_error")["code"] == "room_full"


@pytest.mark.timeout(120 + 5 * ROUNDS)
@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_of_many_that_join_at_once_exactly_as_many_get_in_as_there_are_places(
    new_server: NewServer, mode: str
) -> None:
    # So many rounds are more requests than one address may make.
    server = new_server(mode, PRESENCE_MAX_PEERS=100, PRESENCE_REQUESTS_PER_MINUTE=0)
    for round_ in range(ROUNDS):
        names = [f"peer {round_ % 3} {number}" for number in range(200)]
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(lambda name: join(server, name).status_code, names))
        assert (statuses.count(200), statuses.count(409)) == (100, 100)
        assert active(server) == 100
        for name, status in zip(names, statuses, strict=True):
            if status == 200:
                leave(server, name)


def test_a_room_keeps_the_capacity_it_was_made_with(new_server: NewServer) -> None:
    server = new_server(PRESENCE_MAX_PEERS=1)
    join(server, "a")
    server.kill()
    server.set(PRESENCE_MAX_PEERS=5)
    server.start()
    assert join(server, "a").status_code == 200
    assert join(server, "b").json()["max_peers"] == 1
