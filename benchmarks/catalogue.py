"""Every workload with the columns of its table, and the figures that are to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import (
    connection_workloads,
    relay_workload,
    rest_workloads,
    rooms_workloads,
    upload_workloads,
)
from benchmarks.measuring import Figures, Run, Sizes

# The median figures of every contender, by workload and contender.
Medians = dict[str, dict[str, Figures]]


@dataclass(frozen=True)
class Column:
    """A column of a table: which figure it shows, under which heading, with how many digits."""

    figure: str
    heading: str
    digits: int = 0
    scale: float = 1.0
    more_is_better: bool = False


@dataclass(frozen=True)
class Workload:
    """Something to measure: which servers can do it, how it is done, and what its table shows.

    `needs` names parts of the contract, one of which a server must have (see `Contender`). The
    first column is the one that contenders are compared by.
    """

    name: str
    title: str
    needs: frozenset[str]
    measure: Callable[[Run], Figures]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Target:
    """A figure to be reached: `value` finds it in the medians, `limit` is the most or the least."""

    title: str
    limit: float
    value: Callable[[Medians], float]
    at_least: bool = False
    unit: str = ""

    def reached(self, value: float) -> bool:
        """Return whether a value is on the right side of the limit."""
        return value >= self.limit if self.at_least else value <= self.limit


_CPU = Column("cpu_s", "CPU s", 3)
_WALL = Column("wall_s", "wall s", 2)
_P50 = Column("p50_ms", "p50 ms", 1)
_P99 = Column("p99_ms", "p99 ms", 1)
_TRAFFIC = Column("bytes", "MB sent", 1, 1e-6)
_RSS = Column("rss_mb", "RSS MB")


def workloads(sizes: Sizes) -> dict[str, Workload]:
    """Return every workload by name, storms of joins in each of the sizes."""
    found = [_storm(count) for count in sizes.storms]
    found += [
        _updates("updates", sizes, 1),
        _updates("updates-often", sizes, 4),
        Workload(
            "relay",
            f"signals of 1.2 kB, {sizes.pairs} pairs, acknowledged",
            frozenset({"signal", "peerjs"}),
            relay_workload.relay,
            (
                Column("per_cpu_s", "signals per CPU s", more_is_better=True),
                Column("per_s", "signals per s"),
                Column("cpu_us", "CPU µs each", 1),
            ),
        ),
        Workload(
            "joined",
            f"{sizes.joined:,} connections joined, rooms of {sizes.joined_room}",
            frozenset({"rooms"}),
            connection_workloads.joined_memory,
            (Column("kb_per_joined", "KB each", 1), _RSS, _CPU),
        ),
        Workload(
            "idle",
            f"{sizes.idle:,} connections, idle, a ping every 5 s",
            frozenset({"rooms", "idle"}),
            connection_workloads.idle,
            (
                Column("cpu_per_minute_s", "CPU s a minute", 2),
                Column("kb_per_idle", "KB each", 1),
                Column("connect_cpu_us", "CPU µs to connect"),
                _RSS,
            ),
        ),
        Workload(
            "rest",
            f"REST, {sizes.rest_rooms:,} rooms × {sizes.rest_peers} peers",
            frozenset({"rest"}),
            rest_workloads.rest,
            (
                Column("list_per_cpu_s", "lists per CPU s", 1, more_is_better=True),
                Column("list_per_s", "per s", 1),
                Column("again_per_cpu_s", "conditional per CPU s", 1),
                Column("again_per_s", "per s", 1),
                Column("join_per_cpu_s", "joins per CPU s"),
                Column("join_per_s", "per s"),
                Column("join_p99_ms", "join p99 ms", 1),
            ),
        ),
        Workload(
            "uploads",
            f"{sizes.uploads} uploads of {sizes.upload_bytes / 1e6:g} MB",
            frozenset({"upload"}),
            upload_workloads.uploads,
            (_CPU, Column("mb_per_s", "MB per s"), _WALL, _RSS),
        ),
        Workload(
            "signals-beside-uploads",
            f"signals during {sizes.uploads_beside_signals} uploads "
            f"of {sizes.upload_bytes / 1e6:g} MB",
            frozenset({"upload"}),
            upload_workloads.signals_beside_uploads,
            (
                Column("times_idle", "p95, times idle", 2),
                Column("idle_p95_ms", "idle p95 ms", 2),
                Column("upload_p95_ms", "p95 ms", 2),
                _WALL,
            ),
        ),
        Workload(
            "large-room",
            f"room of {sizes.delta_peers:,}, one change at a time",
            frozenset({"rooms"}),
            rooms_workloads.large_room,
            (
                Column("bytes_per_change", "bytes to a client"),
                Column("cpu_per_change_ms", "CPU ms a change", 1),
            ),
        ),
    ]
    return {workload.name: workload for workload in found}


def targets(sizes: Sizes) -> list[Target]:
    """Return the figures to be reached, for storms of the given sizes."""
    middle, first, last = f"join-{sizes.storms[1]}", sizes.storms[0], sizes.storms[-1]
    return [
        _ratio(f"{middle}: CPU, of Node obvious", middle, "cpu_s", "node", 0.12),
        _ratio(f"{middle}: CPU, of Node coalesced", middle, "cpu_s", "node-coalesced", 0.8),
        _ratio("updates: CPU, of Node obvious", "updates", "cpu_s", "node", 0.30),
        _ratio("updates: CPU, of Node coalesced", "updates", "cpu_s", "node-coalesced", 1.0),
        _ratio("updates: p99, of Node obvious", "updates", "p99_ms", "node", 1.0),
        _ratio("updates: p99, of Node coalesced", "updates", "p99_ms", "node-coalesced", 1.0),
        _ratio("idle: CPU, of Node obvious", "idle", "cpu_per_minute_s", "node", 1.0),
        _ratio("relay: rate, of Node", "relay", "per_cpu_s", "node", 0.5, at_least=True),
        _ratio(
            "relay: rate, of bare eventlet", "relay", "per_cpu_s", "eventlet", 0.75, at_least=True
        ),
        _ratio("relay: rate, of Flask-SocketIO", "relay", "per_cpu_s", "flask", 6, at_least=True),
        _ratio(
            "REST list: rate, of Node obvious", "rest", "list_per_cpu_s", "node", 1.0, at_least=True
        ),
        Target(
            "REST list, conditional: rate, of the list",
            5,
            lambda medians: (
                medians["rest"]["presence"]["again_per_cpu_s"]
                / medians["rest"]["presence"]["list_per_cpu_s"]
            ),
            at_least=True,
        ),
        _ratio(
            "REST joins: rate, of Node obvious",
            "rest",
            "join_per_cpu_s",
            "node",
            0.6,
            at_least=True,
        ),
        _ratio("uploads: rate, of Node obvious", "uploads", "mb_per_s", "node", 0.8, at_least=True),
        Target("memory per joined connection", 32, _own("joined", "kb_per_joined"), unit=" KB"),
        Target(
            "signal p95 during uploads, times idle",
            2,
            _own("signals-beside-uploads", "times_idle"),
        ),
        Target(
            "large room: bytes to a client per change",
            1024,
            _own("large-room", "bytes_per_change"),
            unit=" B",
        ),
        Target(
            f"growth of CPU per join from {first} to {last}, of the list's growth",
            1.0,
            partial(_growth, first=f"join-{first}", last=f"join-{last}"),
        ),
    ]


def _updates(name: str, sizes: Sizes, times: int) -> Workload:
    count = sizes.updates * times
    return Workload(
        name,
        f"{sizes.update_peers} peers, {count:,} updates in {sizes.update_seconds:g} s",
        frozenset({"rooms"}),
        partial(rooms_workloads.updates, times=times),
        (
            _CPU,
            _P50,
            _P99,
            Column("list_p50_ms", "list p50 ms", 1),
            Column("list_p99_ms", "list p99 ms", 1),
            _TRAFFIC,
        ),
    )


def _storm(count: int) -> Workload:
    return Workload(
        f"join-{count}",
        f"{count:,} join one room at once",
        # The obvious servers would send about 100 GB of lists for 1,000 joins.
        frozenset({"storm" if count >= 1000 else "rooms"}),
        partial(rooms_workloads.joins_at_once, count=count),
        (_CPU, Column("cpu_per_join_ms", "CPU ms a join", 2), _WALL, _P50, _P99, _TRAFFIC),
    )


def _own(workload: str, figure: str) -> Callable[[Medians], float]:
    return lambda medians: medians[workload]["presence"][figure]


def _ratio(
    title: str, workload: str, figure: str, rival: str, limit: float, *, at_least: bool = False
) -> Target:
    return Target(
        title,
        limit,
        lambda medians: medians[workload]["presence"][figure] / medians[workload][rival][figure],
        at_least,
    )


def _growth(medians: Medians, first: str, last: str) -> float:
    small, large = medians[first]["presence"], medians[last]["presence"]
    return (large["cpu_per_join_ms"] / small["cpu_per_join_ms"]) / (
        large["list_bytes"] / small["list_bytes"]
    )
