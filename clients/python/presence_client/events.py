"""What a client tells of itself and its room, and who is called then."""

from __future__ import annotations

import inspect
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Literal, get_args

from presence_client.errors import PresenceError

log = logging.getLogger(__name__)

Callback = Callable[[Any], object]
Event = Literal[
    "state",
    "disconnected",
    "joined",
    "left",
    "peers",
    "peer_joined",
    "peer_updated",
    "peer_left",
    "user_data_updated",
    "room_data",
    "room_data_updated",
    "file_uploaded",
    "file_deleted",
    "grants_changed",
    "waiting",
    "peer_waiting",
    "knocking",
    "signal",
    "signal_expired",
    "states",
    "broadcast",
    "broadcasts_missed",
    "room_changed",
    "rooms_changed",
    "slow_down",
    "error",
]
EVENTS: frozenset[str] = frozenset(get_args(Event))


class Callbacks:
    """The functions that are called for each event, in the order in which they came."""

    def __init__(self, *, takes_coroutines: bool) -> None:
        self._takes_coroutines = takes_coroutines
        self._of: defaultdict[str, list[Callback]] = defaultdict(list)

    def add(self, event: str, callback: Callback) -> None:
        """Call `callback` for an event.

        Raises `PresenceError`: ``unknown_event``, or ``async_callback`` if nobody could await it.
        """
        if event not in EVENTS:
            known = ", ".join(sorted(EVENTS))
            raise PresenceError("unknown_event", f"There is no event “{event}”. There are {known}.")
        if not self._takes_coroutines:
            refuse_coroutine(callback, "callback")
        self._of[event].append(callback)

    def remove(self, event: str, callback: Callback) -> None:
        """Call `callback` no more."""
        if callback in self._of[event]:
            self._of[event].remove(callback)

    def call(self, event: str, value: Any) -> None:
        """Call everybody; one that fails is logged, and stops nobody else."""
        for callback in list(self._of[event]):
            try:
                given = callback(value)
                if inspect.iscoroutine(given):
                    given.close()
                    log.error("a callback of %r gave a coroutine, which nobody awaits", event)
            except Exception:
                log.exception("a callback of %r failed", event)

    async def acall(self, event: str, value: Any) -> None:
        """Call everybody, awaiting those that are coroutines, one after the other."""
        for callback in list(self._of[event]):
            try:
                given = callback(value)
                if inspect.isawaitable(given):
                    await given
            except Exception:
                log.exception("a callback of %r failed", event)


def refuse_coroutine(function: object, what: str) -> None:
    """Raise `PresenceError` (``async_callback``) for a function that would have to be awaited."""
    call = getattr(function, "__call__", None)  # noqa: B004 – an object with an async __call__
    if any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, call)
    ):
        raise PresenceError(
            "async_callback",
            f"This {what} is an async function, which the blocking client cannot await. "
            "Use AsyncClient, or a plain function.",
        )
