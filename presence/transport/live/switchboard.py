"""Which sockets of this process stand for which peer, and the signals that wait for a lost one.

A signal must not cost a query, so this is kept in memory beside the database, which stays the
truth: joins and leaves enter here what they have committed there. Nothing is sent while the lock
is held, for sending can reveal a dead socket, whose end comes back in here.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Body = dict[str, Any]

# The sender of what the server says itself, for a backend; no socket has this id.
SERVER = ""

# Waiting signals are looked at this often at most, so that many of them cost little.
_SWEEP_SECONDS = 0.2


class Seat(NamedTuple):
    """The peer that a socket stands for."""

    room_name: str
    peer_id: str


class Sender(NamedTuple):
    """Who sends a signal to a peer of a room: a socket that stands for another, or `SERVER`."""

    sid: str
    room_name: str


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How long signals wait, how many for one peer, and how many bytes for all of them."""

    seconds: float
    per_peer: int
    total_bytes: int


@dataclass(slots=True)
class Held:
    """A signal that waits, from the socket ``sender_sid`` that stood for ``sender``."""

    signal_id: str
    sender: Seat
    sender_sid: str
    to: str
    body: Body
    size: int
    expires: float


class Outcome(NamedTuple):
    """Where a signal goes: to a socket at once, or to wait as ``held``; neither if ``full``."""

    sid: str | None = None
    held: Held | None = None
    full: bool = False


@dataclass(slots=True)
class _Line:
    """What is known of one peer."""

    # Its sockets, the newest last, and when they came; `arriving` is one that still waits for its
    # join to be answered.
    sids: dict[str, float] = field(default_factory=dict)
    arriving: str | None = None
    # When its sockets were lost, those of the last few seconds.
    lost: dict[str, float] = field(default_factory=dict)
    waiting: deque[Held] = field(default_factory=deque)
    # Whether what waits is just being sent to another process.
    forwarding: bool = False


