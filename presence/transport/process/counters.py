"""What this process counts while it works, in plain numbers: adding one must cost next to nothing.

`metrics` reads them when somebody asks. Numbers are added to without a lock: CPython does not
change threads between reading and writing an item of a list or a dictionary with keys of text.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

# An announcement waits for the window at most, unless the process is overloaded.
_ANNOUNCE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_STALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_WEBHOOK_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0)
_GHOST_SECONDS = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 12.0, 20.0, 60.0, 600.0)


class Histogram:
    """How often a value was within each of some bounds; ``counts`` has one more, for all above."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, or as many of them."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += times * value


class Counters:
    """The counts of one process, since it started."""

    def __init__(self) -> None:
        # By (event, outcome): “ok” or the code of the error. Only names that exist become keys.
        self.events: defaultdict[tuple[str, str], int] = defaultdict(int)
        # By (method, route, status) of HTTP requests.
        self.requests: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        # By the reason for which connections ended.
        self.disconnects: defaultdict[str, int] = defaultdict(int)
        # From a change's mark to its list lying in the queue of every connection.
        self.announcing = Histogram(_ANNOUNCE_SECONDS)
        # How long nothing of this process could run, looked at 20 times a second.
        self.stalls = Histogram(_STALL_SECONDS)
        # How long sessions outlived their socket, or their worker's last sign of life.
        self.ghosts = {"socket": Histogram(_GHOST_SECONDS), "worker": Histogram(_GHOST_SECONDS)}
        # When connections ended whose end could not be recorded yet, on the monotonic clock.
        self.unrecorded_ends: list[float] = []
        self.uploads = 0
        self.upload_bytes = 0
        # From an event to a webhook's having taken it, and requests to webhooks by what came of it.
        self.webhook_latency = Histogram(_WEBHOOK_SECONDS)
        self.webhook_requests: defaultdict[str, int] = defaultdict(int)
        # Peers that the server erased by itself, for others to have room or because of their age.
        self.erased_peers = 0

    def end_unrecorded(self) -> None:
        """Count the connections whose end is recorded only now."""
        ended, self.unrecorded_ends = self.unrecorded_ends, []
        now = time.monotonic()
        for began in ended:
            self.ghosts["socket"].observe(now - began)

    def uploaded(self, size: int) -> None:
        """Count a file of so many bytes that was taken in."""
        self.uploads += 1
        self.upload_bytes += size
