"""Whatever was told late or not at all: when it is quiet, every worker shows what is stored.

Each worker keeps what its rooms show in memory and puts over it what it and the others tell. Here
several write one room while one of them is frozen, also between its commit and its telling, while
messages are lost, or while nothing is said for a while. `PRESENCE_TEST_ROUNDS` is how often.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from local_cluster.private_cluster import NewCluster, PrivateCluster
from local_cluster.private_postgresql import database_name
from local_cluster.waiting import eventually
from tests.support.clients import events
from tests.support.rest import Rest

ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "3"))
SEED = int(os.environ.get("PRESENCE_TEST_SEED", "1"))
_WRITING_SECONDS = 1.0
# How long a worker or Redis says nothing: less than makes anybody take a connection for lost.
_SILENT_SECONDS = 0.4
# Within which lists are right again although messages were lost, as docs/reliability.md has it.
_RIGHT_SECONDS = 10

Connect = Callable[..., Any]
# What lists show of each peer, by peer_id, and the version.
Shown = tuple[int, dict[str, tuple[Any, bool]]]


def stored(cluster: PrivateCluster) -> Shown:
    """What the database has of the room."""
    name = database_name(cluster.database_url)
    rows = cluster.postgresql.execute(
        name,
        "SELECT r.version, p.peer_id, p.user_data, "
        "EXISTS (SELECT 1 FROM sessions s WHERE s.peer_row_id = p.id) "
        "FROM rooms r JOIN peers p ON p.room_id = r.id WHERE r.name = 'r'",
    )
    return rows[0][0], {peer_id: (data, active) for _, peer_id, data, active in rows}


def shown(body: dict[str, Any]) -> Shown:
    """What a list shows."""
    peers = {peer["peer_id"]: (peer["user_data"], peer["is_active"]) for peer in body["peers"]}
    return body["version"], peers


def freeze(cluster: PrivateCluster, chance: random.Random) -> None:
    worker = chance.choice(cluster.workers)
    worker.signal(signal.SIGSTOP)
    time.sleep(_SILENT_SECONDS)
    worker.signal(signal.SIGCONT)


def lose_messages(cluster: PrivateCluster, _chance: random.Random) -> None:
    with suppress(redis.RedisError):
        cluster.redis.client().client_kill_filter(_type="pubsub")


def say_nothing(cluster: PrivateCluster, _chance: random.Random) -> None:
    cluster.redis.signal(signal.SIGSTOP)
    time.sleep(_SILENT_SECONDS)
    cluster.redis.signal(signal.SIGCONT)


def wait_until_shown(client: Any, truth: Shown, what: str) -> None:
    def is_shown() -> bool:
        return shown(events(client, "peer_list_updated")[-1]) == truth

    eventually(is_shown, what, _RIGHT_SECONDS, interval=0.1)


@pytest.mark.timeout(120 + 30 * ROUNDS)
@pytest.mark.parametrize("workers", [2, 3])
def test_at_every_quiet_point_every_worker_shows_what_is_stored(
    new_cluster: NewCluster, connect: Connect, workers: int
) -> None:
    cluster = new_cluster(workers, PRESENCE_REQUESTS_PER_MINUTE=0)
    chance = random.Random(SEED)
    clients = {f"p{number}": connect(cluster.workers[number % workers]) for number in range(6)}
    for peer_id, client in clients.items():
        body = {"room_name": "r", "peer_id": peer_id, "username": peer_id}
        assert client.call("join_room", body)["ok"]
    rests = [Rest(worker) for worker in cluster.workers]
    quiet = threading.Event()

    def write(peer_id: str, number: int) -> None:
        own = random.Random(number)
        while not quiet.is_set():
            number += 1
            if own.random() < 0.8:
                clients[peer_id].call("update_user_data", {"user_data": {"own": number}})
            else:
                other = own.choice(list(clients))
                path = f"/rooms/r/update-data?peer_id={other}"
                own.choice(rests).post(path, {"user_data": {peer_id: number}})

    for round_ in range(ROUNDS):
        quiet.clear()
        writers = [
            threading.Thread(target=write, args=[peer_id, 1000 * round_ + place])
            for place, peer_id in enumerate(clients)
        ]
        for writer in writers:
            writer.start()
        until = time.monotonic() + _WRITING_SECONDS
        while time.monotonic() < until:
            chance.choice([freeze, lose_messages, say_nothing])(cluster, chance)
            time.sleep(chance.random() / 5)
        quiet.set()
        for writer in writers:
            writer.join()

        truth = stored(cluster)
        assert all(active for _, active in truth[1].values())
        for place, rest in enumerate(rests):
            assert shown(rest.get("/rooms/r").json()) == truth, f"worker {place}, round {round_}"
        for peer_id, client in clients.items():
            wait_until_shown(client, truth, f"{peer_id} is shown it, round {round_}")
            assert client.connected
    assert "Traceback" not in cluster.log_text()
