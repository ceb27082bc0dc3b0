"""One connection to the server, from its opening to its loss; the next one is another object.

python-socketio would connect again by itself, but what is wanted by then may be something else. So
it only connects here, and `keeper` decides about the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import engineio
import socketio

from presence_client import forks
from presence_client.address import Address
from presence_client.bodies import Body
from presence_client.errors import PresenceError, connection_lost, unanswered, unreachable

# The library would give its logger a handler of its own.
_library_log = logging.getLogger(f"{__name__}.socketio")
_library_log.setLevel(logging.ERROR)

_GOODBYE_SECONDS = 1.0

Answered = Callable[[Body | PresenceError], None]


class _EngineIo(engineio.AsyncClient):  # type: ignore[misc]
    """Engine.IO's client, but handling messages in order: its own starts a task for each.

    It also tells when one of its loops fails, which would otherwise end without a word.
    """

    lost: Callable[[str], None]

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().start_background_task(target, *args, **kwargs)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.lost(f"transport error: {task.exception()}")

    async def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        return await super()._trigger_event(event, *args, **{**kwargs, "run_async": False})

    def __del__(self) -> None:
        """Leave the session alone: `Link` closes it, and after a fork it is the parent's."""


class _SocketIo(socketio.AsyncClient):  # type: ignore[misc]
    """Socket.IO's client, which tells of every loss: its own says nothing while it connects."""

    def __init__(self, lost: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options)
        self._lost = self.eio.lost = lost

    async def _handle_eio_disconnect(self, reason: str) -> None:
        await super()._handle_eio_disconnect(reason)
        self._lost(reason)

    def _engineio_client_class(self) -> type[engineio.AsyncClient]:
        return _EngineIo


class Link:
    """A Socket.IO connection: events that are answered in order, until it is lost."""

    def __init__(self, address: Address, heard: Callable[[str, Body], None]) -> None:
        self._address = address
        self._heard = heard
        self._sio: Any = None
        self._http: aiohttp.ClientSession | None = None
        self._refusal: PresenceError | None = None
        self._asked: dict[object, tuple[str, Answered]] = {}
        self._closing = asyncio.Lock()
        self._sending: set[asyncio.Future[None]] = set()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def is_up(self) -> bool:
        """Whether events can be sent."""
        return self._sio is not None and bool(self._sio.connected) and not self._lost.done()

    @property
    def sid(self) -> str | None:
        """The connection's Socket.IO id, or None."""
        sid: str | None = self._sio.get_sid() if self.is_up else None
        return sid

    async def open(self, token: str | None, seconds: float) -> None:
        """Connect, showing a token; raises `PresenceError`: ``unreachable``, or a refusal."""
        self._http = forks.session()
        self._sio = sio = _SocketIo(
            self._end,
            reconnection=False,
            handle_sigint=False,
            logger=_library_log,
            engineio_logger=_library_log,
            http_session=self._http,
            request_timeout=seconds,
            websocket_extra_options={
                # A room's list may be larger than the 4 MiB that aiohttp takes by default.
                "max_msg_size": 0,
                "timeout": aiohttp.ClientWSTimeout(ws_close=_GOODBYE_SECONDS / 2),
            },
        )
        sio.on("*", self._take)
        sio.on("connect_error", self._refuse)
        connecting = asyncio.ensure_future(
            sio.connect(
                self._address.origin,
                auth={} if token is None else {"token": token},
                socketio_path=self._address.socketio_path,
                wait_timeout=seconds,
            )
        )
        try:
            await asyncio.wait(
                {connecting, self._lost},
                timeout=seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._lost.done():
                raise ConnectionError("the connection was lost at once")
            if not connecting.done():
                raise TimeoutError
            connecting.result()
        except Exception as error:
            raise self._refusal or unreachable(self._address.url, error) from error
        finally:
            connecting.cancel()
            await asyncio.wait({connecting})
            if not connecting.cancelled():
                connecting.exception()  # it is told already

    async def lost(self) -> str:
        """Wait until the connection is lost, and return why."""
        return await asyncio.shield(self._lost)

    def ask(self, event: str, data: Body, answered: Answered) -> None:
        """Send an event; `answered` gets the server's answer, or the error for which there is none.

        The data must be JSON: see `check_json`.
        """
        if not self.is_up:
            answered(connection_lost(event))
            return
        key = object()
        self._asked[key] = (event, answered)
        # Tasks begin in the order in which they are made, and this one never has to wait.
        self._in_background(
            self._sio.emit(event, data, callback=lambda *answer: self._settle(key, answer))
        )

    async def request(self, event: str, data: Body, seconds: float) -> Body:
        """Send an event and return the server's answer.

        Raises `PresenceError`: the server's, ``invalid_field``, ``timeout`` or ``connection_lost``.
        """
        check_json(event, data)
        answer: asyncio.Future[Body | PresenceError] = asyncio.get_running_loop().create_future()

        def answered(given: Body | PresenceError) -> None:
            if not answer.done():
                answer.set_result(given)

        self.ask(event, data, answered)
        await asyncio.wait({answer}, timeout=seconds)
        if not answer.done():
            raise unanswered(event)
        given = answer.result()
        if isinstance(given, PresenceError):
            raise given
        return given

    async def close(self) -> None:
        """End the connection, in good order where that is quick; nothing of it is left then."""
        async with self._closing:
            await self._close()

    async def _close(self) -> None:
        sio, self._sio = self._sio, None
        try:
            if sio is not None and sio.connected:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_GOODBYE_SECONDS):
                        await sio.disconnect()
        finally:
            self._end("closed")
            if sio is not None:
                for task in (sio.eio.read_loop_task, sio.eio.write_loop_task):
                    if task is not None:
                        task.cancel()
                if sio.eio in engineio.base_client.connected_clients:
                    engineio.base_client.connected_clients.remove(sio.eio)
            if self._http is not None:
                await self._http.close()

    def cut(self) -> None:
        """Give the connection up at once; whoever keeps it closes it."""
        self._end("cut")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Future[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Nothing can be sent any more; that it is lost is told as ever.
            self._end("transport error")

    def _take(self, event: str, body: Any = None) -> None:
        if not self._lost.done():
            self._heard(event, body if isinstance(body, dict) else {})

    def _settle(self, key: object, answer: tuple[Any, ...]) -> None:
        event, answered = self._asked.pop(key, ("", None))
        if answered is None:
            return
        body = answer[0] if answer and isinstance(answer[0], dict) else {}
        if body.get("ok"):
            answered(body)
        elif "code" in body:
            answered(PresenceError.of(body))
        else:
            answered(
                PresenceError("unreadable_answer", f"The answer to {event} is not one of Presence.")
            )

    def _refuse(self, problem: Any = None) -> None:
        """Note what the server says; of a network that fails there is only a text."""
        if isinstance(problem, dict):
            body = problem.get("data", problem)
            if isinstance(body, dict) and "code" in body:
                self._refusal = PresenceError.of(body)

    def _end(self, reason: str = "") -> None:
        if self._lost.done():
            return
        self._lost.set_result(reason)
        asked, self._asked = self._asked, {}
        for event, answered in asked.values():
            answered(connection_lost(event))


def check_json(event: str, data: Body) -> None:
    """Raise `PresenceError` (``invalid_field``) for data that could not be sent as JSON."""
    try:
        json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise PresenceError("invalid_field", f"What {event} sends is no JSON: {error}.") from error
