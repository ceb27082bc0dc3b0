"""One lock for each room: what is read or changed of it, and sent of it, keeps one order."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Self
from weakref import WeakValueDictionary


class _RoomLock:
    """A lock that can be held in a dictionary of weak references."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        # Reentrant: sending to a socket can reveal that it is dead, and its disconnect handler
        # then changes the same room.
        self.lock = threading.RLock()


class InOrder:
    """The locks of some rooms, held while the ``with`` block runs."""

    __slots__ = ("_locks",)

    def __init__(self, locks: list[_RoomLock]) -> None:
        self._locks = locks

    def __enter__(self) -> Self:
        """Wait for the locks, one after the other."""
        held = 0
        try:
            for item in self._locks:
                item.lock.acquire()
                held += 1
        except BaseException:
            # Whoever waits may be made to end.
            for item in reversed(self._locks[:held]):
                item.lock.release()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Let go of the locks."""
        for item in reversed(self._locks):
            item.lock.release()


class RoomLocks:
    """The locks of rooms, by name. None outlives its use for long."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, _RoomLock] = WeakValueDictionary()
        # Those of late, because a busy room would have a new one made for every message.
        self._lately: dict[str, _RoomLock] = {}

    def of(self, room_names: Iterable[str]) -> InOrder:
        """Return the locks of some rooms, to be held."""
        # Always in the same order, or two who want the same ones could wait for each other.
        return InOrder([self._of(name) for name in sorted(room_names)])

    @contextmanager
    def free_ones(self, room_names: Iterable[str], seconds: float) -> Generator[set[str]]:
        """Hold the locks of those of some rooms that are free by then, and give their names."""
        until = time.monotonic() + seconds
        held: dict[str, _RoomLock] = {}
        try:
            for name in sorted(set(room_names)):
                item = self._of(name)
                is_free = item.lock.acquire(blocking=False)
                if is_free or item.lock.acquire(timeout=max(0.0, until - time.monotonic())):
                    held[name] = item
            yield set(held)
        finally:
            for item in held.values():
                item.lock.release()

    def tidy(self) -> None:
        """Forget every lock that nobody holds or waits for."""
        with self._guard:
            self._lately.clear()

    def _of(self, name: str) -> _RoomLock:
        with self._guard:
            lock = self._lately.get(name)
            if lock is None:
                lock = self._locks.get(name) or _RoomLock()
                self._locks[name] = self._lately[name] = lock
            return lock
