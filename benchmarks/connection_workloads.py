"""Workloads of connections that do nothing: what they hold in memory, and what their pings cost."""

from __future__ import annotations

from benchmarks.clients import connect, join_all
from benchmarks.measuring import Figures, Run


def joined_memory(run: Run) -> Figures:
    """Let clients join rooms one after the other, and see by how much the server has grown."""
    sizes = run.sizes
    # The first of everything loads code and fills caches, which is not the connections' doing.
    join_all(run.load, connect(run.load, sizes.warm_up), "first")
    run.load.settle()
    run.load.run(sizes.memory_seconds)
    before = run.server.memory()
    with run.measuring() as measured:
        for number in range(sizes.joined // sizes.joined_room):
            join_all(run.load, connect(run.load, sizes.joined_room), f"room-{number}")
        run.load.settle()
    run.load.run(sizes.memory_seconds)
    grown = run.server.memory() - before
    return {
        **measured.figures(),
        "kb_per_joined": grown / sizes.joined / 1024,
        "rss_mb": run.server.memory() / 1024**2,
    }


def idle(run: Run) -> Figures:
    """Keep clients connected that have joined nothing; they answer pings, every five seconds."""
    sizes = run.sizes
    if run.offers("rooms"):
        join_all(run.load, connect(run.load, sizes.warm_up), "first")
    else:
        connect(run.load, sizes.warm_up)
    run.load.run(sizes.memory_seconds)
    before = run.server.memory()
    with run.measuring() as connecting:
        connect(run.load, sizes.idle)
    run.load.run(sizes.memory_seconds)
    grown = run.server.memory() - before
    with run.measuring() as measured:
        run.load.run(sizes.idle_seconds)
    return {
        **measured.figures(),
        "connect_cpu_us": connecting.cpu / sizes.idle * 1e6,
        "kb_per_idle": grown / sizes.idle / 1024,
        "rss_mb": run.server.memory() / 1024**2,
        "cpu_per_minute_s": measured.cpu / measured.wall * 60,
    }
