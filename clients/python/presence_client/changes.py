"""Waiting until something is so, among things that change one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Changes:
    """Wakes those who wait for a condition whenever something may have made it true."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._waiting: set[asyncio.Future[None]] = set()

    def happened(self) -> None:
        """Let everybody look again."""
        waiting, self._waiting = self._waiting, set()
        for one in waiting:
            if not one.done():
                one.set_result(None)
        self._told()

    async def until(self, condition: Callable[[], Any], time: float) -> Any:
        """Return the condition's value once it is true, or what it was at a time of the loop."""
        loop = asyncio.get_running_loop()
        while not (value := condition()) and (left := time - loop.time()) > 0:
            change: asyncio.Future[None] = loop.create_future()
            self._waiting.add(change)
            try:
                await asyncio.wait({change}, timeout=left)
            finally:
                self._waiting.discard(change)
        return value
