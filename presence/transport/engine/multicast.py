"""One packet to many connections, at as little cost for each as can be.

python-socketio and python-engineio pass through seven calls for each recipient. What they look at
on the way is looked at here, or by the heartbeat. And most of what a short packet costs is the
write by itself, so packets that can wait a little share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from engineio.exceptions import SocketIsClosedError

# How long packets to many are gathered before they are written, for each recipient of them: about
# ten times what a write takes, so that writing takes a tenth of the time at most.
_REST_PER_RECIPIENT = 0.00008


def send_to_all(
    engine: Any, eio_sids: Iterable[str], packet: Any, *, is_held: bool = False
) -> None:
    """Send a packet to the connections with these ids, as far as they are open.

    It leaves with what else is sent to them in this turn. One that `is_held` is written with
    whatever is sent to the connection next, or by `release`.
    """
    for connection in _open(engine, eio_sids):
        # On threads it may be closed between the look and the sending.
        with suppress(SocketIsClosedError):
            connection.send_shared(packet, is_held)


def send_at_once(engine: Any, eio_sids: Iterable[str], packet: Any) -> None:
    """Send a short packet to the connections with these ids, as far as they are open.

    It does not wait for the end of the turn, which costs less where nothing else is sent in it.
    """
    for connection in _open(engine, eio_sids):
        with suppress(SocketIsClosedError):
            connection.send_at_once(packet)


def release(engine: Any, eio_sids: Iterable[str]) -> None:
    """Write what is held for these connections."""
    for connection in _open(engine, eio_sids):
        connection.release()


def _open(engine: Any, eio_sids: Iterable[str]) -> list[Any]:
    connections = engine.sockets
    found = [connections.get(eio_sid) for eio_sid in eio_sids]
    return [one for one in found if one is not None and not one.closed]


class Gatherer:
    """Sends the short packets of each group at once where they are few, else several together.

    `max_seconds` is how long one may wait at most. `members` gives the ids of the connections of a
    group; `later` calls a function after some seconds.
    """

    def __init__(
        self,
        engine: Any,
        max_seconds: float,
        members: Callable[[str], list[str]],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._engine = engine
        self._max_seconds = max_seconds
        self._members = members
        self._later = later
        # When what is gathered for a group is written, and whether anything is.
        self._rests_until: dict[str, float] = {}
        self._gathering: set[str] = set()

    def send(self, group: str, eio_sids: list[str], packet: Any) -> None:
        """Send a packet to members of a group, now or with others that come soon."""
        now = time.monotonic()
        wait = self._rests_until.get(group, now) - now
        if wait <= 0 or not self._engine.holds:
            send_at_once(self._engine, eio_sids, packet)
            self._rest(group, len(eio_sids), now)
            return
        send_to_all(self._engine, eio_sids, packet, is_held=True)
        if group not in self._gathering:
            self._gathering.add(group)
            self._later(wait, lambda: self._release(group))

    def keep(self, groups: set[str]) -> None:
        """Forget every group but these."""
        for name in self._rests_until.keys() - groups:
            self._rests_until.pop(name, None)

    def _release(self, group: str) -> None:
        self._gathering.discard(group)
        members = self._members(group)
        release(self._engine, members)
        self._rest(group, len(members), time.monotonic())

    def _rest(self, group: str, recipients: int, now: float) -> None:
        rest = min(recipients * _REST_PER_RECIPIENT, self._max_seconds)
        self._rests_until[group] = now + rest
