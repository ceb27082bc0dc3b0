"""Which sockets are in which Socket.IO room, and what of an emit goes to other workers.

python-socketio's manager for several processes publishes every emit to all of them. This one keeps
most at home, since an answer to a socket of this process concerns nobody else, and sends the rest
only to workers that need it: what is for a room to those that hold sockets in it, what is for one
socket to the worker that holds it. For that, a socket's id begins with its worker's name.
"""

from __future__ import annotations

from typing import Any

import orjson
from socketio import Manager, PubSubManager

from presence.transport.cluster.redis_link import RedisLink
from presence.transport.engine.socket_rooms import SocketRooms
from presence.transport.live.channels import LOBBY, ROOM, WATCHERS, channel


class ClusterManager(SocketRooms, PubSubManager):  # type: ignore[misc]
    """Holds the sockets of one worker, and passes on what concerns those of others.

    `worker` is this worker's name, `prefix` what the names of all Redis channels begin with.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix
        self.worker = ""
        self.link: RedisLink | None = None

    def initialize(self) -> None:
        """Begin without the library's own listener: `RedisLink` listens."""
        Manager.initialize(self)

    def channel_of_room(self, room_name: str) -> str:
        """Return the Redis channel of those who hold sockets in a room."""
        return self._prefix + channel(room_name)

    def channel_of_worker(self, worker: str) -> str:
        """Return the Redis channel of one worker."""
        return f"{self._prefix}worker:{worker}"

    @property
    def lobby_channel(self) -> str:
        """The Redis channel of those whose sockets watch the list of rooms."""
        return self._prefix + LOBBY

    def is_elsewhere(self, sid: str) -> bool:
        """Tell whether a socket is held by another worker."""
        return worker_of(sid) not in ("", self.worker)

    def emit(  # noqa: PLR0917 – the library's own signature
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send an event to sockets here, and on other workers where it is for them too.

        Only what is for a whole room, or for one socket of another worker, leaves this process.
        """
        room = to or room
        leaves = isinstance(room, str) and (room.startswith(ROOM) or self.is_elsewhere(room))
        if leaves and not kwargs.get("ignore_queue"):
            super().emit(event, data, namespace, room, skip_sid, callback)
        else:
            Manager.emit(self, event, data, namespace, room, skip_sid, callback)

    def receive(self, message: dict[str, Any]) -> None:
        """Do what another worker's manager asks for."""
        handlers = {"emit": self._handle_emit, "disconnect": self._handle_disconnect}
        handler = handlers.get(message.get("method", ""))
        if handler is not None:
            handler(message)

    def basic_enter_room(
        self, sid: str, namespace: str, room: Any, eio_sid: str | None = None
    ) -> None:
        """Note that a socket is in a room, and hear what other workers say of it."""
        super().basic_enter_room(sid, namespace, room, eio_sid)
        heard = self._channel_heard_for(room)
        if heard is not None and self.link is not None:
            self.link.subscribe(heard)

    def unsubscribe_empty(self) -> None:
        """Hear no more of rooms without sockets here.

        Not when the last one leaves: one that comes and goes would wait for Redis every time.
        """
        if self.link is None:
            return
        needed = {self._channel_heard_for(room) for room in list(self.rooms.get("/", {}))}
        for name in self.link.channels() - needed - {self.channel_of_worker(self.worker)}:
            self.link.unsubscribe(name)

    def _channel_heard_for(self, room: Any) -> str | None:
        """Return the Redis channel that a worker hears while it has sockets in a Socket.IO room."""
        if not isinstance(room, str):
            return None
        # Room members and those who only watch a room hear of the same changes.
        for prefix in (ROOM, WATCHERS):
            if room.startswith(prefix):
                return self.channel_of_room(room.removeprefix(prefix))
        return self.lobby_channel if room.startswith(LOBBY) else None

    def _publish(self, data: dict[str, Any]) -> None:
        """Send what the library wants done elsewhere to the workers that it concerns."""
        target = data.get("sid") or data.get("room")
        if self.link is None or not isinstance(target, str):
            return
        if data["method"] == "emit" and target.startswith(ROOM):
            name = self._prefix + target
        elif data["method"] in ("emit", "disconnect") and self.is_elsewhere(target):
            name = self.channel_of_worker(worker_of(target))
        else:
            return
        self.link.send(name, orjson.dumps({**data, "host_id": self.worker}))


def worker_of(sid: str) -> str:
    """Return the name of the worker that gave a socket its id, empty where ids have none."""
    return sid.partition(".")[0] if "." in sid else ""
