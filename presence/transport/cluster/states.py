"""States of the moment: what is true of a connection just now, such as where its cursor is.

They are never stored, and gone with the connection. Whoever joins with ``states`` hears of them:
what changes within a window is told once, all of it in one message that is encoded once, and the
newest wins. For a reader that is slow it is only noted whose states it has not heard; it gets them
as they are then, when it reads again. Workers tell each other one message for a window and room,
and now and then all of their own once more, so that what was lost on the way, or died with its
worker, is put right.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from presence.domain.permissions.tokens import UPDATE, Grants
from presence.transport.cluster.live_rights import LiveRights
from presence.transport.engine import packets
from presence.transport.engine.multicast import send_to_all
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.members import Members
from presence.transport.live.switchboard import Seat
from presence.transport.wire.room_list import RoomList

log = logging.getLogger(__name__)

# Bytes of states in one message, and what may wait for a reader that is told anything new.
_MOST_AT_ONCE = 30 * 1024
_MOST_WAITING = 30 * 1024
# What a state takes in a message beside itself, about.
_BESIDE_BYTES = 100
# How often a worker tells all of its own once more, and how long those of others last without it.
REFRESH_SECONDS = 10.0
_STALE_SECONDS = 2.5 * REFRESH_SECONDS
# How old a state of another worker is at least that a list takes away, which may be older itself.
_SETTLED_SECONDS = 3.0


class State(NamedTuple):
    """The state of a connection, as JSON, and when it was heard; None: it has none any more."""

    peer_id: str
    json: str | None
    at: float


# A socket, its peer and its state.
_Entry = tuple[str, str, State]


class _Room:
    """What this process knows of the states in a room, all of it by socket."""

    def __init__(self) -> None:
        # Those of the sockets here, and of those elsewhere.
        self.own: dict[str, State] = {}
        self.elsewhere: dict[str, State] = {}
        # What has changed since the last window, and what of it others have not been told.
        self.changed: dict[str, State] = {}
        self.untold: dict[str, State] = {}
        # Who hears of them here, and of which sockets, with their peers, each is to hear yet.
        self.hearers: dict[str, dict[str, str]] = {}
        # Whether a window is open, and when the last one closed.
        self.is_open = False
        self.told_at = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.own or self.hearers or self.changed or self.untold or self.is_open)

    def newest(self, sid: str, peer_id: str) -> State:
        """Return the state of a socket as it is now."""
        return self.own.get(sid) or self.elsewhere.get(sid) or State(peer_id, None, 0.0)


class States:
    """The states in the rooms of this process; `window` is in seconds."""

    def __init__(
        self,
        sockets: Sockets,
        members: Members,
        announcer: Announcer,
        live_rights: LiveRights,
        window: float,
    ) -> None:
        self._sockets = sockets
        self._window = window
        self._guard = threading.Lock()
        self._rooms: dict[str, _Room] = {}
        # In which room each socket has a state, or hears of those of others.
        self._room_of: dict[str, str] = {}
        # Tells the workers with sockets in a room what has changed here, and asks for what they
        # have, in the name of a socket.
        self.tell_others: Callable[[str, list[Any]], None] | None = None
        self.ask_others: Callable[[str, str], None] | None = None
        members.when_left.append(self.gone)
        announcer.listeners.append(self.compare)
        live_rights.when_changed.append(self.compare_rights)

    def set(self, sid: str, seat: Seat, state: str | None) -> None:
        """Note the state of a socket, as JSON; None: it has none any more."""
        with self._guard:
            room = self._rooms.setdefault(seat.room_name, _Room())
            self._room_of[sid] = seat.room_name
            self._note(room, sid, State(seat.peer_id, state, time.monotonic()))
        self._mark(seat.room_name)

    def gone(self, sid: str) -> None:
        """Note that a socket has left its room: it has no state, and hears of none."""
        with self._guard:
            room_name = self._room_of.pop(sid, None)
            room = self._rooms.get(room_name) if room_name is not None else None
            if room_name is None or room is None:
                return
            had = room.own.get(sid)
            if had is not None:
                self._note(room, sid, had._replace(json=None))
            if room.hearers.pop(sid, None) is not None and not room.hearers:
                room.elsewhere.clear()
        self._mark(room_name)

    def listen(self, sid: str, room_name: str) -> None:
        """Let a socket hear of the states in a room, beginning with all of now."""
        with self._guard:
            room = self._rooms.setdefault(room_name, _Room())
            self._room_of[sid] = room_name
            is_first = not room.hearers
            known = [*room.elsewhere.items(), *room.own.items()]
            room.hearers[sid] = {other: state.peer_id for other, state in known}
        if is_first and self.ask_others is not None:
            self.ask_others(room_name, sid)
        self._mark(room_name)

    def deafen(self, sid: str) -> None:
        """Let a socket hear of no states any more; its own stays."""
        with self._guard:
            room = self._rooms.get(self._room_of.get(sid, ""))
            if room is not None and room.hearers.pop(sid, None) is not None and not room.hearers:
                room.elsewhere.clear()

    def compare_rights(self, sid: str, grants: Grants) -> None:
        """Take away the state of a socket that may have none any more, and so cannot do it."""
        if grants.has(UPDATE):
            return
        with self._guard:
            room_name = self._room_of.get(sid, "")
            room = self._rooms.get(room_name)
            had = room.own.get(sid) if room is not None else None
            if room is None or had is None:
                return
            self._note(room, sid, had._replace(json=None))
        self._mark(room_name)

    def told_from_elsewhere(self, room_name: str, states: Iterable[Any]) -> None:
        """Take in states of another worker: sockets with their peers and states, or None."""
        with self._guard:
            room = self._rooms.get(room_name)
            if room is None or not room.hearers:
                return
            now = time.monotonic()
            for sid, peer_id, state in states:
                before = room.elsewhere.pop(sid, None)
                noted = State(peer_id, state, now)
                if state is not None:
                    room.elsewhere[sid] = noted
                if state != (before.json if before is not None else None):
                    room.changed[sid] = noted
        self._mark(room_name)

    def own_of(self, room_name: str) -> list[Any]:
        """Return the states of the sockets here in a room, as workers tell them."""
        with self._guard:
            room = self._rooms.get(room_name)
            return _told(room.own) if room is not None else []

    def compare(self, shown: RoomList) -> None:
        """Take away the states of those on other workers who are not active any more."""
        if shown.name in self._rooms:
            settled = time.monotonic() - _SETTLED_SECONDS
            self._forget(
                shown.name, lambda one: one.peer_id not in shown.active and one.at < settled
            )

    def refresh(self) -> None:
        """Tell all states of this worker once more; forget those of workers that do not."""
        if self.tell_others is None:
            return
        stale = time.monotonic() - _STALE_SECONDS
        for room_name in list(self._rooms):
            own = self.own_of(room_name)
            if own:
                self.tell_others(room_name, own)
            self._forget(room_name, lambda one: one.at < stale)

    def ask_again(self) -> None:
        """Ask other workers for theirs, and tell them ours: the line to them was cut."""
        with self._guard:
            asking = {
                name: next(iter(room.hearers)) for name, room in self._rooms.items() if room.hearers
            }
        if self.ask_others is not None:
            for room_name, sid in asking.items():
                self.ask_others(room_name, sid)
        self.refresh()

    def _note(self, room: _Room, sid: str, state: State) -> None:
        if state.json is not None:
            room.own[sid] = state
        elif room.own.pop(sid, None) is None:
            return
        room.changed[sid] = state
        if self.tell_others is not None:
            room.untold[sid] = state

    def _forget(self, room_name: str, is_over: Callable[[State], bool]) -> None:
        with self._guard:
            room = self._rooms.get(room_name)
            if room is None:
                return
            over = [sid for sid, one in room.elsewhere.items() if is_over(one)]
            for sid in over:
                room.changed[sid] = room.elsewhere.pop(sid)._replace(json=None)
        if over:
            self._mark(room_name)

    def _mark(self, room_name: str) -> None:
        """Open a window of a room, unless one is open or there is nothing to tell."""
        with self._guard:
            room = self._rooms.get(room_name)
            if room is None or room.is_open:
                return
            if not (room.changed or room.untold or any(room.hearers.values())):
                if not room.is_needed:
                    del self._rooms[room_name]
                return
            room.is_open = True
        self._sockets.start_background_task(self._tell_windows, room_name, room)

    def _tell_windows(self, room_name: str, room: _Room) -> None:
        """Tell what has changed at the end of each window, until nothing has."""
        goes_on = True
        while goes_on:
            # The first goes out at once, if the last one was long ago.
            self._sockets.sleep(max(0.0, room.told_at + self._window - time.monotonic()))
            room.told_at = time.monotonic()
            try:
                with self._guard:
                    changed, room.changed = room.changed, {}
                    untold, room.untold = room.untold, {}
                if untold and self.tell_others is not None:
                    self.tell_others(room_name, _told(untold))
                self._send(room_name, room, changed)
            except Exception:
                log.exception("states in room %r could not be told", room_name)
            with self._guard:
                waits = any(room.hearers.values())
                goes_on = room.is_open = bool(room.changed or room.untold or waits)
                if not room.is_needed:
                    self._rooms.pop(room_name, None)

    def _send(self, room_name: str, room: _Room, changed: dict[str, State]) -> None:
        """Send what has changed to all who are ready for it, and to each other what it lacks."""
        with self._guard:
            hearers = list(room.hearers.items())
        parts = list(_parts((sid, one.peer_id, one) for sid, one in changed.items()))
        # Made once for all: in a large room there are as many readers as there are states.
        news = {sid: one.peer_id for sid, one in changed.items()}
        later = {sid: peer_id for part in parts[1:] for sid, peer_id, _ in part}
        ready: list[str] = []
        for sid, lacking in hearers:
            found = self._connection(sid)
            if found is None:
                continue
            eio_sid, connection = found
            if lacking or connection.queue.size > _MOST_WAITING:
                lacking.update(news)
                self._make_up(room_name, room, eio_sid, lacking)
            elif parts:
                ready.append(eio_sid)
                lacking.update(later)
        if parts:
            send_to_all(self._sockets.server.eio, ready, _packet(room_name, parts[0]))

    def _make_up(self, room_name: str, room: _Room, eio_sid: str, lacking: dict[str, str]) -> None:
        """Send a reader some of what it lacks, as that is now, if it reads again."""
        eio = self._sockets.server.eio
        connection = eio.sockets.get(eio_sid)
        if not lacking or connection is None or connection.queue.size > _MOST_WAITING:
            return
        with self._guard:
            # Only so many are looked at as fit into a message.
            part = next(
                _parts((sid, peer, room.newest(sid, peer)) for sid, peer in lacking.items())
            )
        for sid, _, _ in part:
            lacking.pop(sid, None)
        send_to_all(eio, [eio_sid], _packet(room_name, part))

    def _connection(self, sid: str) -> tuple[str, Any] | None:
        eio_sid = self._sockets.server.manager.eio_sid_from_sid(sid, "/")
        connection = self._sockets.server.eio.sockets.get(eio_sid) if eio_sid else None
        return None if connection is None else (eio_sid, connection)


def _told(states: dict[str, State]) -> list[Any]:
    return [[sid, one.peer_id, one.json] for sid, one in states.items()]


def _parts(states: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """Yield states in parts that are short enough for one message."""
    part: list[_Entry] = []
    size = 0
    for entry in states:
        size += _BESIDE_BYTES + len(entry[2].json or "")
        if part and size > _MOST_AT_ONCE:
            yield part
            part, size = [], _BESIDE_BYTES + len(entry[2].json or "")
        part.append(entry)
    if part:
        yield part


def _packet(room_name: str, part: list[_Entry]) -> Any:
    states = [
        {
            "peer_id": peer_id,
            "session": sid,
            "state": None if one.json is None else orjson.Fragment(one.json),
        }
        for sid, peer_id, one in part
    ]
    return packets.event("states_changed", {"room_name": room_name, "states": states})
