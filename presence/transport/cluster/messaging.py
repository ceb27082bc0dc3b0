"""What this worker tells other workers, and what it does when it hears from them.

Only what cannot wait is said here; the truth is in the database. Whatever is lost on the way, the
next comparison with the database makes up for (`Announcer.catch_up`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from presence.domain.peers import sessions
from presence.storage import database
from presence.transport.cluster.redis_link import RedisLink
from presence.transport.cluster.remote_sockets import Elsewhere
from presence.transport.cluster.socket_manager import (
    NO_ANSWER,
    NOBODY,
    NOT_SENT,
    ClusterManager,
    worker_of,
)
from presence.transport.live.room_lists import RoomList
from presence.transport.wire.serializers import Body

if TYPE_CHECKING:
    from presence.transport.process.runtime import Runtime


ANSWER_SECONDS = 1.5
# The list of rooms changes with every change of any of them.
_LOBBY_SECONDS = 0.5
# A join is committed before its socket has its seat; this long after, it has.
_SETTLED_SECONDS = 2.0

Handler = Callable[[Body], str | None]


class _Question:
    """A message to another worker that is to be answered."""

    def __init__(self) -> None:
        self._answered = threading.Event()
        self._answer = NO_ANSWER

    def answer(self, answer: str) -> None:
        self._answer = answer
        self._answered.set()

    def wait(self) -> str:
        self._answered.wait(ANSWER_SECONDS)
        return self._answer


class Cluster:
    """This worker among the others that serve the same database."""

    def __init__(self, run: Runtime, manager: ClusterManager) -> None:
        self._run = run
        self._manager = manager
        self._link = RedisLink(
            run.settings.redis_url, self._hear, self._restored, run.socketio.start_background_task
        )
        manager.worker = run.worker_name
        manager.link = self._link
        self._numbers = itertools.count(1)
        self._questions: dict[int, _Question] = {}
        # What watchers of the list of rooms elsewhere are to be told of.
        self._listed: set[str] = set()
        self.elsewhere = Elsewhere(run.announcer.announced)
        # What is done at which message; what it returns is the answer to a question.
        self.handlers: dict[str, Handler] = {
            "exit": self._on_exit,
            "forget": self._on_forget,
            "notice": self._on_notice,
        }
        # Called with the name of a room that changed elsewhere.
        self.listeners: list[Callable[[str], None]] = []
        run.announcer.tell_others = self._tell_changed
        run.announcer.tell_others_notice = self._tell_notice

    @property
    def up(self) -> bool:
        """Whether the other workers can be reached."""
        return self._link.up

    def start(self) -> None:
        """Begin to hear the other workers."""
        self._link.subscribe(self._manager.channel_of_worker(self._run.worker_name))
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

    def look_after(self) -> None:
        """Do what is to be done every few seconds: forget, and repair while the line is cut."""
        self._manager.unsubscribe_empty()
        self.elsewhere.keep(self._run.announcer.rooms_here())
        if not self.up:
            self._run.socketio.start_background_task(self._end_stale_sockets)

    def _end_stale_sockets(self) -> None:
        """Take sockets out of rooms that they left meanwhile by way of another worker.

        It could not tell this one while the line was cut.
        """
        run = self._run
        before = run.switchboard.seats()
        run.socketio.sleep(_SETTLED_SECONDS)
        with run.app.app_context(), database.reading() as session:
            present = sessions.sockets_of_worker(session, run.worker_id)
        for sid, seat in before.items():
            if sid not in present and run.switchboard.seat(sid) == seat:
                run.exit([sid], seat.room_name)
                body = {
                    "room_name": seat.room_name,
                    "peer_id": seat.peer_id,
                    "is_active": False,
                    "version": run.announcer.announced(seat.room_name),
                    "reason": "left_over_rest",
                }
                run.socketio.emit("leave_room_success", body, to=sid)

    def _send(
        self, worker: str, message: Body, sent: Callable[[int | None], None] | None = None
    ) -> None:
        channel = self._manager.channel_of_worker(worker)
        self._link.send(channel, self._encode(message), sent)

    def _encode(self, message: Body) -> bytes:
        return orjson.dumps({**message, "host_id": self._run.worker_name})

    def _tell_changed(self, view: RoomList) -> None:
        """Let the workers with sockets in a room know that it changed, and watchers of the list."""
        self.tell_room(view.name, "changed", version=view.version)
        is_first = not self._listed
        self._listed.add(view.name)
        if is_first:
            self._run.socketio.start_background_task(self._tell_lobby)

    def _tell_notice(self, event: str, body: Body, room_name: str) -> None:
        """Let the workers with sockets in a room send what this one told its own."""
        self.tell_room(room_name, "notice", event=event, body=body)

    def _tell_lobby(self) -> None:
        self._run.socketio.sleep(_LOBBY_SECONDS)
        listed, self._listed = self._listed, set()
        message = {"method": "listed", "room_names": sorted(listed)}
        self._link.send(self._manager.lobby_channel, self._encode(message))

    def _hear(self, _channel: str, text: bytes) -> None:
        message: Body = orjson.loads(text)
        if message["host_id"] == self._run.worker_name:
            return
        method = message["method"]
        if method == "changed":
            self._on_changed(message)
        elif method == "answer":
            question = self._questions.get(message["question"])
            if question is not None:
                question.answer(message["answer"])
        elif method in self.handlers:
            answer = self.handlers[method](message)
            if answer is not None:
                reply = {"method": "answer", "question": message["question"], "answer": answer}
                self._send(message["host_id"], reply)
        else:
            self._manager.receive(message)

    def _on_changed(self, message: Body) -> None:
        name = message["room_name"]
        if self._run.announcer.announced(name) < message["version"]:
            spawn = self._run.socketio.start_background_task
            spawn(self._run.announcer.mark_from_elsewhere, name)
        for tell in self.listeners:
            tell(name)

    def _on_exit(self, message: Body) -> None:
        self._run.exit([message["sid"]], message["room_name"])

    def _on_forget(self, message: Body) -> None:
        self._run.switchboard.forget(message["room_name"], message["peer_id"])

    def _on_notice(self, message: Body) -> None:
        # In a greenlet of its own, because whoever changes the room just now is waited for.
        content = (message["event"], message["body"], message["room_name"])
        self._run.socketio.start_background_task(self._run.announcer.pass_on, *content)

    def _restored(self) -> None:
        self._run.announcer.catch_up()
        self._end_stale_sockets()
