"""How long this process let everybody wait, and because of what: the stall meter.

One task notes the time every few hundredths of a second: how much too late it does is how long
nothing else could run. Meanwhile a thread of the operating system looks where the process stands,
for afterwards nobody can tell which event or request it was.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from presence.storage import system_threads
from presence.transport.process.counters import Histogram

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.05
# How often a stall is told of at most.
_QUIET_SECONDS = 1.0
_LONGEST_NAME = 120

Describe = Callable[[FrameType], str]


class StallMeter:
    """Measures the stalls of a process, and names what kept it for longer than `threshold` seconds.

    With a threshold of 0 it measures only. `spawn` and `sleep` are those of the process: greenlets
    under eventlet, else threads.
    """

    def __init__(
        self,
        threshold: float,
        stalls: Histogram,
        spawn: Callable[..., Any],
        sleep: Callable[[float], Any],
    ) -> None:
        self._threshold = threshold
        self._stalls = stalls
        self._spawn = spawn
        self._sleep = sleep
        self._describers: dict[CodeType, Describe] = {}
        self._ticked = time.monotonic()
        self._thread: int | None = None
        self._culprit: str | None = None
        self._told = -_QUIET_SECONDS
        self._is_over = False

    def know(self, function: Callable[..., Any], describe: Describe) -> None:
        """Name work after a frame of this function, in which it is done."""
        self._describers[function.__code__] = describe

    def start(self) -> None:
        """Begin to measure, and to look."""
        self._spawn(self._tick)
        if self._threshold:
            system_threads.module().Thread(target=self._look, daemon=True).start()

    def stop(self) -> None:
        """End both within a tick."""
        self._is_over = True

    def _tick(self) -> None:
        self._thread = system_threads.module().get_ident()
        while not self._is_over:
            self._ticked = time.monotonic()
            self._sleep(_TICK_SECONDS)
            late = max(0.0, time.monotonic() - self._ticked - _TICK_SECONDS)
            self._stalls.observe(late)
            if self._threshold and late > self._threshold:
                self._warn(late)
            self._culprit = None

    def _warn(self, late: float) -> None:
        if self._culprit is None or time.monotonic() - self._told < _QUIET_SECONDS:
            # Nothing of this process was at work: the machine was busy, or asleep.
            return
        self._told = time.monotonic()
        log.warning("%s kept everybody waiting for %.2f s", self._culprit, late)

    def _look(self) -> None:
        """Note what is being done whenever a tick is late; runs in a thread of its own."""
        sleep = system_threads.module("time").sleep
        while not self._is_over:
            sleep(min(_TICK_SECONDS, self._threshold / 2))
            late = time.monotonic() - self._ticked - _TICK_SECONDS
            if late > self._threshold / 2 and self._thread is not None:
                self._culprit = self._name_of(sys._current_frames().get(self._thread))

    def _name_of(self, innermost: FrameType | None) -> str | None:
        """Return what a thread is at work on, or None if it only waits."""
        ours = None
        for frame in _outwards(innermost):
            describe = self._describers.get(frame.f_code)
            if describe is not None:
                return describe(frame)[:_LONGEST_NAME]
            module = str(frame.f_globals.get("__name__", ""))
            if ours is None and module.startswith("presence.") and module != __name__:
                ours = f"{module}.{frame.f_code.co_name}"
        return ours


def _outwards(innermost: FrameType | None) -> Iterator[FrameType]:
    while innermost is not None:
        yield innermost
        innermost = innermost.f_back
