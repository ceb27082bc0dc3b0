"""How much CPU a server's worker takes for what it is sent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from local_cluster.live_server import LiveServer

_IDLE = "SID"  # waiting for something, as proc(5) has it


class CpuMeter:
    """Reads the CPU time of the largest process of a server: its one worker (Linux only)."""

    def __init__(self, server: LiveServer) -> None:
        group = server.group
        mine = [path for path in Path("/proc").glob("[0-9]*") if _group_of(path) == group]
        self._tasks = max(mine, key=_memory_of) / "task"

    def spent(self) -> float:
        """Return the milliseconds of CPU so far, once the worker has nothing left to do."""
        until = time.monotonic() + 20
        while not self._is_idle():
            assert time.monotonic() < until, "the worker is busy for 20 s"
            time.sleep(0.0005)
        return sum(int(_read(task / "schedstat").split()[0]) for task in self._all()) / 1e6

    def of(self, work: Callable[[], None]) -> float:
        """Return how many milliseconds of CPU the worker takes while something is done."""
        before = self.spent()
        work()
        return self.spent() - before

    def _is_idle(self) -> bool:
        return all(_state(task) in _IDLE for task in self._all())

    def _all(self) -> list[Path]:
        return list(self._tasks.iterdir())


def _read(path: Path) -> str:
    """Return what a file of /proc says; zeros for a thread that has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "0 0 0"


def _state(task: Path) -> str:
    # The name before it stands in parentheses and may have any in it.
    return _read(task / "stat").rpartition(")")[2].split()[0].replace("0", "S")


def _group_of(path: Path) -> int:
    try:
        return os.getpgid(int(path.name))
    except ProcessLookupError:
        return 0


def _memory_of(path: Path) -> int:
    return int(_read(path / "statm").split()[1])
