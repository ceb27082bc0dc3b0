"""What waits to be sent to one connection: bounded in bytes, and with only the newest of each list.

The library's queue has no bound: a client that stops reading while its room stays busy would make
the server remember every list for it until its ping times out.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Entry:
    """A packet in the queue; None once a newer one has taken its place."""

    packet: Any
    size: int


class SendQueue:
    """A queue of packets, with the methods of a queue that python-engineio calls.

    `queue` is one of the async mode's own. A packet with an attribute ``replaces`` takes the place
    of an earlier one with the same value that was not sent yet.
    """

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._newest: dict[Hashable, _Entry] = {}
        self.size = 0

    def put(self, packet: Any) -> None:
        """Add a packet; None marks the end."""
        entry = _Entry(packet, _size(packet))
        self.size += entry.size
        replaces = getattr(packet, "replaces", None)
        if replaces is not None:
            earlier = self._newest.get(replaces)
            if earlier is not None and earlier.packet is not None:
                self.size -= earlier.size
                earlier.packet = _REPLACED
            self._newest[replaces] = entry
        self._queue.put(entry)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next packet; raises the queue's own exception when there is none."""
        while True:
            entry = self._queue.get(block=block, timeout=timeout)
            packet, entry.packet = entry.packet, None
            if packet is not _REPLACED:
                self.size -= entry.size
                replaces = getattr(packet, "replaces", None)
                if replaces is not None and self._newest.get(replaces) is entry:
                    del self._newest[replaces]
                return packet
            self._queue.task_done()

    def task_done(self) -> None:
        """Note that a packet which `get` returned was dealt with."""
        self._queue.task_done()

    def join(self) -> None:
        """Wait until every packet was dealt with."""
        self._queue.join()


_REPLACED = object()


def _size(packet: Any) -> int:
    """Return how many bytes a packet takes, all but exactly: text is counted in characters."""
    data = getattr(packet, "data", None)
    return len(data) + 1 if isinstance(data, (str, bytes)) else 1
