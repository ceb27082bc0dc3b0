"""Keeps one connection for as long as somebody needs it, and makes it again when it is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from presence_client.address import Address
from presence_client.bodies import Body
from presence_client.errors import PresenceError
from presence_client.link import Link

RETRY_SECONDS = (0.5, 1.0, 2.0, 3.0, 5.0)
# A connection that held for less is one of a flapping network.
_STEADY_SECONDS = 5.0


def pause(attempt: int, asked_for: float = 0.0) -> float:
    """Return how long to wait before an attempt: longer each time, and not all clients alike."""
    wait = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
    return max(wait * random.uniform(0.75, 1.25), asked_for)  # noqa: S311 – spreads load only


class Owner(Protocol):
    """Whom a keeper asks and tells."""

    def needs_connection(self) -> bool:
        """Tell whether anything is wanted for which a connection is needed."""

    def connected(self) -> None:
        """Hear that there is a connection now."""

    def disconnected(self, reason: str) -> None:
        """Hear that it is lost."""

    def not_connected(self, error: PresenceError) -> bool:
        """Hear why there is none; return whether to try again."""

    def heard(self, event: str, body: Body) -> None:
        """Hear an event of the connection, in the order of coming."""


class Keeper:
    """Holds one connection, ``link``, or None while there is none."""

    def __init__(
        self,
        address: Address,
        token: Callable[[], Awaitable[str | None]],
        timeout: float,
        owner: Owner,
    ) -> None:
        self._link: Link | None = None
        self._address = address
        self._token = token
        self._timeout = timeout
        self._owner = owner
        self._task: asyncio.Task[None] | None = None
        # Ends the pause before the next attempt.
        self._hurry: asyncio.Future[None] | None = None
        # Those that were told to end, and are still closing their connection.
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def link(self) -> Link | None:
        """The connection, if there is one that is not lost."""
        return self._link if self._link is not None and self._link.is_up else None

    def need(self) -> None:
        """Connect, or make the next attempt at once, unless the server has asked to wait."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        elif self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(None)

    def release(self) -> None:
        """Stop trying to connect if nobody needs it any more; what is there stays."""
        if self._link is None and not self._owner.needs_connection():
            self._end()

    def cut(self) -> None:
        """Give up a connection on which the server does not answer."""
        if self._link is not None:
            self._link.cut()

    async def hung_up(self) -> None:
        """Wait until a connection that is lost or given up is closed."""
        if self._link is not None and not self._link.is_up:
            await self._link.close()

    async def close(self) -> None:
        """Disconnect, and connect no more."""
        self._end()
        if self._ending:
            await asyncio.wait(self._ending)

    def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _run(self) -> None:
        attempt = 0
        while self._is_current() and self._owner.needs_connection():
            link = Link(self._address, self._owner.heard)
            asked_to_wait = 0.0
            try:
                token = await self._token()
                if self._is_current():
                    await link.open(token, self._timeout)
                if not self._is_current():
                    return
                self._link, since = link, time.monotonic()
                self._owner.connected()
                reason = await link.lost()
            except PresenceError as error:
                if not self._is_current():
                    return
                again = self._owner.not_connected(error)
                # Otherwise only what is asked for anew from here on may be worth an attempt.
                wait = pause(attempt) if again else 0.0
                asked_to_wait = error.retry_after
                attempt += 1
            else:
                steady = time.monotonic() - since > _STEADY_SECONDS
                attempt = 0 if steady else attempt + 1
                wait = pause(attempt)
                self._owner.disconnected(reason)
            finally:
                await link.close()
                if self._link is link:
                    self._link = None
            await asyncio.sleep(asked_to_wait)
            self._hurry = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._hurry}, timeout=wait)
            self._hurry = None

    def _is_current(self) -> bool:
        """Tell whether this task is still the one; a function of others may overhear its end."""
        return self._task is asyncio.current_task()
