"""``python -m benchmarks.cluster``: relays and updates with 1, 2 and 3 workers, and their limits.

Clients are connected to the workers directly and spread over them evenly. Beside the rate stands
the processor time that each part took for one relay or update: on a machine with few cores, shared
with the clients, that tells more than the rate does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.clients import SocketClient
from benchmarks.frames import event_frame
from benchmarks.load import ConnectionLost, Load
from benchmarks.relay_workload import Relayed
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql

_PAIRS = 12
_ROOMS = 24
_TICKS = os.sysconf("SC_CLK_TCK")
# Nothing here is what a limit is made for.
_UNLIMITED: dict[str, Any] = {"PRESENCE_EVENTS_PER_SECOND": 0, "PRESENCE_PING_TIMEOUT": 60}


def connect(load: Load, cluster: PrivateCluster, worker: int) -> SocketClient:
    """Return a client that is connected to a worker, counted round from 0."""
    load.port = cluster.workers[worker % len(cluster.workers)].port
    client = SocketClient(load)
    load.await_(lambda: client.connected, "connected")
    return client


def join(load: Load, client: SocketClient, room_name: str, peer_id: str) -> None:
    """Let a client join a room, and wait until it has."""
    client.join(room_name, peer_id)
    load.await_(lambda: client.joined_at > 0, "join_room_success")


def relays(load: Load, cluster: PrivateCluster, distance: int) -> Callable[[], int]:
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


def updates(load: Load, cluster: PrivateCluster, _distance: int) -> Callable[[], int]:
    """Change user data, one update after the other, by clients alone in their rooms."""
    done = 0

    def again(client: SocketClient, head: bytes, _now: float) -> None:
        nonlocal done
        if head.startswith(b"43"):
            done += 1
            client.send(event_frame("update_user_data", {"user_data": {"mark": done}}, 1))

    for number in range(_ROOMS):
        client = connect(load, cluster, number)
        join(load, client, f"updates {number}", "alone")
        client.on_message = again
        again(client, b"43", 0.0)
    return lambda: done


def processor_time(group: int) -> float:
    """Return the seconds of processor time that a group of processes has taken so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            values = path.read_text().rpartition(")")[2].split()
            if int(values[2]) == group:
                ticks += int(values[11]) + int(values[12])
    return ticks / _TICKS


def measure(
    cluster: PrivateCluster,
    workload: Callable[[Load, PrivateCluster, int], Callable[[], int]],
    distance: int,
    seconds: float,
) -> str:
    """Return one line: how many a second, and what each part took for one."""
    load = Load(cluster.workers[0].port)
    try:
        count = workload(load, cluster, distance)
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
        parts = "  ".join(f"{name} {time_:5.0f}" for name, time_ in took.items())
        return f"{done / wall:8.0f}/s   µs each: {parts}"
    finally:
        load.close()


def main() -> None:
    """Measure every workload with 1, 2 and 3 workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    postgresql = PrivatePostgresql()
    try:
        postgresql.start()
        for workers in arguments.workers:
            cluster = PrivateCluster(postgresql, workers, **_UNLIMITED)
            try:
                cluster.start()
                for name, workload, distance in (
                    ("relays within a worker", relays, 0),
                    ("relays between workers", relays, 1),
                    ("updates, each in its room", updates, 0),
                ):
                    if distance and workers == 1:
                        continue
                    line = measure(cluster, workload, distance, arguments.seconds)
                    print(f"{workers} workers, {name:26} {line}", flush=True)
            except ConnectionLost:
                print(cluster.log_text()[-3000:], file=sys.stderr)
                raise
            finally:
                cluster.close()
    finally:
        postgresql.close()


if __name__ == "__main__":
    main()
