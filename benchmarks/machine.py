"""What the machine can tell: cores to pin to, CPU time and memory of processes, versions."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPU_CLOCK = 2  # CPUCLOCK_SCHED: what the scheduler counted, in nanoseconds
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """Return the core for the load and the one for the servers; the same where there is one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def raise_file_limit() -> int:
    """Let this process and its children open as many files as they may; return how many."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def group_members(group: int) -> list[int]:
    """Return the ids of every process in a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes have used, all their threads included.

    Read from each process's CPU clock (clock_getcpuclockid(3)), because /proc/PID/stat counts in
    steps of 10 ms, and some workloads take 50.
    """
    total = 0.0
    for pid in pids:
        with suppress(OSError):
            total += time.clock_gettime(((~pid) << 3) | _CPU_CLOCK)
    return total


def resident_bytes(pids: Iterable[int]) -> int:
    """Return how many bytes processes have in memory (RSS)."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return total


def description() -> dict[str, str]:
    """Return what a reader of the figures needs to know of the machine."""
    model = ""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "processor": f"{model or platform.machine()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "load average": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


def python_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed, by name."""
    found = {"Python": platform.python_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def node_versions(package: Path) -> dict[str, str]:
    """Return the versions of Node and of what a package.json pins, by name."""
    found: dict[str, str] = json.loads(package.read_text())["dependencies"]
    return {"Node": _output(["node", "--version"], package.parent).removeprefix("v"), **found}


def commit(folder: Path) -> str:
    """Return the commit that a working tree is at, with a plus if it has changes; else nothing."""
    return _output(["git", "describe", "--always", "--exclude=*", "--dirty=+"], folder)


def _output(command: list[str], folder: Path) -> str:
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip()
