"""``python -m benchmarks.floors``: what the machine and the stack take before this server does.

Where a limit is not reached, these say how far it can be: what it costs to write the same short
notices to as many sockets from a loop that does nothing else, and to answer a REST join by a Flask
app on gunicorn that does nothing. The first is CPU seconds for all of them, the second for each.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import time
from dataclasses import replace

from benchmarks import machine
from benchmarks.load import Load
from benchmarks.measuring import FULL, Run, Sizes
from benchmarks.rest_workloads import rest_joins
from benchmarks.servers import GUNICORN, RIVALS, Contender, Server, presence, rivals

# A notice of an update as the workload `updates` has it.
_NOTICE_BYTES = 500


def bare_flask() -> Contender:
    """Return a server that answers REST joins with nothing done."""
    return Contender(
        "bare-flask",
        "Flask on gunicorn, doing nothing",
        [
            *GUNICORN,
            "--no-control-socket",
            "--worker-class=eventlet",
            "--keep-alive=30",
            "--bind=127.0.0.1:{port}",
            "bare_flask:app",
        ],
        frozenset({"rest"}),
        folder=RIVALS,
    )


def sends(peers: int, updates: int, seconds: float) -> float:
    """Write a notice of each update to every peer, as each comes; returns the CPU seconds.

    The peers are one process on the other core, which reads and drops what comes.
    """
    load_core, server_core = machine.cores()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reader = os.fork()
        if not reader:
            os.sched_setaffinity(0, {load_core})
            _read_until_the_end(port, peers)
        usable = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {server_core})
        connections = [listener.accept()[0] for _ in range(peers)]
    try:
        notice = b"x" * _NOTICE_BYTES
        all_sends = [connection.send for connection in connections]
        began, before = time.perf_counter(), time.process_time()
        for number in range(updates):
            time.sleep(max(0.0, began + number * seconds / updates - time.perf_counter()))
            for send in all_sends:
                send(notice)
        return time.process_time() - before
    finally:
        for connection in connections:
            connection.close()
        os.waitpid(reader, 0)
        os.sched_setaffinity(0, usable)


def _read_until_the_end(port: int, peers: int) -> None:
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(peers):
        connection = socket.create_connection(("127.0.0.1", port))
        sockets[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    buffer = bytearray(1024 * 1024)
    while sockets:
        for descriptor, _event in poll.poll():
            if not sockets[descriptor].recv_into(buffer):
                sockets.pop(descriptor).close()
    os._exit(0)


def joins(contender: Contender, sizes: Sizes) -> float:
    """Return the CPU seconds of a REST join."""
    load_core, server_core = machine.cores()
    server = Server(contender, server_core)
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {load_core})
    load = Load(server.port)
    try:
        return rest_joins(Run(server, load, sizes))["cpu_each_ms"] / 1000
    finally:
        load.close()
        server.stop()
        os.sched_setaffinity(0, usable)


def main() -> None:
    """Measure everything in turns, and print medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rooms", type=int, default=300, help="of ten REST joins each")
    chosen = parser.parse_args()
    sizes = replace(FULL, rest_rooms=chosen.rooms)
    node = [rival for rival in rivals() if rival.name == "node" and not rival.missing()]
    found: dict[str, list[float]] = {}
    for _ in range(chosen.rounds):
        took = sends(sizes.update_peers, sizes.updates, sizes.update_seconds)
        count = sizes.updates * sizes.update_peers
        found.setdefault(f"{count:,} notices written by a loop, CPU s", []).append(took)
        for contender in (bare_flask(), presence(), *node):
            title = f"a REST join, {contender.title}, CPU µs"
            found.setdefault(title, []).append(joins(contender, sizes) * 1e6)
    for title, figures in found.items():
        print(f"{title}: {statistics.median(figures):.3g}")


if __name__ == "__main__":
    main()
