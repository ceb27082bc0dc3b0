"""Messages between workers: to the one that holds a socket, or to all that hold sockets in a room.

Only what cannot wait is said here; the truth is in the database. Whatever is lost on the way, the
next comparison with the database makes up for.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from presence.transport.cluster.redis_link import RedisLink
from presence.transport.cluster.socket_manager import ClusterManager, worker_of
from presence.transport.wire.serializers import Body

ANSWER_SECONDS = 1.5
# What a question brings where nobody answers it: the line is cut, no worker listens, or none in
# time.
NOT_SENT, NOBODY, NO_ANSWER = "not sent", "nobody", "no answer"

# What is done at a message; what it returns is the answer to a question.
Handler = Callable[[Body], str | None]


class _Question:
    """A message to another worker that is to be answered.

    It waits by a bare lock: an event, which many may wait for, costs several times as much.
    """

    def __init__(self) -> None:
        self._unanswered = threading.Lock()
        self._unanswered.acquire()
        self._answer = NO_ANSWER

    def answer(self, answer: str) -> None:
        """Give the answer; only the first counts."""
        if self._answer == NO_ANSWER:
            self._answer = answer
            with suppress(RuntimeError):  # two at once
                self._unanswered.release()

    def wait(self) -> str:
        """Return the answer, or that there is none in time."""
        self._unanswered.acquire(timeout=ANSWER_SECONDS)
        return self._answer


class Messenger:
    """This worker's voice and ear among the others that serve the same database.

    `spawn` starts a background task.
    """

    def __init__(
        self, redis_url: str, worker: str, manager: ClusterManager, spawn: Callable[..., Any]
    ) -> None:
        self._worker = worker
        self._manager = manager
        self._link = RedisLink(redis_url, self._hear, self._restored, spawn)
        manager.worker = worker
        manager.link = self._link
        # How what this worker says itself begins.
        self._own = self._encode({})[:-1] + b","
        self._numbers = itertools.count(1)
        self._questions: dict[int, _Question] = {}
        self._handlers: dict[str, Handler] = {}
        # Called when the line was cut and is not any more: what was said meanwhile is lost.
        self.when_restored: list[Callable[[], None]] = []

    @property
    def up(self) -> bool:
        """Whether the other workers can be reached."""
        return self._link.up

    def on(self, method: str, handler: Handler) -> None:
        """Do something at every message of this method from another worker."""
        self._handlers[method] = handler

    def start(self) -> None:
        """Begin to hear the other workers."""
        self._link.subscribe(self._manager.channel_of_worker(self._worker))
        self._link.start()

    def is_elsewhere(self, sid: str) -> bool:
        """Tell whether a socket is held by another worker."""
        return self._manager.is_elsewhere(sid)

    def tell(self, sid: str, method: str, **content: Any) -> None:
        """Send a message to the worker that holds a socket."""
        self._send(worker_of(sid), {"method": method, "sid": sid, **content})

    def tell_room(self, room_name: str, method: str, **content: Any) -> None:
        """Send a message to every worker that holds sockets in a room."""
        message = {"method": method, "room_name": room_name, **content}
        self._link.send(self._manager.channel_of_room(room_name), self._encode(message))

    def tell_lobby(self, method: str, **content: Any) -> None:
        """Send a message to every worker whose sockets watch the list of rooms."""
        self._link.send(self._manager.lobby_channel, self._encode({"method": method, **content}))

    def ask(self, sid: str, method: str, **content: Any) -> str:
        """Like `tell`, and return the answer, or why there is none."""
        number = next(self._numbers)
        question = self._questions[number] = _Question()

        def sent(heard_by: int | None) -> None:
            if not heard_by:
                question.answer(NOT_SENT if heard_by is None else NOBODY)

        try:
            message = {"method": method, "sid": sid, "question": number, **content}
            self._send(worker_of(sid), message, sent)
            return question.wait()
        finally:
            del self._questions[number]

    def _send(
        self, worker: str, message: Body, sent: Callable[[int | None], None] | None = None
    ) -> None:
        channel = self._manager.channel_of_worker(worker)
        self._link.send(channel, self._encode(message), sent)

    def _encode(self, message: Body) -> bytes:
        return orjson.dumps({"host_id": self._worker, **message})

    def _hear(self, _channel: str, text: bytes) -> None:
        if text.startswith(self._own):
            return  # its own words, which Redis sends to everybody who hears the channel
        message: Body = orjson.loads(text)
        if message["host_id"] == self._worker:
            return
        method = message["method"]
        if method == "answer":
            question = self._questions.get(message["question"])
            if question is not None:
                question.answer(message["answer"])
        elif method in self._handlers:
            answer = self._handlers[method](message)
            if answer is not None:
                reply = {"method": "answer", "question": message["question"], "answer": answer}
                self._send(message["host_id"], reply)
        else:
            self._manager.receive(message)

    def _restored(self) -> None:
        for call in self.when_restored:
            call()
