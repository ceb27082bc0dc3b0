"""Letting so many in at a time, and the others in the order in which they came.

A pool of connections hands what comes back to whoever asks next, not to who has waited longest:
where many greenlets want one, some wait until their time is over while others are served twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager


class Turnstile:
    """A gate with so many `places`."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def passed(self, seconds: float) -> Generator[None]:
        """Hold a place while the block runs; raises `TimeoutError` if none came free in time."""
        self._enter(seconds)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, seconds: float) -> None:
        with self._guard:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            if turn.wait(seconds):
                return
        except BaseException:
            self._give_up(turn)
            raise
        self._give_up(turn)
        raise TimeoutError

    def _give_up(self, turn: threading.Event) -> None:
        with self._guard:
            if not turn.is_set():
                self._waiting.remove(turn)
                return
        self._leave()  # its place came in the last moment

    def _leave(self) -> None:
        """Hand the place to the first who waits."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
