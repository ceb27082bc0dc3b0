"""States of the moment over workers that are killed, and while Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_cluster.private_cluster import NewCluster
from local_cluster.waiting import eventually
from tests.support.clients import events

Connect = Callable[..., Any]


def join(client: Any, peer_id: str) -> Any:
    message = {"room_name": "r", "peer_id": peer_id, "username": peer_id, "states": True}
    assert client.call("join_room", message)["ok"]
    return client


def seen(client: Any) -> dict[str, Any]:
    told = [one for body in events(client, "states_changed") for one in body["states"]]
    newest = {one["peer_id"]: one["state"] for one in told}
    return {peer_id: state for peer_id, state in newest.items() if state is not None}


def test_those_of_a_worker_that_is_killed_are_gone(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster()
    here, there = join(connect(cluster.workers[0]), "a"), join(connect(cluster.workers[1]), "b")
    there.call("state", {"state": {"typing": True}})
    eventually(lambda: seen(here) == {"b": {"typing": True}}, "it is seen")
    cluster.workers[1].kill()
    eventually(lambda: seen(here) == {}, "it is gone", 40)


def test_what_changed_while_redis_was_away_is_seen_when_it_is_back(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster()
    here, there = join(connect(cluster.workers[0]), "a"), join(connect(cluster.workers[1]), "b")
    here.call("state", {"state": {"n": 1}})
    eventually(lambda: seen(there) == {"a": {"n": 1}}, "it is seen")
    cluster.redis.stop()
    here.call("state", {"state": {"n": 2}})
    cluster.redis.start()
    eventually(lambda: seen(there) == {"a": {"n": 2}}, "the newest is seen", 30)
