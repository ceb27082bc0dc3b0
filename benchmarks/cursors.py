"""``python -m benchmarks.cursors``: what it costs that all see where everybody's cursor is.

The peers of one room say 20 times a second where their cursors are, and all hear of all: from this
server with one worker, from two of them among which the peers are divided, and from Node's
Socket.IO, which relays each message. They take turns in every round, and what is printed are
medians: the processor time of the server, and how long it took from one's hand to another's socket.
"""

from __future__ import annotations

import argparse
import heapq
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import node_cluster
from benchmarks.clients import SocketClient
from benchmarks.cluster import processor_time
from benchmarks.frames import text_frame
from benchmarks.load import Load
from benchmarks.servers import RIVALS
from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.waiting import eventually

_TIMES_A_SECOND = 20
_WARM_UP_SECONDS = 3.0
_PONG = text_frame(b"3")
_SENT_AT = re.compile(rb'"t": ?([\d.]+)')
_UNLIMITED: dict[str, Any] = {"PRESENCE_EVENTS_PER_SECOND": 0, "PRESENCE_STALL_SECONDS": 60}


class Hand(SocketClient):
    """A peer whose cursor moves; what comes in is dropped unread once it waits for nothing more."""

    is_deaf = False

    def receive(self, data: memoryview, now: float) -> None:
        """Take in bytes, or drop them: reading them would cost more than the server."""
        if not self.is_deaf:
            super().receive(data, now)

    def move(self, number: int, *, wraps: bool) -> None:
        """Say where the cursor is now; `wraps` says whether the event has the state in a key."""
        place = {"cursor": [number % 800, number % 600], "t": time.perf_counter() * 1000}
        self.emit("state", {"state": place} if wraps else place)


class Server:
    """What is measured: where its workers listen, and which groups of processes they are."""

    def __init__(self, ports: list[int], groups: list[int], *, joins: bool) -> None:
        self.ports = ports
        self.groups = groups
        self.joins = joins

    def spent(self) -> float:
        """Return the seconds of processor time that its workers have taken."""
        return sum(map(processor_time, self.groups))


@contextmanager
def one_worker() -> Generator[Server]:
    """This server, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        live = LiveServer(Path(folder), **_UNLIMITED).start()
        try:
            yield Server([live.port], [live.group], joins=True)
        finally:
            live.kill()


@contextmanager
def two_workers() -> Generator[Server]:
    """Two workers of this server, with a PostgreSQL and a Redis."""
    postgresql = PrivatePostgresql().start()
    cluster = PrivateCluster(postgresql, 2, **_UNLIMITED).start()
    try:
        ports = [worker.port for worker in cluster.workers]
        yield Server(ports, [worker.group for worker in cluster.workers], joins=True)
    finally:
        cluster.close()
        postgresql.close()


@contextmanager
def node() -> Generator[Server]:
    """Node's Socket.IO."""
    port = free_port()
    process = subprocess.Popen(
        ["node", str(RIVALS / "node_cursors.mjs")],
        env={**os.environ, "PORT": str(port)},
        start_new_session=True,
    )
    try:
        eventually(lambda: _is_listening(port), "Node listens", 30)
        yield Server([port], [process.pid], joins=False)
    finally:
        process.kill()
        process.wait()


def _is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


CONTENDERS = {"one worker": one_worker, "two workers": two_workers, "Node": node}


def measure(server: Server, peers: int, seconds: float) -> tuple[float, float, float]:
    """Return the share of a core that a server took, and the median and p95 of the delays in ms."""
    load = Load(server.ports[0])
    delays: list[float] = []

    def hear(_client: SocketClient, message: bytes, now: float) -> None:
        delays.extend(now * 1000 - float(sent) for sent in _SENT_AT.findall(message))

    hands = []
    for number in range(peers):
        load.port = server.ports[number % len(server.ports)]
        hand = Hand(load, whole=number == 0)
        load.await_(lambda hand=hand: hand.connected, "connected")  # type: ignore[misc]
        if server.joins:
            hand.join("board", f"p{number}", states=True, updates="delta")
            load.await_(lambda hand=hand: hand.joined_at > 0, "joined")  # type: ignore[misc]
        hand.is_deaf = number > 0
        hands.append(hand)
    hands[0].on_message = hear
    try:
        play(load, hands, _WARM_UP_SECONDS, wraps=server.joins)
        delays.clear()
        before, began = server.spent(), time.perf_counter()
        play(load, hands, seconds, wraps=server.joins)
        share = (server.spent() - before) / (time.perf_counter() - began)
    finally:
        load.close()
    return share, statistics.median(delays), statistics.quantiles(delays, n=20)[-1]


def play(load: Load, hands: list[Hand], seconds: float, *, wraps: bool) -> None:
    """Move all cursors for so long, evenly spread over the time."""
    began = time.perf_counter()
    pause = 1 / _TIMES_A_SECOND
    turns = [(began + pause * n / len(hands), n, 0) for n in range(len(hands))]
    pongs = began
    while (now := time.perf_counter()) < began + seconds:
        while turns[0][0] <= now:
            at, index, number = turns[0]
            hands[index].move(number, wraps=wraps)
            heapq.heapreplace(turns, (at + pause, index, number + 1))
        if now > pongs:
            # Who reads nothing sees no ping either.
            for hand in hands:
                hand.send(_PONG)
            pongs = now + 1
        load.run(max(0.0, turns[0][0] - time.perf_counter()))


def main(arguments: list[str]) -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cursors", description=__doc__)
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(CONTENDERS), nargs="+", default=list(CONTENDERS))
    asked = parser.parse_args(arguments)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(asked.rounds):
        for name in asked.only:
            if name == "Node" and node_cluster.missing():
                continue
            with CONTENDERS[name]() as server:
                taken = measure(server, asked.peers, asked.seconds)
            found.setdefault(name, []).append(taken)
    for name in asked.only:
        if name not in found:
            print(f"{name}: left out: {node_cluster.missing()}")
            continue
        share, median, p95 = (
            statistics.median(values) for values in zip(*found[name], strict=True)
        )
        print(f"{name:12} {share:4.0%} of a core  median {median:5.1f} ms  p95 {p95:5.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
