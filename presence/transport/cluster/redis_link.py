"""A process's line to Redis: publishing in batches, hearing channels, and knowing when it is cut.

python-socketio's own Redis manager publishes within the call that emits, twice before it gives up,
without a time limit, and waits up to a minute before it listens again. A Redis that hangs would so
stop every greenlet, and one that came back would be noticed by nobody. Here nothing that sends ever
waits: messages go through a queue, many in one round trip, and while the line is cut they are
refused at once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

# How long Redis may take for anything before the line counts as cut.
_SECONDS = 1.0
_RETRY_SECONDS = 0.25
# How often a silent Redis is asked whether it is there.
_PING_SECONDS = 0.5
_BATCH = 200
# How long somebody waits until a new channel is heard.
_SUBSCRIBE_SECONDS = 0.5

# Called with how many heard a message; None says that it was not sent.
Receipt = Callable[[int | None], None]


class _Outgoing(NamedTuple):
    channel: str
    message: bytes
    receipt: Receipt | None


class RedisLink:
    """Publishes to channels and hears those that were subscribed to.

    `hear` is called with each message, one after the other; `restored` when the line was cut and
    is not any more, since what was said meanwhile is lost. `spawn` starts a background task.
    """

    def __init__(
        self,
        url: str,
        hear: Callable[[str, bytes], None],
        restored: Callable[[], None],
        spawn: Callable[..., Any],
    ) -> None:
        self._client = redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._hear = hear
        self._restored = restored
        self._spawn = spawn
        self._outgoing: queue.Queue[_Outgoing] = queue.Queue()
        self._sends = False
        self._hears = False
        self._cut_before = False
        self._guard = threading.RLock()
        # Two connections of the library's, one to publish on and one to hear. What its client does
        # around each message costs twice as much as the message does.
        self._publishing: Any = self._new_connection()
        self._connection: Any = None
        # The channels to hear, and whether Redis has confirmed it.
        self._channels: dict[str, threading.Event] = {}

    @property
    def up(self) -> bool:
        """Whether messages can be sent and are heard just now."""
        return self._sends and self._hears

    def start(self) -> None:
        """Begin to publish and to hear; a first attempt is waited for."""
        try:
            self._connect_to_publish()
            self._sends = True
        except (redis.RedisError, OSError) as error:
            self._cut_before = True
            log.warning(
                "Redis (REDIS_URL) cannot be reached: %s. It is tried again and again; until then "
                "other workers hear of changes late, and get no signals",
                str(error).rstrip("."),
            )
        self._spawn(self._keep_sending)
        self._spawn(self._keep_hearing)

    def send(self, channel: str, message: bytes, receipt: Receipt | None = None) -> None:
        """Publish a message soon, without waiting; while the line is cut it is refused at once."""
        if self._sends:
            self._outgoing.put(_Outgoing(channel, message, receipt))
        elif receipt is not None:
            receipt(None)

    def subscribe(self, channel: str) -> None:
        """Hear a channel from now on; waits, but not for long, until Redis has confirmed that."""
        with self._guard:
            if channel in self._channels:
                return
            confirmed = self._channels[channel] = threading.Event()
            if not self._command("SUBSCRIBE", channel):
                return
        confirmed.wait(_SUBSCRIBE_SECONDS)

    def channels(self) -> set[str]:
        """Return the channels that are heard."""
        with self._guard:
            return set(self._channels)

    def unsubscribe(self, channel: str) -> None:
        """Hear a channel no longer."""
        with self._guard:
            if self._channels.pop(channel, None) is not None:
                self._command("UNSUBSCRIBE", channel)

    def _command(self, *words: str) -> bool:
        """Send a command on the hearing connection; return whether there is one."""
        with self._guard:
            if self._connection is None:
                return False
            try:
                self._connection.send_command(*words)
            except (redis.RedisError, OSError):
                return False  # whoever reads from it will notice
            return True

    def _keep_sending(self) -> None:
        while True:
            if not self._sends:
                self._try_to_send_again()
                continue
            batch = [self._outgoing.get()]
            while len(batch) < _BATCH and not self._outgoing.empty():
                batch.append(self._outgoing.get())
            self._publish(batch)

    def _try_to_send_again(self) -> None:
        try:
            self._connect_to_publish()
        except (redis.RedisError, OSError):
            time.sleep(_RETRY_SECONDS)
        else:
            self._sends = True
            self._tell()

    def _connect_to_publish(self) -> None:
        """Open the connection anew, since answers to earlier messages may still come on it."""
        self._publishing.disconnect()
        self._publishing.connect()
        self._publishing.send_command("PING")
        self._publishing.read_response()

    def _new_connection(self) -> Any:
        pool = self._client.connection_pool
        return pool.connection_class(**pool.connection_kwargs)

    def _publish(self, batch: list[_Outgoing]) -> None:
        line = self._publishing
        try:
            commands = [("PUBLISH", item.channel, item.message) for item in batch]
            line.send_packed_command(line.pack_commands(commands))
            counts: list[int | None] = [line.read_response() for _ in batch]
        except (redis.RedisError, OSError) as error:
            self._cut(error)
            self._sends = False
            counts = [None] * len(batch)
            while not self._outgoing.empty():
                batch.append(self._outgoing.get())
                counts.append(None)
        for item, count in zip(batch, counts, strict=True):
            if item.receipt is not None:
                item.receipt(count)

    def _keep_hearing(self) -> None:
        while True:
            try:
                self._listen()
            except (redis.RedisError, OSError, ValueError) as error:
                self._cut(error)
            except Exception:
                log.exception("a message from another process could not be handled")
            with self._guard:
                self._hears = False
                if self._connection is not None:
                    with suppress(Exception):
                        self._connection.disconnect()
                    self._connection = None
            time.sleep(_RETRY_SECONDS)

    def _listen(self) -> None:
        connection = self._new_connection()
        connection.connect()
        with self._guard:
            self._connection = connection
            for confirmed in self._channels.values():
                confirmed.clear()
            if self._channels:
                self._command("SUBSCRIBE", *self._channels)
        heard = asked = time.monotonic()
        while True:
            if connection.can_read(timeout=_PING_SECONDS):
                self._take(connection.read_response())
                heard = time.monotonic()
                continue
            now = time.monotonic()
            if now - heard > _SECONDS + _PING_SECONDS and asked > heard:
                raise redis.TimeoutError("Redis does not answer")
            if asked <= heard:
                asked = now
                self._command("PING")

    def _take(self, response: list[Any]) -> None:
        kind, channel = response[0], response[1].decode()
        if kind == b"message":
            try:
                self._hear(channel, response[2])
            except Exception:
                log.exception("a message from another process could not be handled")
        elif kind == b"subscribe":
            confirmed = self._channels.get(channel)
            if confirmed is not None:
                confirmed.set()
            if not self._hears and all(item.is_set() for item in list(self._channels.values())):
                self._hears = True
                self._tell()

    def _cut(self, error: Exception) -> None:
        if self.up:
            log.warning("the line to Redis is cut (%s); other workers hear of changes late", error)
        self._cut_before = True

    def _tell(self) -> None:
        if self.up and self._cut_before:
            self._cut_before = False
            log.warning("the line to Redis is restored")
            self._spawn(self._restored)
