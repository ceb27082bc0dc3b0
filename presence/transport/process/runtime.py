"""What one running server process holds, and when its features have their turn.

The runtime knows none of its features: they register with it. `Runtime.start` is apart from
building the app because commands such as ``flask db`` or a reloader's parent process build the app
too, and must not end other people's sessions.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app
from flask_socketio import SocketIO

from presence.config import Settings
from presence.domain.outbox.outbox import Wanted
from presence.domain.peers.limits import Limits
from presence.domain.permissions import room_patterns
from presence.domain.rooms.quotas import Quotas
from presence.errors import ShuttingDown
from presence.setting_values import listed
from presence.storage.blobs import LocalBlobs
from presence.storage.partial_uploads import PartialUploads
from presence.transport.admission.access import Access
from presence.transport.admission.rates import Rates
from presence.transport.admission.unused_connections import UnusedConnections
from presence.transport.cluster.kept_broadcasts import KeptBroadcasts
from presence.transport.cluster.live_rights import LiveRights
from presence.transport.cluster.lobby import Lobby
from presence.transport.cluster.relay import Relay
from presence.transport.cluster.states import States
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.members import Members
from presence.transport.live.peer_lookup import PeerLookup
from presence.transport.live.recovery_secrets import RecoverySecrets
from presence.transport.live.room_lists import RoomLists
from presence.transport.live.shared_bodies import SharedBodies
from presence.transport.live.signal_delivery import SignalDelivery
from presence.transport.live.switchboard import HoldLimits, Switchboard
from presence.transport.live.watchers import Watchers
from presence.transport.process.counters import Counters
from presence.transport.process.diary import Diary
from presence.transport.process.file_checks import FileChecks
from presence.transport.process.stall_meter import StallMeter
from presence.transport.process.upkeep import Upkeep
from presence.transport.trust.room_passwords import RoomPasswords
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.cluster.cluster import Cluster

# How long a client that does not read may hold up the end.
_FAREWELL_SECONDS = 1.0


class Runtime:
    """One running process of the server."""

    def __init__(self, app: Flask, settings: Settings, socketio: SocketIO) -> None:
        self.app = app
        self.settings = settings
        self.socketio = socketio
        self.worker_id = secrets.token_hex(16)
        self.worker_name = settings.worker_name or self.worker_id[:8]
        self.blobs = _blobs(settings, self.worker_id)
        self.file_checks = FileChecks(settings)
        self.partial_uploads = PartialUploads(
            settings.upload_path, settings.resume_seconds, settings.worker_name
        )
        self.limits = Limits(
            settings.max_peers,
            settings.max_user_data_bytes,
            settings.max_rooms,
            settings.max_kept_peers,
            only_made_rooms=settings.rooms == "made",
            heeds_bans=settings.is_locked,
        )
        self.quotas = Quotas(
            settings.max_files_per_peer,
            settings.max_bytes_per_peer,
            settings.max_bytes_per_room,
            settings.max_bytes_total,
        )
        # What backends are told of, None for nothing, and what is set when there is any of it.
        self.stirred = threading.Event()
        self.wanted = _wanted(settings, self.stirred)
        self.counters = Counters()
        self.rates = Rates(settings)
        self.passwords = RoomPasswords(self.rates)
        self.sockets = Sockets(socketio)
        self.access = Access(settings, self.rates, self.sockets)
        self.unused = UnusedConnections(socketio.server, settings.read_seconds)
        self.room_lists = RoomLists()
        self.shared_bodies = SharedBodies(settings.max_answer_bytes)
        self.secrets = RecoverySecrets()
        self.diary = Diary()
        self.announcer = Announcer(
            app,
            socketio,
            settings.announce_window,
            self.counters.announcing.observe,
            self.room_lists,
        )
        if self.access.is_locked:
            self.announcer.may_open_files = self.access.may_list
        self.watchers = Watchers(app, self.sockets, self.access)
        self.announcer.listeners.append(self.watchers.tell)
        self.switchboard = Switchboard(
            HoldLimits(settings.hold_seconds, settings.max_held_signals, settings.max_held_bytes),
            self.sockets.is_connected,
        )
        self.waiting = SignalDelivery(self.switchboard, self.sockets)
        self.members = Members(self.sockets, self.switchboard, self.announcer)
        self.lookup = PeerLookup(app, self.worker_id, settings.hold_seconds)
        if settings.redis_url or settings.worker_name:
            self._name_connections()
        self.live_rights = LiveRights(self.access, self.switchboard, self.sockets, self.watchers)
        self.announcer.listeners.append(self.live_rights.compare)
        self.lobby = Lobby(app, self.worker_id, self.access, self.sockets, self.switchboard)
        self.kept_broadcasts = KeptBroadcasts(
            app, self.sockets, self.announcer, settings.keep_broadcasts
        )
        self.states = States(
            self.sockets, self.members, self.announcer, self.live_rights, settings.state_window
        )
        self.cluster = self._join_cluster() if settings.redis_url else None
        self.relay = Relay(
            self.switchboard, self.sockets, self.lookup, self.cluster, settings.hold_seconds
        )
        # By the name of an event: what handles it, and its name in its success and error events.
        self.event_handlers: dict[str, tuple[Callable[..., Any], str]] = {}
        self.upkeep = Upkeep(app, socketio.sleep)
        self.stall_meter = StallMeter(
            settings.stall_seconds,
            self.counters.stalls,
            socketio.start_background_task,
            socketio.sleep,
        )
        # Whether it is about to end, and whether nothing of it is to go on by itself.
        self.stopping = self.resting = False
        # When the database last took a write of the upkeep, on the monotonic clock.
        self.last_write = time.monotonic()
        # Set when something was erased, so that the upkeep sees to it that nothing is left on disk;
        # and when a disconnect could not be recorded, for which it then makes up.
        self.scrub = self.lost_a_disconnect = False
        self._at_start: list[Callable[[], None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._starting = threading.Lock()
        self._started = False

    def at_start(self, step: Callable[[], None]) -> None:
        """Do a step when the process begins to serve, in an app context, after those before it.

        A step may raise `presence.storage.database.CannotServe`.
        """
        self._at_start.append(step)

    def at_end(self, step: Callable[[], None]) -> None:
        """Do a step at the end, in an app context, when every connection has been closed."""
        self._at_end.append(step)

    def on_message(self, method: str, handler: Callable[[Body], str | None]) -> None:
        """Do something at every message of this method from another worker, if there are any."""
        if self.cluster is not None:
            self.cluster.on(method, handler)

    def start(self) -> None:
        """Do what is to be done at the start, and begin the upkeep.

        Does nothing when called again. Raises `presence.storage.database.CannotServe`.
        """
        with self._starting:
            if self._started:
                return
            for step in self._at_start:
                with self.app.app_context():
                    step()
            self.last_write = time.monotonic()
            self.stall_meter.start()
            self.socketio.start_background_task(self.upkeep.run)
            self._started = True

    def stop(self) -> None:
        """Tell every client, close its connection, so that it reconnects, and do the last steps.

        The disconnect handlers run, and their peers are inactive before the process ends.
        """
        self.stopping = True
        self.socketio.emit("server_shutdown", {"detail": ShuttingDown().detail})
        until = time.monotonic() + _FAREWELL_SECONDS
        while time.monotonic() < until and any(c.queue.size for c in self.sockets.connections()):
            self.socketio.sleep(0.02)
        closed = self.sockets.connections()
        for connection in closed:
            connection.close(wait=False)
        for step in self._at_end:
            with self.app.app_context():
                step()
        self.socketio.sleep(0.1)  # the farewell is still on its way to the sockets
        for connection in closed:
            connection.cut()
        self.rest()

    def rest(self) -> None:
        """End what runs by itself, so that nothing of this runtime goes on in the process."""
        self.resting = True
        self.upkeep.stop()
        self.stall_meter.stop()

    def refuse_when_stopping(self) -> None:
        """Raise `ShuttingDown` if the server is about to stop."""
        if self.stopping:
            raise ShuttingDown

    def _name_connections(self) -> None:
        """Let every id of a connection or socket begin with the name of the worker that holds it.

        So a proxy brings the requests of a polling client to the process that knows it, and a
        worker knows without a query where another one's socket is.
        """
        engine = self.socketio.server.eio
        make = engine.generate_id
        engine.generate_id = lambda: f"{self.worker_name}.{make()}"

    def _join_cluster(self) -> Cluster:
        # Not at the top: it needs the library of Redis.
        from presence.transport.cluster.cluster import Cluster  # noqa: PLC0415

        return Cluster(
            self.app,
            self.settings,
            (self.worker_id, self.worker_name),
            self.sockets,
            announcer=self.announcer,
            watchers=self.watchers,
            switchboard=self.switchboard,
            members=self.members,
            waiting=self.waiting,
            lookup=self.lookup,
            rights=self.live_rights,
            lobby=self.lobby,
            kept_broadcasts=self.kept_broadcasts,
            states=self.states,
        )


def _blobs(settings: Settings, worker_id: str) -> LocalBlobs:
    """Return where uploaded files are kept."""
    folder, min_free = settings.upload_path, settings.min_free_disk_bytes
    if not settings.upload_url:
        return LocalBlobs(folder, worker_id, min_free)
    # Not at the top: the library takes a while to load, and few need it.
    from presence.storage.s3_blobs import S3Blobs  # noqa: PLC0415

    return S3Blobs(
        settings.upload_url, folder, worker_id, endpoint=settings.s3_endpoint, min_free=min_free
    )


def _wanted(settings: Settings, stirred: threading.Event) -> Wanted | None:
    """Return which events backends are told, if there are backends."""
    if not settings.tells_events:
        return None
    rooms = [room_patterns.parse(text) for text in listed(settings.event_rooms)]

    def stir() -> None:
        # With each event, of which many come before anybody looks.
        if not stirred.is_set():
            stirred.set()

    return Wanted(settings.event_types, rooms, stir)


def runtime() -> Runtime:
    """Return the runtime of the app that handles the current request."""
    return cast(Runtime, current_app.extensions["presence"])
