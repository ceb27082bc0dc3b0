"""``python -m benchmarks.backends``: what it costs to tell backends what happens.

The same changes on servers that tell nobody, keep events, and send them to a webhook, in turns; and
how fast 100,000 events drain that have waited, with what memory and how rooms fare meanwhile.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import requests
import websocket
from sqlalchemy import Engine, create_engine, text

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.waiting import eventually

_SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
_TICKS = os.sysconf("SC_CLK_TCK")
_MANY = "1000000"
_SOCKETS = 10
# Takes everything and says nothing, at the least cost, so that the server is what is measured.
_SINK = """
import asyncio, sys

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            size = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            body = await reader.readexactly(size)
            with open(sys.argv[2], "a") as file:
                file.write(f"{body.count(b'ev_')}\\n")
            writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=2**22)
    await server.serve_forever()

asyncio.run(main())
"""


class Sink:
    """A backend that takes everything."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._counts = folder / f"taken-{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = {
            "PRESENCE_WEBHOOK_URLS": f"http://127.0.0.1:{self.port}/",
            "PRESENCE_WEBHOOK_SECRETS": _SECRET,
        }

    def start(self) -> None:
        """Begin to take."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SINK, str(self.port), str(self._counts)]
        )

    def stop(self) -> None:
        """End."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def taken(self) -> int:
        """How many events it was sent."""
        with suppress(FileNotFoundError):
            return sum(map(int, self._counts.read_text().split()))
        return 0


class Socket:
    """A peer that changes its data and waits for the answer each time."""

    def __init__(self, server: LiveServer, room: str, peer_id: str) -> None:
        self._socket = websocket.create_connection(
            f"{server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
        )
        self._socket.recv()
        self._socket.send("40")
        self._socket.recv()
        self.event("join_room", {"room_name": room, "peer_id": peer_id, "username": peer_id})

    def event(self, name: str, body: dict[str, Any]) -> None:
        """Send an event and wait for its acknowledgement."""
        self._socket.send("421" + json.dumps([name, body]))
        while not (text := str(self._socket.recv())).startswith("431"):
            if text == "2":
                self._socket.send("3")

    def change(self, count: int) -> None:
        """Change the data so many times."""
        for number in range(count):
            self.event("update_user_data", {"user_data": {"n": number, "hand": "raised"}})


def cpu_of(pids: Callable[[int], bool]) -> float:
    """Return the seconds of CPU that the processes took whose group is among those asked for."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, ProcessLookupError):
            if pids(int(stat.parent.name)):
                fields = stat.read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def cpu_a_change(server: LiveServer, room_of: Callable[[int], str], changes: int) -> float:
    """Return the CPU µs that the server took for each change, what was told included."""
    run = f"{time.monotonic_ns():x}"
    sockets = [Socket(server, f"{run} {room_of(n)}", f"p{n}") for n in range(_SOCKETS)]
    for socket in sockets:
        socket.change(20)
    group = server.group
    before = cpu_of(lambda pid: os.getpgid(pid) == group)
    threads = [threading.Thread(target=s.change, args=(changes // _SOCKETS,)) for s in sockets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(1.5)  # what is told afterwards counts
    return (cpu_of(lambda pid: os.getpgid(pid) == group) - before) / changes * 1e6


def compare(databases: dict[str, Callable[[], str]], changes: int, rounds: int) -> None:
    """Print what a change costs on each database, told and not told."""
    for kind, url in databases.items():
        with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
            folder = Path(name)
            sink = Sink(folder)
            sink.start()
            ends.callback(sink.stop)
            ways: dict[str, dict[str, Any]] = {
                "told nobody": {},
                "kept": {"PRESENCE_KEEP_EVENTS": "1d"},
                "webhook": {**sink.settings},
            }
            servers = {}
            for way, settings in ways.items():
                servers[way] = started(folder / way, url(), settings)
                ends.callback(servers[way].kill)
            for title, room_of in (
                ("a room each", lambda n: f"room {n}"),
                (f"one room of {_SOCKETS}", lambda _n: "room"),
            ):
                taken: dict[str, list[float]] = {way: [] for way in ways}
                for _ in range(rounds):
                    for way, server in servers.items():
                        taken[way].append(cpu_a_change(server, room_of, changes))
                for way, values in taken.items():
                    # Of the same round, for the machine is not the same in all of them.
                    more = sorted(
                        value / nobody - 1
                        for value, nobody in zip(values, taken["told nobody"], strict=True)
                    )
                    print(
                        f"{kind:10}  {title:14}  {way:12} {statistics.median(values):7.0f} µs a "
                        f"change ({statistics.median(more):+.1%}; {more[0]:+.1%} to "
                        f"{more[-1]:+.1%})",
                        flush=True,
                    )


def started(folder: Path, url: str, settings: dict[str, Any]) -> LiveServer:
    """Start a server with limits that a load from one address does not meet."""
    folder.mkdir()
    more = {"DATABASE_URL": url} if url else {}
    raised = {
        "PRESENCE_EVENTS_PER_SECOND": _MANY,
        "PRESENCE_EVENT_BURST": _MANY,
        # Sockets that have had their turn do not read any more.
        "PRESENCE_PING_INTERVAL": "600",
        "PRESENCE_PING_TIMEOUT": "600",
    }
    server = LiveServer(folder)
    server.set(**settings, **more, **raised)
    return server.start()


def drain(kind: str, url: str, count: int) -> None:
    """Print how fast so many events drain that have waited, and how a room fares meanwhile."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as ends:
        folder = Path(name)
        sink = Sink(folder)
        server = started(folder / "server", url, {**sink.settings})
        ends.callback(sink.stop)
        ends.callback(server.kill)
        latencies: list[float] = []

        def look(seconds: float) -> float:
            latencies.clear()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                began = time.perf_counter()
                requests.get(f"{server.url}/api/webrtc/rooms/room 1", timeout=10)
                latencies.append((time.perf_counter() - began) * 1000)
                time.sleep(0.02)
            return statistics.quantiles(latencies, n=20)[-1]

        idle = look(3)
        empty = server.memory()
        server.stop()
        address = server.settings["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg2:")
        engine = create_engine(address)
        write_down(engine, count)
        server.start()
        time.sleep(1)
        eventually(lambda: has_placed(engine, count), "all have their places", 300, 1)
        waiting = server.memory()
        sink.start()
        began = time.monotonic()
        eventually(lambda: sink.taken > 0, "it begins", 120, 0.05)
        began, first = time.monotonic(), sink.taken
        found = {"p95": 0.0, "memory": 0}

        def watch() -> None:
            found["p95"] = look(5)

        watching = threading.Thread(target=watch)
        watching.start()
        while sink.taken < count:
            found["memory"] = max(found["memory"], server.memory())
            time.sleep(0.2)
        seconds = time.monotonic() - began
        watching.join()
        memory = [round(size / 2**20) for size in (empty, waiting, found["memory"])]
        print(
            f"{kind}: {count:,} events drained in {seconds:.1f} s, "
            f"{(sink.taken - first) / seconds:,.0f} a second; memory {memory[0]} MiB empty, "
            f"{memory[1]} with all waiting, {memory[2]} at most while draining; "
            f"a room's list p95 {idle:.1f} ms idle, {found['p95']:.1f} meanwhile",
            flush=True,
        )


def write_down(engine: Engine, count: int) -> None:
    """Write events of 200 rooms down, as changes do."""
    facts = json.dumps({"username": "Ada", "user_data": {"n": 1}, "changed": ["n"]})
    statement = text(
        "INSERT INTO outbox (uid, type, at, room_name, version, peer_id, facts) "
        "VALUES (:uid, :type, :at, :room_name, :version, :peer_id, :facts)"
    )
    with engine.begin() as connection:
        for start in range(0, count, 5_000):
            connection.execute(
                statement,
                [
                    {
                        "uid": f"ev_{number:024x}",
                        "type": "peer_updated",
                        "at": "2026-05-04 10:30:00.000000",
                        "room_name": f"room {number % 200}",
                        "version": number,
                        "peer_id": "ada",
                        "facts": facts,
                    }
                    for number in range(start, start + 5_000)
                ],
            )


def has_placed(engine: Engine, count: int) -> bool:
    """Tell whether so many events have got their places."""
    with engine.connect() as connection:
        placed: int = connection.execute(text("SELECT last_position FROM event_log")).scalar_one()
        return placed >= count


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--only", choices=["cpu", "drain"])
    arguments = parser.parse_args()
    postgresql = PrivatePostgresql().start()
    try:
        if arguments.only != "drain":
            databases = {"SQLite": lambda: "", "PostgreSQL": postgresql.new_database}
            compare(databases, arguments.changes, arguments.rounds)
        if arguments.only != "cpu":
            drain("SQLite", "", arguments.waiting)
            drain("PostgreSQL", postgresql.new_database(), arguments.waiting)
    finally:
        postgresql.close()


if __name__ == "__main__":
    main()
