"""Telling a room's sockets what changed: after the commit, in order, once for many changes.

A change marks its room. The first mark announces the list at once; marks that follow within the
window share the next announcement. So a storm of N joins costs a few lists instead of N, and each
is read once, encoded once and sent as the same bytes to every socket.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from flask import Flask
from flask_socketio import SocketIO

from presence.domain import rooms
from presence.domain.lists import Head
from presence.errors import RoomNotFound
from presence.storage import database
from presence.transport import deltas, packets, told_versions, wire
from presence.transport.counters import Histogram
from presence.transport.deltas import History
from presence.transport.room_lists import RoomList, RoomLists
from presence.transport.told_versions import ToldVersions

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
# For how many windows the next list waits at most while messages wait to be handled, which are
# likely to change the room again: under load fewer lists cost less of what there is too little of.
_BUSY_WINDOWS = 10
# How many times as long as a list took to send the next one waits, up to a second.
_REST = 4
_MAX_REST_SECONDS = 1.0
# How often a list is read at most that turns out to be older than what was told meanwhile: a
# database that was put back to an earlier state always is.
_READS = 3
_CHANNEL = "room:"
# What the Socket.IO rooms of those begin with who only watch a room.
WATCHERS = "watch:"


def channel(room_name: str) -> str:
    """Return the Socket.IO room that carries what is sent to everybody in a room."""
    return _CHANNEL + room_name


class _RoomLock:
    """A lock that can be held in a dictionary of weak references."""

    def __init__(self) -> None:
        # Reentrant: sending to a socket can reveal that it is dead, and its disconnect handler
        # then changes the same room.
        self.lock = threading.RLock()


@dataclass
class _Window:
    """The time during which a room's changes share an announcement."""

    marked: bool = False  # changed since the last announcement
    since: float = field(default_factory=time.perf_counter)  # when the first change was marked
    announced: int = 0  # the version that was announced last
    own: bool = False  # changed by this process, so that others are to be told