class Switchboard:
    """The peers whose sockets this process holds or just lost.

    `sweep_soon` is asked to call `sweep` in the background until it returns None; `SignalDelivery`
    sees to that.
    """

    def __init__(
        self,
        limits: HoldLimits,
        is_connected: Callable[[str], bool],
        sweep_soon: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._is_connected = is_connected
        self.sweep_soon = sweep_soon
        self._clock = clock
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}
        self._lines: dict[Seat, _Line] = {}
        # The peers of whom somebody was lost or something waits: the only ones to sweep.
        self._fading: set[Seat] = set()
        self._sweeping = False
        self._held_bytes = 0
        self._ids = itertools.count(1)

    def seat(self, sid: str) -> Seat | None:
        """Return the peer that a socket stands for, or None."""
        return self._seats.get(sid)

    def enter(self, sid: str, room_name: str, peer_id: str) -> None:
        """Note that a socket stands for a peer; what waits for it goes out with `next_waiting`."""
        seat = Seat(room_name, peer_id)
        with self._lock:
            self._take_out(sid)
            self._seats[sid] = seat
            line = self._lines.setdefault(seat, _Line())
            line.sids[sid] = self._clock()
            if line.waiting:
                line.arriving = sid

    def leave(self, sid: str) -> None:
        """Note that a socket stands for nobody any more, as it was asked to.

        Nor does one that was lost before it came, for whose return it is taken (`_addressed`).
        """
        with self._lock:
            seat = self._seats.get(sid)
            if seat is None:
                return
            line = self._lines[seat]
            came = line.sids[sid]
            line.lost = {lost: at for lost, at in line.lost.items() if at >= came}
            self._take_out(sid)
            self._tidy(seat)

    def lost(self, sid: str, seat: Seat | None = None) -> None:
        """Note that a socket was lost, so that signals wait for its peer; `seat` if not known."""
        with self._lock:
            seat = self._take_out(sid) or seat
            if seat is None:
                return
            self._lines.setdefault(seat, _Line()).lost[sid] = self._clock()
            self._fading.add(seat)
            self._start_sweeping()

    def forget(self, room_name: str, peer_id: str) -> None:
        """Let nothing wait for a peer any more: it left over REST, or was erased."""
        with self._lock:
            line = self._lines.get(Seat(room_name, peer_id))
            if line is not None:
                line.lost.clear()
                for held in line.waiting:
                    held.expires = self._clock()

    def route(
        self, sender: Sender, to: str, to_session: str | None, body: Body, size: int
    ) -> Outcome:
        """Say where a signal of `size` bytes goes, keeping it if it must wait.

        An empty outcome means that this process knows of no socket, present or just lost, or that
        the sender has left its room.
        """
        with self._lock:
            seat = self._seat_of(sender)
            line = self._lines.get(Seat(seat.room_name, to)) if seat else None
            if seat is None or line is None:
                return Outcome()
            sids = self._addressed(line, to_session)
            connected = next((sid for sid in reversed(sids) if self._is_connected(sid)), None)
            if connected is not None and connected != line.arriving:
                return Outcome(sid=connected)
            # A socket about to be lost counts as lost, and for one that is arriving a signal has
            # to queue behind those that already wait.
            queued = to_session is None and bool(line.waiting or line.forwarding)
            if not sids and not queued and not self._was_just_lost(line, to_session):
                return Outcome()
            held = self._hold(line, self._signal(seat, sender.sid, to, (body, size)))
            return Outcome(held=held, full=held is None)

    def hold(self, sender: Sender, to: str, body: Body, size: int) -> Held | None:
        """Let a signal wait for a peer of the sender's room; None if no more can.

        For a peer that was lost without this process having seen it.
        """
        with self._lock:
            seat = self._seat_of(sender)
            if seat is None:
                return None
            line = self._lines.setdefault(Seat(seat.room_name, to), _Line())
            return self._hold(line, self._signal(seat, sender.sid, to, (body, size)))

    def awaited(self, room_name: str | None = None) -> list[Seat]:
        """Return the peers for whom signals wait, in one room or in all."""
        with self._lock:
            return [
                seat
                for seat in self._fading
                if room_name in (None, seat.room_name) and self._lines[seat].waiting
            ]

    def fading(self, room_name: str) -> list[Seat]:
        """Return the peers of a room who were lost lately, or for whom signals wait."""
        with self._lock:
            return [seat for seat in self._fading if seat.room_name == room_name]

    def begin_forwarding(self, seat: Seat) -> bool:
        """Let signals to a peer queue up while those that wait are sent to another process.

        False if that is going on already, or the peer is here.
        """
        with self._lock:
            line = self._lines.get(seat)
            if line is None or line.forwarding or line.sids:
                return False
            line.forwarding = True
            return True

    def end_forwarding(self, seat: Seat) -> None:
        """Let signals to a peer take the straight way again, once none waits."""
        with self._lock:
            line = self._lines.get(seat)
            if line is not None:
                line.forwarding = False
                self._tidy(seat)

    def first_waiting(self, seat: Seat) -> Held | None:
        """Return the first signal that waits for a peer, without taking it out."""
        with self._lock:
            line = self._lines.get(seat)
            return line.waiting[0] if line is not None and line.waiting else None

    def drop_waiting(self, seat: Seat, held: Held) -> None:
        """Take out the first signal that waits for a peer, if it still is this one."""
        with self._lock:
            line = self._lines.get(seat)
            if line is not None and line.waiting and line.waiting[0] is held:
                self._pop(line)

    def found(self, seat: Seat) -> None:
        """Note that a peer which was lost here is back on another process."""
        with self._lock:
            line = self._lines.get(seat)
            if line is not None:
                line.lost.clear()

    def seats(self) -> dict[str, Seat]:
        """Return the peer of every socket that stands for one."""
        with self._lock:
            return dict(self._seats)

    def sids_of(self, room_name: str, peer_id: str) -> list[str]:
        """Return the sockets that stand for a peer here."""
        with self._lock:
            line = self._lines.get(Seat(room_name, peer_id))
            return list(line.sids) if line is not None else []

    def next_waiting(self, sid: str) -> Held | None:
        """Take the next signal that waited for a socket which arrived; None when it has all."""
        with self._lock:
            seat = self._seats.get(sid)
            line = self._lines.get(seat) if seat else None
            if line is None or line.arriving != sid:
                return None
            if not line.waiting or not self._is_connected(sid):
                line.arriving = None
                return None
            return self._pop(line)

    def sweep(self) -> tuple[list[Held], float | None]:
        """Take out what has waited too long; return it, and in how many seconds to sweep again.

        None says that nothing is left to sweep: `sweep_soon` will be asked again.
        """
        with self._lock:
            now = self._clock()
            expired: list[Held] = []
            for seat in list(self._fading):
                line = self._lines[seat]
                while line.waiting and line.waiting[0].expires <= now:
                    expired.append(self._pop(line))
                for sid in [s for s, at in line.lost.items() if at + self._limits.seconds <= now]:
                    del line.lost[sid]
                self._tidy(seat)
            self._sweeping = bool(self._fading)
            return expired, _SWEEP_SECONDS if self._sweeping else None

    @property
    def held_bytes(self) -> int:
        """How many bytes of signals wait."""
        return self._held_bytes

    def sessions(self, seat: Seat) -> list[str]:
        """Return the sockets that stand for a peer, the newest last."""
        with self._lock:
            line = self._lines.get(seat)
            return list(line.sids) if line else []

    def _seat_of(self, sender: Sender) -> Seat | None:
        if sender.sid == SERVER:
            return Seat(sender.room_name, SERVER)
        return self._seats.get(sender.sid)

    def _addressed(self, line: _Line, to_session: str | None) -> list[str]:
        """Return the sockets that a signal may go to, the best last.

        What is for a session that was just lost goes to the first that came after it.
        """
        if to_session is None:
            return list(line.sids)
        if to_session in line.sids:
            return [to_session]
        lost_at = line.lost.get(to_session)
        if lost_at is None:
            return []
        return [sid for sid, at in line.sids.items() if at > lost_at][:1]

    def _signal(self, sender: Seat, sender_sid: str, to: str, content: tuple[Body, int]) -> Held:
        expires = self._clock() + self._limits.seconds
        return Held(str(next(self._ids)), sender, sender_sid, to, *content, expires)

    def _hold(self, line: _Line, held: Held) -> Held | None:
        if (
            len(line.waiting) >= self._limits.per_peer
            or self._held_bytes + held.size > self._limits.total_bytes
        ):
            return None
        line.waiting.append(held)
        self._held_bytes += held.size
        self._fading.add(Seat(held.sender.room_name, held.to))
        self._start_sweeping()
        return held

    def _was_just_lost(self, line: _Line, to_session: str | None) -> bool:
        since = self._clock() - self._limits.seconds
        if to_session is not None:
            return line.lost.get(to_session, since) > since
        return any(at > since for at in line.lost.values())

    def _take_out(self, sid: str) -> Seat | None:
        seat = self._seats.pop(sid, None)
        if seat is not None:
            line = self._lines[seat]
            del line.sids[sid]
            if line.arriving == sid:
                line.arriving = None
        return seat

    def _pop(self, line: _Line) -> Held:
        held = line.waiting.popleft()
        self._held_bytes -= held.size
        return held

    def _tidy(self, seat: Seat) -> None:
        """Forget a peer of whom there is nothing to know."""
        line = self._lines[seat]
        if not (line.lost or line.waiting):
            self._fading.discard(seat)
            if not line.sids and not line.forwarding:
                del self._lines[seat]

    def _start_sweeping(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self.sweep_soon()
