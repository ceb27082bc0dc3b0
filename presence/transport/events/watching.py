"""Letting a socket know that a room, or the list of rooms, changed without joining anything.

The pages use it: a notice is a few bytes, and the page then asks for the HTML it needs. Watching
makes nobody present.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any

from presence import errors
from presence.domain.permissions import bans, room_patterns
from presence.domain.permissions.room_patterns import RoomPattern
from presence.domain.permissions.tokens import LIST
from presence.storage import database
from presence.transport.admission import access
from presence.transport.admission.access import Need
from presence.transport.cluster.socket_manager import LOBBY
from presence.transport.events import dispatch
from presence.transport.live.announcer import WATCHERS
from presence.transport.live.room_lists import RoomList
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, responses
from presence.transport.wire.messages import RoomAddress, Watch
from presence.transport.wire.serializers import Body

log = logging.getLogger(__name__)

EVERY_ROOM = room_patterns.parse("*")
# The list of rooms changes with every change of any of them.
_LOBBY_SECONDS = 0.5


def init_app(run: Runtime) -> None:
    """Let clients watch, and tell them of every announcement."""
    lobby = _Lobby(run)

    def tell(view: RoomList) -> None:
        body = {
            "room_name": view.name,
            "version": view.version,
            "active_peers": view.active_peers,
            "total_peers": view.total_peers,
        }
        run.socketio.emit("room_changed", body, to=WATCHERS + view.name)
        lobby.mark(view.name)

    def mark(message: Body) -> None:
        for room_name in message["room_names"]:
            lobby.mark(room_name)

    run.announcer.listeners.append(tell)
    if run.cluster is not None:
        run.cluster.handlers["listed"] = mark
        run.cluster.handlers["shut_out"] = lambda message: _shut_out_here(
            run, message["room_name"], message["peer_id"]
        )
    dispatch.register(run, "watch", on_watch, Need(LIST, names_room=True))


@described.event(
    message=Watch,
    answer=responses.Watching,
    errors=(errors.Banned,),
    heard=("room_changed", "rooms_changed"),
)
def on_watch(run: Runtime, sid: str, data: Any) -> Body:
    """Send this socket ``room_changed`` for one room, or ``rooms_changed`` when it names none."""
    for channel in run.socketio.server.rooms(sid):
        if channel.startswith((LOBBY, WATCHERS)):
            run.socketio.server.leave_room(sid, channel)
    if isinstance(data, dict) and data.get("room_name") is not None:
        room_name = messages.parse(RoomAddress, data).room_name
        run.socketio.server.enter_room(sid, WATCHERS + room_name)
        try:
            # Once more: a ban that was made since it was asked for could not shut this socket out.
            access.check_watching(run, sid, room_name)
        except errors.Banned:
            run.socketio.server.leave_room(sid, WATCHERS + room_name)
            raise
        return {"watching": room_name}
    run.socketio.server.enter_room(sid, LOBBY + pattern_of(run, sid).text)
    return {"watching": None}


def shut_out(run: Runtime, room_name: str, peer_id: str) -> None:
    """Let no socket of a banned peer watch a room any more, on any worker.

    Those that watch the list of rooms are told for the last time: the room is gone from theirs.
    """
    _shut_out_here(run, room_name, peer_id)
    if run.cluster is not None:
        run.cluster.tell_room(room_name, "shut_out", peer_id=peer_id)


def _shut_out_here(run: Runtime, room_name: str, peer_id: str) -> None:
    server, channel = run.socketio.server, WATCHERS + room_name
    for sid, _ in list(server.manager.get_participants("/", channel)):
        if run.access.is_barred(sid, peer_id):
            server.leave_room(sid, channel)
    for lobby in _lobbies(run):
        if room_patterns.parse(lobby.removeprefix(LOBBY)).matches(room_name):
            for sid in _barred(run, lobby, {peer_id}):
                run.socketio.emit("rooms_changed", {}, to=sid)


def _lobbies(run: Runtime) -> list[str]:
    """Return the channels of those who watch the list of rooms, one for each pattern of theirs."""
    channels = list(run.socketio.server.manager.rooms.get("/", {}))
    return [name for name in channels if isinstance(name, str) and name.startswith(LOBBY)]


def _barred(run: Runtime, channel: str, peer_ids: Iterable[str]) -> list[str]:
    """Return the sockets in a channel that are closed out of what is closed to these peers."""
    found = list(run.socketio.server.manager.get_participants("/", channel)) if peer_ids else []
    return [sid for sid, _ in found if any(run.access.is_barred(sid, one) for one in peer_ids)]


def pattern_of(run: Runtime, sid: str) -> RoomPattern:
    """Return which rooms a socket may know of."""
    return run.access.of(sid).room if run.access.is_locked else EVERY_ROOM


class _Lobby:
    """Tells those who watch the list of rooms, at most once in a while.

    Each hears only of the rooms that its token is for and from which it is not banned.
    """

    def __init__(self, run: Runtime) -> None:
        self._run = run
        self._guard = threading.Lock()
        self._changed: set[str] = set()

    def mark(self, room_name: str) -> None:
        """Note that a room changed; the notice goes out at the end of the window."""
        with self._guard:
            is_first = not self._changed
            self._changed.add(room_name)
        if not is_first:
            return
        self._run.socketio.start_background_task(self._tell)

    def _tell(self) -> None:
        self._run.socketio.sleep(_LOBBY_SECONDS)
        with self._guard:
            changed, self._changed = self._changed, set()
        banned = self._banned_from(changed)
        for channel in _lobbies(self._run):
            pattern = room_patterns.parse(channel.removeprefix(LOBBY))
            seen = [banned.get(name, set()) for name in changed if pattern.matches(name)]
            if seen:
                # Who may see none of these rooms has nothing to look at.
                without = _barred(self._run, channel, set.intersection(*seen))
                self._run.socketio.emit("rooms_changed", {}, to=channel, skip_sid=without)

    def _banned_from(self, room_names: set[str]) -> dict[str, set[str]]:
        """Return who is banned from these rooms; nobody where that cannot be read just now."""
        if not self._run.access.is_locked:
            return {}
        try:
            with self._run.app.app_context(), database.reading() as session:
                return bans.banned_from(session, room_names)
        except Exception:
            log.exception("who is banned could not be read; everybody is told that rooms changed")
            return {}
