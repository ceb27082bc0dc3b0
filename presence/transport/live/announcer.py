"""Telling a room's sockets what changed: after the commit, in order, once for many changes.

A change marks its room. The first mark announces the list at once; marks that follow within the
window share the next announcement. So a storm of N joins costs a few lists instead of N, and each
is read once, encoded once and sent as the same bytes to every socket.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from presence.domain.rooms import rooms
from presence.domain.rooms.lists import Change, Head
from presence.errors import RoomNotFound
from presence.storage import database
from presence.transport.engine import packets
from presence.transport.engine.multicast import Gatherer, send_to_all
from presence.transport.live import deltas, told_versions
from presence.transport.live.channels import ROOM, WATCHERS, Ways, channel
from presence.transport.live.deltas import History
from presence.transport.live.room_lists import RoomLists
from presence.transport.live.room_locks import InOrder, RoomLocks
from presence.transport.live.told_versions import Notice, ToldVersions
from presence.transport.live.windows import Window
from presence.transport.wire import room_list
from presence.transport.wire.room_list import RoomList
from presence.transport.wire.serializers import Body, unsigned

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
# How many times as long as a list took to send the next one waits, up to a second.
_REST = 4
_MAX_REST_SECONDS = 1.0
# How many times as long as writing a list takes one waits that only repeats what notices have told:
# whoever wanted to know of the changes does. By estimate, for reading the list is nobody's burden.
_REST_WHEN_TOLD = 100
_SECONDS_PER_WRITE = 8e-6
_SECONDS_PER_BYTE = 6e-10
# For how many windows the next list waits at most while messages wait to be handled, which are
# likely to change the room again: under load fewer lists cost less of what there is too little of.
_BUSY_WINDOWS = 10
# How often in a window it is looked whether messages still wait.
_LOOKS = 5
# How often a list is read at most that turns out to be older than what was told meanwhile: a
# database that was put back to an earlier state always is.
_READS = 3


class Announcer:
    """Sends to sockets what happened in their rooms."""

    def __init__(
        self,
        app: Flask,
        socketio: SocketIO,
        window: float,
        latency: Callable[[float], None],
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
        self.locks = RoomLocks()
        self._windows: dict[str, Window] = {}
        self._ways = Ways()
        # What those that get changes instead of lists were told of their rooms.
        self._histories: dict[str, History] = {}
        self._told = ToldVersions()
        # What this process has changed and other workers have not been told yet, by room.
        self._untold: dict[str, list[Change]] = {}
        self._notices = Gatherer(
            socketio.server.eio,
            window,
            lambda name: [eio_sid for _sid, eio_sid in self._sockets(name)],
            self._later,
        )
        # Tells whether a socket may open files; where it is None, every one may.
        self.may_open_files: Callable[[str], bool] | None = None
        # Called with every room that was announced, in the order of its versions.
        self.listeners: list[Callable[[RoomList], None]] = []
        # Called with every room that this process changed, to let other workers know.
        self.tell_others: Callable[[RoomList], None] | None = None
        # Called with the notices of changes of this process, and their room.
        self.tell_others_notices: Callable[[list[Notice], str], None] | None = None

    def in_order(self, *room_names: str | None) -> InOrder:
        """Keep what this process reads or changes of rooms, and sends of it, in one order.

        Without it, a thread that read version 5 could send it after another has sent version 6.
        Take it around a change together with the messages about it, before `database.writing`.
        """
        return self.locks.of({name for name in room_names if name is not None})

    def note(self, change: Change | None) -> None:
        """Take in what a transaction of this process has changed, as far as it knows that.

        To be called within the `in_order` in which it was committed, before the room is read.
        """
        if change is None:
            return
        self._room_lists.put(change)
        if self.tell_others is not None:
            self._untold.setdefault(change.room_name, []).append(change)

    def note_from_elsewhere(self, change: Change) -> None:
        """Take in what another process has changed."""
        self._room_lists.put(change, own=False)

    def untold(self, room_name: str) -> list[Change]:
        """Return, once, what was noted of a room and other workers have not been told."""
        return self._untold.pop(room_name, [])

    def mark(self, *room_names: str, told: bool = False) -> None:
        """Note that rooms changed: announce each now, or with the others of its open window.

        `told` says that a notice has told of the change, so that the list is less urgent.
        """
        self._mark(room_names, own=True, news=not told)

    def mark_change(self, change: Change | None, room_name: str, *, told: bool = False) -> None:
        """Like `mark`, for a room of which a change was noted, so that nothing need be read."""
        version = change.version if change is not None else None
        self._mark([room_name], own=True, news=not told, version=version)

    def mark_from_elsewhere(self, *room_names: str, version: int | None = None) -> None:
        """Like `mark`, for changes that another process made; `version` is theirs if it is one."""
        self._mark(room_names, own=False, news=True, version=version)

    def removed(self, room_name: str, version: int) -> None:
        """Tell whoever watches that a room, which had come to this version, is no more."""
        self._room_lists.forget(room_name)
        self._told.forget(room_name)
        self._untold.pop(room_name, None)
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
            if isinstance(name, str) and name.startswith((ROOM, WATCHERS))
        }

    def _mark(
        self, room_names: Iterable[str], *, own: bool, news: bool, version: int | None = None
    ) -> None:
        for name in sorted(room_names):
            with self._guard:
                if name in self._windows:
                    open_window = self._windows[name]
                    if not open_window.marked:
                        open_window.marked = True
                        open_window.since = time.perf_counter()
                    open_window.own |= own
                    open_window.news |= news
                    open_window.asks |= version is None
                    open_window.version = max(open_window.version, version or 0)
                    if news and open_window.hurry is not None:
                        open_window.hurry.set()
                    continue
                window = self._windows[name] = Window(own=own)
                window.asks, window.version = version is None, version or 0
            began = time.perf_counter()
            self._announce(name, window)
            self._socketio.start_background_task(self._close_window, name, window, began)

    def emit(self, event: str, body: Body, room_name: str, skip: str | None = None) -> None:
        """Send a notice of a change to everybody in a room, but for the socket to `skip`.

        To be called within `in_order`.
        """
        self.emit_all([Notice(event, body, skip)], room_name)

    def emit_all(self, notices: list[Notice], room_name: str) -> None:
        """Like `emit`, of several changes of a room, which others hear of in one message."""
        self._notify(notices, room_name)
        if self.tell_others_notices is not None:
            self.tell_others_notices(notices, room_name)

    def pass_on(self, notices: list[Notice], room_name: str) -> None:
        """Send notices of changes of another process to the sockets of this one."""
        with self.in_order(room_name):
            self._notify(notices, room_name)

    def _notify(self, notices: list[Notice], room_name: str) -> None:
        """Send notices as the room is by now, unless the room or the peer is no more."""
        hearers = dict(self._sockets(room_name))
        for event, notice, skip in notices:
            body, newest = notice, self._told.newest(room_name)
            if body["version"] < newest:
                try:
                    late = told_versions.as_shown(event, body, self.read(room_name, newest))
                except RoomNotFound:
                    return
                if late is None:
                    continue
                body = late
            self._told.note_notice(room_name, body["version"])
            to = {sid: eio_sid for sid, eio_sid in hearers.items() if sid != skip}
            for sid in self._ways.deaf_to(event, to):
                del to[sid]
            if self.may_open_files is not None and "file_url" in body:
                # A signed address opens a file for whoever has it.
                shut = [to.pop(sid) for sid in list(to) if not self.may_open_files(sid)]
                self._notices.send(room_name, shut, packets.event(event, unsigned(body)))
            if to:
                self._notices.send(room_name, list(to.values()), packets.event(event, body))

    def enter(self, sid: str, view: RoomList, *, deltas: bool, data_notices: bool) -> None:
        """Note how a socket that has just been given a room's list is told of changes.

        To be called within `in_order`.
        """
        self._told.note_notice(view.name, view.version)
        self._ways.note(sid, deltas=deltas, data_notices=data_notices)
        if deltas:
            self._histories.setdefault(view.name, History(view))

    def forget(self, sid: str) -> None:
        """Note that a socket is told of nothing any more."""
        self._ways.forget(sid)

    def sync(self, room_name: str, since: int) -> Body:
        """Return what changed in a room after a version, or all of it where that is not known.

        What is not announced yet is announced first, so that nothing falls in between. Raises
        `RoomNotFound`.
        """
        with self.in_order(room_name):
            view = self.read(room_name)
            history = self._histories.get(room_name)
            if history is not None and history.version != view.version:
                self._send(view)
            self._told.note_notice(room_name, view.version)
            return deltas.synced(view, since, history.since(since) if history else None)

    def catch_up(self) -> None:
        """Announce every room of which the sockets here were not told the newest version.

        Makes up for what a crash or a lost message swallowed. Forgets rooms without sockets.
        """
        self.locks.tidy()
        names = self.rooms_here()
        self._told.keep(names)
        self._notices.keep(names)
        for name in self._histories.keys() - names:
            self._histories.pop(name, None)
        with self._app.app_context(), database.reading() as session:
            versions = rooms.versions(session, names)
        missed = [name for name in names if versions.get(name, 0) > self.announced(name)]
        self.mark_from_elsewhere(*missed)

    def _close_window(self, name: str, window: Window, began: float) -> None:
        """Announce once more at the window's end while marks keep coming, then forget the room.

        The announcement that opened it `began` then.
        """
        wait, rest = self._rests_since(began, window)
        while True:
            self._socketio.sleep(wait)
            self._wait_while_told(window, rest - wait)
            busy_until = time.perf_counter() + self._window * (_BUSY_WINDOWS - 1)
            while window.marked and self._is_busy() and time.perf_counter() < busy_until:
                self._socketio.sleep(self._window / _LOOKS)
            with self._guard:
                if not window.marked:
                    del self._windows[name]
                    return
                window.marked = window.news = False
            began = time.perf_counter()
            wait = rest = _RETRY_SECONDS
            if self._announce(name, window):
                self._socketio.sleep(0)  # streams write when the others have had their turn
                wait, rest = self._rests_since(began, window)

    def _rests_since(self, began: float, window: Window) -> tuple[float, float]:
        """Return for how many seconds the next list waits, and one that tells nothing new."""
        took = time.perf_counter() - began
        wait = max(self._window, min(_REST * took, _MAX_REST_SECONDS))
        return wait, max(wait, min(_REST_WHEN_TOLD * window.writing, _MAX_REST_SECONDS))

    def _wait_while_told(self, window: Window, seconds: float) -> None:
        """Wait with a list that only repeats what notices have told, until it does not."""
        if seconds <= 0:
            return
        window.hurry = hurry = threading.Event()
        # Marked or not: who changes something a little later would else get a list at once.
        if not window.news:
            hurry.wait(seconds)
        window.hurry = None

    def _announce(self, name: str, window: Window) -> bool:
        """Send a room's list to its sockets, unless the last one already showed all of it.

        On a failure the room is marked again, and False returned.
        """
        try:
            with self.in_order(name):
                asks, window.asks = window.asks, False
                view = self.read(name, None if asks else window.version)
                if view.version != window.announced:
                    window.writing = self._send(view)
                    window.announced = view.version
                    self._latency(time.perf_counter() - window.since)
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
                window.marked = window.news = window.asks = True
            return False
        return True

    def read(self, name: str, version: int | None = None) -> RoomList:
        """Return a room's list, no older than what was told of it; raises `RoomNotFound`.

        To be called within `in_order`. The database is not asked for what is known as of a
        `version`. While another database is asked, a notice of what another process has changed
        since may be sent, and then it is asked again.
        """
        if version is not None:
            known = self._room_lists.at_least(name, max(version, self._told.newest(name)))
            if known is not None:
                return known
        with self._app.app_context():
            for _ in range(_READS):
                with database.reading() as session:
                    view = self._room_lists.read(session, name)
                if view.version >= self._told.newest(name):
                    break
            return view

    def _send(self, view: RoomList) -> float:
        """Send a list, or its changes, to every socket in the room: the same bytes to all.

        Returns about how many seconds of writing that is.
        """
        server = self._socketio.server
        self._told.note_list(view.name, view.version)
        participants = list(self._sockets(view.name))
        for_lists = [eio for sid, eio in participants if not self._ways.by_deltas(sid)]
        for_deltas = [eio for sid, eio in participants if self._ways.by_deltas(sid)]
        sent: list[tuple[list[str], Any]] = []
        if for_lists:
            body = room_list.peer_list(view)
            sent.append((for_lists, packets.event("peer_list_updated", body, replaces=view.name)))
        if for_deltas:
            change = self._histories.setdefault(view.name, History(view)).advance(view)
            for event, body in deltas.bodies(change, view).items():
                sent.append((for_deltas, packets.event(event, body)))
        else:
            self._histories.pop(view.name, None)
        seconds = 0.0
        for eio_sids, packet in sent:
            send_to_all(server.eio, eio_sids, packet)
            seconds += len(eio_sids) * (_SECONDS_PER_WRITE + len(packet.data) * _SECONDS_PER_BYTE)
        return seconds

    def _sockets(self, room_name: str) -> Iterator[tuple[str, str]]:
        """Return the sockets in a room, with the ids of their connections."""
        found: Iterator[tuple[str, str]] = self._socketio.server.manager.get_participants(
            "/", channel(room_name)
        )
        return found

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def wait() -> None:
            self._socketio.sleep(seconds)
            call()

        self._socketio.start_background_task(wait)
