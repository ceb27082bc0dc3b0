"""This worker among the others that serve the same database: all that they do together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import Flask

from presence.config import Settings
from presence.domain.rooms.broadcasts import Kept
from presence.transport.cluster.kept_broadcasts import KeptBroadcasts
from presence.transport.cluster.live_rights import LiveRights
from presence.transport.cluster.lobby import Lobby
from presence.transport.cluster.messaging import Handler, Messenger
from presence.transport.cluster.remote_exits import RemoteExits
from presence.transport.cluster.remote_signals import RemoteSignals
from presence.transport.cluster.remote_sockets import RemoteSockets
from presence.transport.cluster.room_changes import RoomChanges
from presence.transport.cluster.states import States
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.members import Members
from presence.transport.live.peer_lookup import PeerLookup
from presence.transport.live.signal_delivery import SignalDelivery
from presence.transport.live.switchboard import Switchboard
from presence.transport.live.watchers import Watchers
from presence.transport.wire.serializers import Body


class Cluster:
    """Puts together what one worker needs of the others, and what they need of it."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        worker: tuple[str, str],
        sockets: Sockets,
        *,
        announcer: Announcer,
        watchers: Watchers,
        switchboard: Switchboard,
        members: Members,
        waiting: SignalDelivery,
        lookup: PeerLookup,
        rights: LiveRights,
        lobby: Lobby,
        kept_broadcasts: KeptBroadcasts,
        states: States,
    ) -> None:
        self._app = app
        self._worker_id, name = worker
        self._sockets = sockets
        self._announcer = announcer
        self._manager = sockets.server.manager
        self._messenger = Messenger(
            settings.redis_url, name, self._manager, sockets.start_background_task
        )
        self._remote_sockets = RemoteSockets(announcer.announced)
        self._exits = RemoteExits(self._messenger, members, switchboard, announcer, sockets)
        self.signals = RemoteSignals(
            self._messenger, self._remote_sockets, switchboard, sockets, lookup
        )
        changes = RoomChanges(self._messenger, sockets, announcer, watchers)
        changes.listeners.append(self.signals.forward_soon)
        announcer.listeners.append(self.signals.note)
        waiting.while_waiting.append(self.signals.forward_soon)
        self._messenger.when_restored.append(self._end_stale_sockets)
        rights.tell_others = lambda room_name, told: self._messenger.tell_room(
            room_name, "regranted", **told
        )
        self._messenger.on("regranted", rights.on_regranted)
        lobby.tell_others = self._tell_lobby_changed
        self._messenger.on("knocks", lambda _message: sockets.start_background_task(lobby.look))

        kept_broadcasts.tell_others = self._tell_kept
        self._messenger.on("kept", lambda message: self._on_kept(kept_broadcasts, message))
        self._share_states(states)
        if kept_broadcasts.is_on:
            self._messenger.when_restored.append(kept_broadcasts.catch_up)

    def _share_states(self, states: States) -> None:
        messenger = self._messenger

        def tell(room_name: str, told: list[Any]) -> None:
            messenger.tell_room(room_name, "states", states=told)

        def answer(message: Body) -> None:
            own = states.own_of(message["room_name"])
            if own:
                messenger.tell(message["sid"], "states", room_name=message["room_name"], states=own)

        states.tell_others = tell
        states.ask_others = lambda room_name, sid: messenger.tell_room(
            room_name, "states_wanted", sid=sid
        )
        messenger.on("states_wanted", answer)
        messenger.on(
            "states",
            lambda message: states.told_from_elsewhere(message["room_name"], message["states"]),
        )
        messenger.when_restored.append(states.ask_again)

    def _tell_kept(self, room_name: str, kept: Kept) -> None:
        content = [*kept[:-1], kept.at.isoformat()]
        self._messenger.tell_room(room_name, "kept", content=content)

    def _on_kept(self, kept_broadcasts: KeptBroadcasts, message: Body) -> None:
        *content, at = message["content"]
        kept = Kept._make([*content, datetime.fromisoformat(at)])
        # In a greenlet of its own, because whoever changes the room just now is waited for.
        self._sockets.start_background_task(kept_broadcasts.hear, message["room_name"], kept)

    def _tell_lobby_changed(self, room_name: str, sids: Iterable[str]) -> None:
        self._messenger.tell_room(room_name, "knocks")
        for sid in sids:
            if self._messenger.is_elsewhere(sid):
                self._messenger.tell(sid, "knocks")

    @property
    def up(self) -> bool:
        """Whether the other workers can be reached."""
        return self._messenger.up

    def start(self) -> None:
        """Begin to hear the other workers."""
        self._messenger.start()

    def on(self, method: str, handler: Handler) -> None:
        """Do something at every message of this method from another worker."""
        self._messenger.on(method, handler)

    def look_after(self) -> None:
        """Do what is to be done every few seconds: forget, and repair while the line is cut."""
        self._manager.unsubscribe_empty()
        self._remote_sockets.keep(self._announcer.rooms_here())
        if not self.up:
            self._sockets.start_background_task(self._end_stale_sockets)

    def _end_stale_sockets(self) -> None:
        self._exits.end_stale_sockets(self._app, self._worker_id)
