"""``python -m benchmarks.cluster``: what relays and updates cost on PostgreSQL, beside a rival's.

Clients are connected to the workers directly and spread over them evenly. Contenders take turns in
every round, and what is printed are medians. Beside the rate stands the processor time that each
part took for one relay or update: on a machine with few cores, shared with the clients, that tells
more than the rate does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import node_cluster
from benchmarks.clients import SocketClient
from benchmarks.frames import event_frame
from benchmarks.load import ConnectionLost, Load
from benchmarks.node_cluster import NodeCluster
from benchmarks.relay_workload import Relayed
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql

_PAIRS = 12
_ROOMS = 24
_PEERS = 20
_TICKS = os.sysconf("SC_CLK_TCK")
# Nothing here is what a limit is made for.
_UNLIMITED: dict[str, Any] = {
    "PRESENCE_EVENTS_PER_SECOND": 0,
    "PRESENCE_PING_TIMEOUT": 60,
    "PRESENCE_STALL_SECONDS": 60,
}
_COALESCE_MS = {"node": 0, "node-coalesced": 50}

AnyCluster = PrivateCluster | NodeCluster
Workload = Callable[[Load, AnyCluster], Callable[[], int]]


def connect(load: Load, cluster: AnyCluster, worker: int) -> SocketClient:
    """Return a client that is connected to a worker, counted round from 0."""
    load.port = cluster.workers[worker % len(cluster.workers)].port
    client = SocketClient(load)
    load.await_(lambda: client.connected, "connected")
    return client


def join(load: Load, client: SocketClient, room_name: str, peer_id: str) -> None:
    """Let a client join a room, and wait until it has."""
    client.join(room_name, peer_id)
    load.await_(lambda: client.joined_at > 0, "join_room_success")


def relays(load: Load, cluster: AnyCluster, distance: int = 0) -> Callable[[], int]:
    """Relay signals between pairs in rooms of their own; returns what counts those delivered.

    The second of a pair is connected to the worker that stands `distance` behind the first's.
    """
    relayed = Relayed()
    for pair in range(_PAIRS):
        sender, receiver = connect(load, cluster, pair), connect(load, cluster, pair + distance)
        join(load, sender, f"relay{distance} {pair}", "sender")
        join(load, receiver, f"relay{distance} {pair}", "receiver")
        receiver.on_message = relayed.count
        relayed.drive(sender, "receiver")
    return lambda: relayed.delivered


def relays_between(load: Load, cluster: AnyCluster) -> Callable[[], int]:
    """Relay signals between clients of different workers."""
    return relays(load, cluster, 1)


def updates(load: Load, cluster: AnyCluster, rooms: int = _ROOMS) -> Callable[[], int]:
    """Change user data, one update after the other, by clients spread over so many rooms."""
    done = 0

    def again(client: SocketClient, head: bytes, _now: float) -> None:
        nonlocal done
        if head.startswith(b"43"):
            done += 1
            client.send(event_frame("update_user_data", {"user_data": {"mark": done}}, 1))

    clients = []
    for number in range(max(rooms, _PEERS)):
        client = connect(load, cluster, number)
        join(load, client, f"updates {rooms} {number % rooms}", f"peer-{number}")
        client.on_message = again
        clients.append(client)
    for client in clients:
        again(client, b"43", 0.0)
    return lambda: done


def updates_of_one_room(load: Load, cluster: AnyCluster) -> Callable[[], int]:
    """Change user data by all the peers of one room."""
    return updates(load, cluster, 1)


WORKLOADS: dict[str, Workload] = {
    "relays within a worker": relays,
    "relays between workers": relays_between,
    "updates, each in its room": updates,
    f"updates, {_PEERS} in one room": updates_of_one_room,
}


def processor_time(group: int) -> float:
    """Return the seconds of processor time that a group of processes has taken so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            values = path.read_text().rpartition(")")[2].split()
            if int(values[2]) == group:
                ticks += int(values[11]) + int(values[12])
    return ticks / _TICKS


def measure(cluster: AnyCluster, workload: Workload, seconds: float) -> dict[str, float]:
    """Return how many a second, and the µs of processor time that each part took for one."""
    load = Load(cluster.workers[0].port)
    try:
        count = workload(load, cluster)
        load.run(seconds / 3)
        groups = {
            "workers": [worker.group for worker in cluster.workers],
            "PostgreSQL": cluster.postgresql.groups(),
            "Redis": [cluster.redis.group],
            "clients": [os.getpgrp()],
        }
        before = {name: sum(map(processor_time, members)) for name, members in groups.items()}
        first, began = count(), time.perf_counter()
        load.run(seconds)
        done, wall = count() - first, time.perf_counter() - began
        took = {
            name: (sum(map(processor_time, members)) - before[name]) / max(done, 1) * 1e6
            for name, members in groups.items()
        }
        return {"rate": done / wall, **took}
    finally:
        load.close()


def measured(
    postgresql: PrivatePostgresql, contender: str, workers: int, seconds: float
) -> dict[str, dict[str, float]]:
    """Start a contender, and return the figures of each of its workloads."""
    cluster: AnyCluster
    if contender == "presence":
        cluster = PrivateCluster(postgresql, workers, **_UNLIMITED)
    else:
        cluster = NodeCluster(postgresql, workers, _COALESCE_MS[contender])
    try:
        cluster.start()
        return {
            name: measure(cluster, workload, seconds)
            for name, workload in WORKLOADS.items()
            if not (name.startswith("relays") and contender != "presence")
            and not (name == "relays between workers" and workers == 1)
        }
    except ConnectionLost:
        print(cluster.log_text()[-3000:], file=sys.stderr)
        raise
    finally:
        cluster.close()


def main() -> None:
    """Measure every workload and contender with each number of workers, in rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rivals", action="store_true", help="measure Node's Socket.IO, too")
    arguments = parser.parse_args()
    contenders = ["presence", *(_COALESCE_MS if arguments.rivals else ())]
    if arguments.rivals and node_cluster.missing():
        parser.error(node_cluster.missing())
    figures: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    postgresql = PrivatePostgresql()
    try:
        postgresql.start()
        for _ in range(arguments.rounds):
            for workers in arguments.workers:
                for contender in contenders:
                    found = measured(postgresql, contender, workers, arguments.seconds)
                    for name, values in found.items():
                        figures.setdefault((name, workers, contender), []).append(values)
    finally:
        postgresql.close()
        for (name, workers, contender), rounds in sorted(figures.items()):
            medians = {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}
            rate = medians.pop("rate")
            parts = "  ".join(f"{part} {time_:5.0f}" for part, time_ in medians.items())
            print(f"{name:26} {workers} × {contender:15} {rate:6.0f}/s   µs each: {parts}")


if __name__ == "__main__":
    main()
