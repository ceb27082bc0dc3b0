"""What a workload is given, and how it takes its figures."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.load import Load
from benchmarks.servers import Server

Figures = dict[str, float]

# The load used its core for more than this share of the time: it may have held the server up.
SATURATED = 0.95


@dataclass(frozen=True)
class Sizes:
    """How much of everything a workload does; seconds where a name says so."""

    warm_up: int = 50
    storms: tuple[int, ...] = (100, 300, 1000)
    updates: int = 500
    update_peers: int = 100
    update_seconds: float = 5
    observers: int = 10
    pairs: int = 50
    relay_seconds: float = 5
    joined: int = 1000
    joined_room: int = 50
    idle: int = 5000
    idle_seconds: float = 20
    memory_seconds: float = 1.5  # until memory is looked at
    rest_rooms: int = 1000
    rest_peers: int = 10
    rest_seconds: float = 8
    uploads: int = 20
    upload_bytes: int = 10_000_000
    uploads_beside_signals: int = 10
    idle_signal_seconds: float = 4
    delta_peers: int = 1000
    delta_changes: int = 20


FULL = Sizes()
QUICK = Sizes(
    storms=(100, 300),
    relay_seconds=2,
    joined=300,
    idle=1000,
    idle_seconds=6,
    rest_rooms=200,
    rest_seconds=3,
    uploads=8,
    delta_peers=300,
    delta_changes=8,
)
TINY = Sizes(
    warm_up=3,
    storms=(5, 8),
    updates=10,
    update_peers=5,
    update_seconds=0.3,
    observers=2,
    pairs=2,
    relay_seconds=0.3,
    joined=10,
    joined_room=5,
    idle=10,
    idle_seconds=0.3,
    memory_seconds=0.1,
    rest_rooms=3,
    rest_peers=2,
    rest_seconds=0.3,
    uploads=2,
    upload_bytes=100_000,
    uploads_beside_signals=2,
    idle_signal_seconds=0.3,
    delta_peers=6,
    delta_changes=2,
)


@dataclass
class Measurement:
    """What a stretch of work took; `wall` ends where `stop` was called, or with the stretch."""

    cpu: float = 0.0
    wall: float = 0.0
    bytes_in: int = 0
    load_share: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def stop(self) -> None:
        """Note that the work is done; what follows is only the server's last messages."""
        self.wall = self.wall or time.perf_counter() - self.started

    def figures(self) -> Figures:
        """Return what every workload tells."""
        return {
            "cpu_s": self.cpu,
            "wall_s": self.wall,
            "bytes": float(self.bytes_in),
            "load_share": self.load_share,
        }


@dataclass
class Run:
    """One workload on one server in one round."""

    server: Server
    load: Load
    sizes: Sizes

    def offers(self, part: str) -> bool:
        """Return whether the server has a part of the contract."""
        return part in self.server.contender.offers

    @contextmanager
    def measuring(self) -> Generator[Measurement]:
        """Measure what happens within the block, on both sides."""
        measured = Measurement()
        cpu, own_cpu = self.server.cpu(), time.process_time()
        bytes_in = self.load.bytes_in
        yield measured
        elapsed = time.perf_counter() - measured.started
        measured.stop()
        measured.cpu = self.server.cpu() - cpu
        measured.bytes_in = self.load.bytes_in - bytes_in
        measured.load_share = (time.process_time() - own_cpu) / elapsed


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies (0 of none)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def milliseconds(values: Iterable[float]) -> Figures:
    """Return the percentiles of durations that are given in seconds."""
    durations = [value * 1000 for value in values]
    return {"p50_ms": percentile(durations, 0.50), "p99_ms": percentile(durations, 0.99)}
