"""How many requests may be under way at once: of one address, and in all those with a body.

A place in which a request is read is held for as long as its client likes, within the deadlines of
the server. So an address has only so many, and where bodies in all become too many the slowest is
cut off: its client is told that its body was cut short.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from presence.config import Settings
from presence.errors import PresenceError, TooManyAtOnce
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer
from presence.transport.engine.file_descriptors import MAX_BODIES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Nobody's body is called slow before it has had so many seconds.
_GRACE_SECONDS = 1.0


class BodyInFlight:
    """A request's body while it is read: its stream, counted, and the way to cut it off."""

    def __init__(self, stream: Any, transport: Any, length: int | None) -> None:
        self._stream = stream
        self._transport = transport
        self._length = length
        self._began = time.monotonic()
        self._received = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, as the stream does."""
        return self._note(self._stream.read(size) if size >= 0 else self._stream.read())

    def readline(self, size: int = -1) -> bytes:
        """Return a line with its end, or up to `size` bytes of it."""
        return self._note(self._stream.readline(size) if size >= 0 else self._stream.readline())

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def __setattr__(self, name: str, value: Any) -> None:
        """Let whoever marks the stream as broken mark the one that is asked for it."""
        super().__setattr__(name, value)
        if not name.startswith("_"):
            setattr(self._stream, name, value)

    @property
    def is_read(self) -> bool:
        """Whether all of it has come."""
        return self._length is not None and self._received >= self._length

    @property
    def bytes_per_second(self) -> float:
        """How fast it has come so far; endlessly fast while it is new."""
        seconds = time.monotonic() - self._began
        return self._received / seconds if seconds > _GRACE_SECONDS else float("inf")

    def cut(self) -> None:
        """Let nothing more of it come in; whoever reads it finds its end."""
        with suppress(OSError, AttributeError):
            self._transport.shutdown(socket.SHUT_RD)

    def _note(self, data: bytes) -> bytes:
        self._received += len(data)
        return data


class RequestsInFlight:
    """Counts requests while they are handled and answered; refuses and cuts what is too much.

    Socket.IO's polls are not counted here, since they wait for good reason: `ConnectionLimits` does
    so. Their POSTs are.
    """

    def __init__(self, wsgi_app: WSGIApplication, settings: Settings) -> None:
        self._wsgi_app = wsgi_app
        self._per_address = settings.requests_at_once
        self._guard = threading.Lock()
        self._held: Counter[str] = Counter()
        self._bodies: set[BodyInFlight] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or answer that its address has too many under way."""
        if _is_poll(environ):
            return self._wsgi_app(environ, start_response)
        address = address_of(environ)
        try:
            self._enter(address)
        except PresenceError as error:
            status, headers, body = http_answer(error, environ)
            start_response(status, headers)
            return [body]
        reading = self._begin_reading(environ)

        def leave() -> None:
            self._leave(address)
            self._bodies.discard(reading) if reading else None

        try:
            answer = self._wsgi_app(environ, start_response)
        except BaseException:
            leave()
            raise
        return _with_end(answer, leave)

    def _enter(self, address: str) -> None:
        """Count a request for its address; raises `TooManyAtOnce`."""
        with self._guard:
            if 0 < self._per_address <= self._held[address]:
                raise TooManyAtOnce(self._per_address)
            self._held[address] += 1

    def _leave(self, address: str) -> None:
        with self._guard:
            self._held[address] -= 1
            if self._held[address] <= 0:
                del self._held[address]

    def _begin_reading(self, environ: WSGIEnvironment) -> BodyInFlight | None:
        """Count a request's body, if it has one, and cut off the slowest if they are too many."""
        written = str(environ.get("CONTENT_LENGTH") or "")
        length = int(written) if written.isascii() and written.isdigit() else None
        if not length and "HTTP_TRANSFER_ENCODING" not in environ:
            return None
        body = BodyInFlight(environ["wsgi.input"], environ.get("gunicorn.socket"), length)
        environ["wsgi.input"] = body
        with self._guard:
            self._bodies.add(body)
            slowest = None
            if len(self._bodies) > MAX_BODIES:
                self._bodies = {one for one in self._bodies if not one.is_read}
            if len(self._bodies) > MAX_BODIES:
                slowest = min(self._bodies, key=lambda one: one.bytes_per_second)
                self._bodies.discard(slowest)
        if slowest is not None:
            slowest.cut()
        return body


def _is_poll(environ: WSGIEnvironment) -> bool:
    """Tell whether a request waits for what is to be told, or asks for a WebSocket."""
    path = str(environ.get("PATH_INFO", ""))
    return environ["REQUEST_METHOD"] == "GET" and path.startswith("/socket.io/")


def _with_end(answer: Iterable[bytes], end: Callable[[], None]) -> Iterable[bytes]:
    """Return an answer that calls `end` once it was sent or given up.

    One that has something to close is extended in its place: a file is sent by the system only
    where the server recognises it.
    """
    close = getattr(answer, "close", None)
    if close is None:
        return _Ending(answer, end)

    def close_and_end() -> None:
        # Once, and not to hold the answer that holds this: its body would wait for the collector.
        nonlocal close
        close_first, close = close, None
        if close_first is not None:
            try:
                close_first()
            finally:
                end()

    try:
        answer.close = close_and_end  # type: ignore[attr-defined]
    except AttributeError:
        return _Ending(answer, close_and_end)
    return answer


class _Ending:
    """An answer with an end that is noticed."""

    def __init__(self, answer: Iterable[bytes], end: Callable[[], None]) -> None:
        self._answer = answer
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """Note the end, once."""
        end, self._end = self._end, None
        if end is not None:
            end()