class Announcer:
    """Sends to sockets what happened in their rooms."""

    def __init__(
        self,
        app: Flask,
        socketio: SocketIO,
        window: float,
        latency: Histogram,
        room_lists: RoomLists,
    ) -> None:
        self._app = app
        self._room_lists = room_lists
        self._socketio = socketio
        self._window = window
        self._latency = latency
        # Tells whether messages wait to be handled.
        self._is_busy: Callable[[], bool] = socketio.server.eio.is_behind
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, _RoomLock] = WeakValueDictionary()
        self._windows: dict[str, _Window] = {}
        # The sockets that get changes instead of lists, and what they were told of their rooms.
        self._delta_sids: set[str] = set()
        self._histories: dict[str, History] = {}
        self._told = ToldVersions()
        # Called with every room that was announced, in the order of its versions.
        self.listeners: list[Callable[[RoomList], None]] = []
        # Called with every room that this process changed, to let other workers know.
        self.tell_others: Callable[[RoomList], None] | None = None

    @contextmanager
    def in_order(self, *room_names: str | None) -> Generator[None]:
        """Keep what this process reads or changes of rooms, and sends of it, in one order.

        Without it, a thread that read version 5 could send it after another has sent version 6.
        Take it around a change together with the messages about it, before `database.writing`.
        """
        # Held in a variable for as long as the block runs: the dictionary refers to them weakly.
        locks = [self._lock_of(name) for name in sorted({n for n in room_names if n is not None})]
        with ExitStack() as stack:
            for item in locks:
                stack.enter_context(item.lock)
            yield

    def mark(self, *room_names: str) -> None:
        """Note that rooms changed: announce each now, or with the others of its open window."""
        self._mark(room_names, own=True)

    def mark_from_elsewhere(self, *room_names: str) -> None:
        """Like `mark`, for changes that another process made."""
        self._mark(room_names, own=False)

    def removed(self, room_name: str, version: int) -> None:
        """Tell whoever watches that a room, which had come to this version, is no more."""
        self._room_lists.forget(room_name)
        self._told.forget(room_name)
        view = RoomList(Head(0, room_name, 0, "", version), [])
        for tell in self.listeners:
            tell(view)
        if self.tell_others is not None:
            self.tell_others(view)

    def announced(self, room_name: str) -> int:
        """Return the version of a room that was announced last, 0 if none was lately."""
        return self._told.in_list(room_name)

    def rooms_here(self) -> set[str]:
        """Return the names of the rooms of which a socket of this process hears, or watches."""
        return {
            name.partition(":")[2]
            for name in list(self._socketio.server.manager.rooms.get("/", {}))
            if isinstance(name, str) and name.startswith((_CHANNEL, WATCHERS))
        }

    def _mark(self, room_names: Iterable[str], *, own: bool) -> None:
        for name in sorted(room_names):
            with self._guard:
                if name in self._windows:
                    open_window = self._windows[name]
                    if not open_window.marked:
                        open_window.marked = True
                        open_window.since = time.perf_counter()
                    open_window.own |= own
                    continue
                window = self._windows[name] = _Window(own=own)
            self._announce(name, window)
            self._socketio.start_background_task(self._close_window, name, window)

    def emit(self, event: str, body: wire.Body, room_name: str, skip: str | None = None) -> None:
        """Send a notice of a change to everybody in a room, but for the socket to `skip`."""

        def send(body: wire.Body) -> None:
            self._socketio.emit(event, body, to=channel(room_name), skip_sid=skip)

        self.pass_on(event, body, send)

    def pass_on(self, event: str, body: wire.Body, send: Callable[[wire.Body], None]) -> None:
        """Have a notice sent in the order of its room's versions, as it is by then.

        One that is about a room or a peer that is no more is not sent.
        """
        name = body["room_name"]
        with self.in_order(name):
            if body["version"] < self._told.newest(name):
                try:
                    late = told_versions.as_shown(event, body, self.read(name))
                except RoomNotFound:
                    return
                if late is None:
                    return
                body = late
            self._told.note_notice(name, body["version"])
            send(body)

    def enter(self, sid: str, view: RoomList, *, deltas: bool) -> None:
        """Note how a socket that has just been given a room's list is told of changes.

        To be called within `in_order`.
        """
        if deltas:
            self._delta_sids.add(sid)
            self._histories.setdefault(view.name, History(view))
        else:
            self._delta_sids.discard(sid)

    def forget(self, sid: str) -> None:
        """Note that a socket is told of nothing any more."""
        self._delta_sids.discard(sid)

    def sync(self, room_name: str, since: int) -> wire.Body:
        """Return what changed in a room after a version, or all of it where that is not known.

        What is not announced yet is announced first, so that nothing falls in between. Raises
        `RoomNotFound`.
        """
        with self.in_order(room_name):
            view = self.read(room_name)
            history = self._histories.get(room_name)
            if history is not None and history.version != view.version:
                self._send(view)
            return deltas.synced(view, since, history.since(since) if history else None)

    def catch_up(self) -> None:
        """Announce every room of which the sockets here were not told the newest version.

        Makes up for what a crash or a lost message swallowed. Forgets rooms without sockets.
        """
        names = self.rooms_here()
        self._told.keep(names)
        for name in self._histories.keys() - names:
            self._histories.pop(name, None)
        with self._app.app_context(), database.reading() as session:
            versions = rooms.versions(session, names)
        missed = [name for name in names if versions.get(name, 0) > self.announced(name)]
        self.mark_from_elsewhere(*missed)

    def _close_window(self, name: str, window: _Window) -> None:
        """Announce once more at the window's end while marks keep coming, then forget the room."""
        wait = self._window
        while True:
            self._socketio.sleep(wait)
            for _ in range(_BUSY_WINDOWS - 1):
                if not (window.marked and self._is_busy()):
                    break
                self._socketio.sleep(self._window)
            with self._guard:
                if not window.marked:
                    del self._windows[name]
                    return
                window.marked = False
            began = time.perf_counter()
            wait = _RETRY_SECONDS
            if self._announce(name, window):
                self._socketio.sleep(0)  # streams write when the others have had their turn
                took = time.perf_counter() - began
                wait = max(self._window, min(_REST * took, _MAX_REST_SECONDS))

    def _announce(self, name: str, window: _Window) -> bool:
        """Send a room's list to its sockets, unless the last one already showed all of it.

        On a failure the room is marked again, and False returned.
        """
        try:
            with self.in_order(name):
                view = self.read(name)
                if view.version != window.announced:
                    self._send(view)
                    window.announced = view.version
                    self._latency.observe(time.perf_counter() - window.since)
                    for tell in self.listeners:
                        tell(view)
                own, window.own = window.own, False
                if own and self.tell_others is not None:
                    self.tell_others(view)
        except RoomNotFound:
            pass
        except Exception:
            log.exception("room %r could not be announced; trying again", name)
            with self._guard:
                window.marked = True
            return False
        return True

    def read(self, name: str) -> RoomList:
        """Return a room's list, no older than what was told of it; raises `RoomNotFound`.

        To be called within `in_order`. While another database is asked, a notice of what another
        process has changed since may be sent, and then it is asked again.
        """
        with self._app.app_context():
            for _ in range(_READS):
                with database.reading() as session:
                    view = self._room_lists.read(session, name)
                if view.version >= self._told.newest(name):
                    break
            return view

    def _send(self, view: RoomList) -> None:
        """Send a list, or its changes, to every socket in the room: the same bytes to all."""
        server = self._socketio.server
        self._told.note_list(view.name, view.version)
        participants = list(server.manager.get_participants("/", channel(view.name)))
        for_lists = [eio for sid, eio in participants if sid not in self._delta_sids]
        for_deltas = [eio for sid, eio in participants if sid in self._delta_sids]
        sent: list[tuple[list[str], Any]] = []
        if for_lists:
            body = wire.peer_list(view)
            sent.append((for_lists, packets.event("peer_list_updated", body, replaces=view.name)))
        if for_deltas:
            change = self._histories[view.name].advance(view)
            for event, body in deltas.bodies(change, view).items():
                sent.append((for_deltas, packets.event(event, body)))
        else:
            self._histories.pop(view.name, None)
        for eio_sids, packet in sent:
            for eio_sid in eio_sids:
                server._send_eio_packet(eio_sid, packet)

    def _lock_of(self, name: str) -> _RoomLock:
        with self._guard:
            lock = self._locks.get(name)
            if lock is None:
                lock = self._locks[name] = _RoomLock()
            return lock
