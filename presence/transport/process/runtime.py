"""What one running server process holds: its settings, sockets, files and place among the workers.

`Runtime.start` is apart from building the app because commands such as ``flask db`` or a
reloader's parent process build the app too, and must not end other people's sessions.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, cast

from alembic.util import CommandError
from flask import Flask, current_app
from flask_socketio import SocketIO

from presence.config import Settings, unknown_settings
from presence.domain.files import files
from presence.domain.peers import sessions, workers
from presence.domain.peers.peers import Limits
from presence.domain.rooms.quotas import Quotas
from presence.errors import ShuttingDown
from presence.storage import database
from presence.storage.blobs import LocalBlobs
from presence.storage.partial_uploads import PartialUploads
from presence.transport.admission.access import Access
from presence.transport.admission.rates import Rates
from presence.transport.engine import packets
from presence.transport.events import signals
from presence.transport.live.announcer import Announcer, channel
from presence.transport.live.recovery_secrets import SocketSecrets
from presence.transport.live.room_lists import RoomLists
from presence.transport.live.shared_bodies import SharedBodies
from presence.transport.live.switchboard import HoldLimits, Seat, Switchboard
from presence.transport.pages.text_filters import plural
from presence.transport.process import upkeep
from presence.transport.process.counters import Counters
from presence.transport.process.file_checks import FileChecks
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.cluster.messaging import Cluster

log = logging.getLogger(__name__)

OPEN_MODE = (
    "open mode: whoever can reach this server may join any room as anyone, read every room, and "
    "erase peers and files. PRESENCE_MODE=locked asks for signed tokens instead."
)

# How long a client that does not read may hold up the end.
_FAREWELL_SECONDS = 1.0


class Runtime:
    """One running process of the server."""

    def __init__(self, app: Flask, settings: Settings, socketio: SocketIO) -> None:
        self.app = app
        self.settings = settings
        self.socketio = socketio
        self.worker_id = secrets.token_hex(16)
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
            heeds_bans=settings.is_locked,
        )
        self.quotas = Quotas(
            settings.max_files_per_peer,
            settings.max_bytes_per_peer,
            settings.max_bytes_per_room,
            settings.max_bytes_total,
        )
        self.access = Access(settings)
        self.counters = Counters()
        self.room_lists = RoomLists()
        self.shared_bodies = SharedBodies()
        self.announcer = Announcer(
            app, socketio, settings.announce_window, self.counters.announcing, self.room_lists
        )
        self.switchboard = Switchboard(
            HoldLimits(settings.hold_seconds, settings.max_held_signals, settings.max_held_bytes),
            self.is_connected,
            lambda: socketio.start_background_task(signals.sweep, self),
        )
        self.secrets = SocketSecrets()
        self.worker_name = settings.worker_name or self.worker_id[:8]
        self.cluster: Cluster | None = None
        if settings.redis_url or settings.worker_name:
            self._name_connections()
        if settings.redis_url:
            # Not at the top: it needs the library of Redis.
            from presence.transport.cluster.messaging import Cluster  # noqa: PLC0415

            self.cluster = Cluster(self, socketio.server.manager)
        # By the name of an event: what handles it, and its name in its success and error events.
        self.event_handlers: dict[str, tuple[Callable[..., Any], str]] = {}
        self.rates = Rates(settings)
        self.stopping = False
        # When the database last took a write of the upkeep, on the monotonic clock.
        self.last_write = time.monotonic()
        # Set when something was erased; the upkeep then sees to it that nothing is left on disk.
        self.scrub = False
        # Set when a disconnect could not be recorded; the upkeep then makes up for it.
        self.lost_a_disconnect = False
        self._claim: IO[str] | None = None
        self._starting = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Bring the database up to date, end what earlier runs left behind, and begin the upkeep.

        Does nothing when called again. Raises `presence.storage.database.CannotServe`.
        """
        with self._starting:
            if self._started:
                return
            self.settings.upload_path.mkdir(parents=True, exist_ok=True)
            with self.app.app_context():
                self._claim = _claim_database()
                # Only one process can use an SQLite file for serving, so it is alone there.
                alone = database.is_sqlite()
                left_behind: list[sessions.Ended] = []
                with database.writing() as session:
                    self.note_ghosts(workers.outlived(session, everybody=alone))
                    if alone:
                        left_behind = sessions.of_sockets(session)
                    workers.register(session, self.worker_id, alone=alone)
                for item in left_behind:
                    # A crash cut these off, and their clients are about to come back.
                    seat = Seat(item.room_name, item.peer_id)
                    self.switchboard.lost(str(item.sid), seat)
                with database.reading() as session:
                    living = workers.living(session)
                    self.blobs.recover(
                        is_dead=lambda worker_id: worker_id not in living,
                        known=lambda names: files.known(session, set(names)),
                    )
            for name, meant in unknown_settings().items():
                hint = f"; is {meant} meant?" if meant else ""
                log.warning("%s is no setting of this server and changes nothing%s", name, hint)
            if not self.access.is_locked:
                log.warning("%s", OPEN_MODE)
            if self.cluster is not None:
                self.cluster.start()
            elif len(living) > 1:
                log.warning(
                    "%s this database, and REDIS_URL is not set: peers on "
                    "different ones cannot signal each other, and lists are up to 3 s late",
                    plural(len(living) - 1, "other process serves", "other processes serve"),
                )
            self.last_write = time.monotonic()
            self.socketio.start_background_task(upkeep.run, self)
            self._started = True

    def stop(self) -> None:
        """Tell every client, close its connection, so that it reconnects, and take this worker out.

        The disconnect handlers run, and their peers are inactive before the process ends.
        """
        self.stopping = True
        connections = self.socketio.server.eio.sockets
        self.socketio.emit("server_shutdown", {"detail": ShuttingDown().detail})
        until = time.monotonic() + _FAREWELL_SECONDS
        while time.monotonic() < until and any(c.queue.size for c in list(connections.values())):
            self.socketio.sleep(0.02)
        closed = list(connections.values())
        for connection in closed:
            connection.close(wait=False)
        with self.app.app_context(), database.writing() as session:
            left = workers.leave(session, self.worker_id)
        self.announcer.mark(*left)
        self.socketio.sleep(0.1)  # the farewell is still on its way to the sockets
        for connection in closed:
            connection.cut()

    def _name_connections(self) -> None:
        """Let every id of a connection or socket begin with the name of the worker that holds it.

        So a proxy brings the requests of a polling client to the process that knows it, and a
        worker knows without a query where another one's socket is.
        """
        engine = self.socketio.server.eio
        make = engine.generate_id
        engine.generate_id = lambda: f"{self.worker_name}.{make()}"

    def note_ghosts(self, seconds: Iterable[float]) -> None:
        """Count sessions that outlived their worker by so many seconds."""
        for outlived in seconds:
            self.counters.ghosts["worker"].observe(outlived)

    def refuse_when_stopping(self) -> None:
        """Raise `ShuttingDown` if the server is about to stop."""
        if self.stopping:
            raise ShuttingDown

    def is_connected(self, sid: str) -> bool:
        """Tell whether a socket of this process is connected, and not about to be otherwise."""
        return bool(self.socketio.server.manager.is_connected(sid, "/"))

    def silence_of(self, sid: str) -> float:
        """Return for how many seconds a socket that was given up had not answered; else 0."""
        return float(getattr(self._connection_of(sid), "silent_for", 0.0))

    def evicted_for(self, sid: str) -> str | None:
        """Return why the server ends a socket's connection, where its client is told otherwise."""
        reason: str | None = getattr(self._connection_of(sid), "evicted_for", None)
        return reason

    def room_of(self, sid: str) -> str | None:
        """Return the name of the room a socket has joined, or None."""
        seat = self.switchboard.seat(sid)
        return seat.room_name if seat else None

    def send(self, sid: str, event: str, body: Body) -> None:
        """Send an event to one socket of this process, and to nobody if it is gone.

        What may be for several, or for a socket of another worker, goes by ``socketio.emit``.
        """
        server = self.socketio.server
        eio_sid = server.manager.eio_sid_from_sid(sid, "/")
        if eio_sid is not None:
            server._send_eio_packet(eio_sid, packets.event(event, body))

    def enter(self, sid: str, room_name: str, peer_id: str) -> None:
        """Let a socket hear what happens in a room, and in no other, and get its peer's signals."""
        previous = self.room_of(sid)
        if previous not in (None, room_name):
            self.socketio.server.leave_room(sid, channel(str(previous)))
        # A socket that was lost meanwhile is not there to enter; its joining ends with it.
        with suppress(KeyError, ValueError):
            self.socketio.server.enter_room(sid, channel(room_name))
        self.switchboard.enter(sid, room_name, peer_id)

    def drop_waiting(self, room_name: str, peer_id: str) -> None:
        """Let no signal wait for a peer on any worker: it left over REST, or was erased."""
        self.switchboard.forget(room_name, peer_id)
        if self.cluster is not None:
            self.cluster.tell_room(room_name, "forget", peer_id=peer_id)

    def exit(self, sids: Iterable[str], room_name: str) -> None:
        """Let sockets no longer hear what happens in a room."""
        for sid in sids:
            if self.cluster is not None and self.cluster.is_elsewhere(sid):
                self.cluster.tell(sid, "exit", room_name=room_name)
                continue
            self.socketio.server.leave_room(sid, channel(room_name))
            self.switchboard.leave(sid)
            self.announcer.forget(sid)

    def _connection_of(self, sid: str) -> Any:
        server = self.socketio.server
        return server.eio.sockets.get(server.manager.eio_sid_from_sid(sid, "/"))


def _claim_database() -> IO[str] | None:
    """Claim the database, as `database.claim` does, and bring its tables up to date.

    Raises `CannotServe`, also where they are of a newer version.
    """
    claim = database.claim()
    try:
        database.upgrade()
    except CommandError as error:
        if claim is not None:
            claim.close()  # else the next try would find the database claimed
        raise database.CannotServe(
            f"The tables of the database are of a version that this one does not know ({error}). "
            "They were left as they are. Start the version that made them, or put back the backup "
            "from before the upgrade."
        ) from error
    return claim


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


def runtime() -> Runtime:
    """Return the runtime of the app that handles the current request."""
    return cast(Runtime, current_app.extensions["presence"])
