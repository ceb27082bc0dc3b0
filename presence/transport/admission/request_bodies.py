"""The body of a request as it arrives: what is cut short or broken is told as the client's fault.

Servers raise errors of their own for it, as if the disk had failed, or hand out the beginning of a
body as if that were all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest

from presence.errors import CodingRefused
from presence.transport.admission.error_handlers import http_answer
from presence.transport.websocket.early_bytes import STREAM

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# What may stand before a chunk, its length and extensions that nobody uses, and after the last one.
_CHUNK_LINE_BYTES, _TRAILER_BYTES = 256, 8190


class UnreadableBody(BadRequest, ValueError):
    """The body ended before its announced length, or its chunks are not what they should be.

    A `ValueError` too, for readers that know nothing of HTTP.
    """

    description = "The request's body is broken or was cut short. Send it again."


class CheckedBody:
    """Reads a body from the server's own stream; raises `UnreadableBody`.

    A stream that failed is marked with ``is_broken``, because nobody can tell where in it the next
    request would begin.
    """

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all of them; nothing at the end."""
        if self._left is not None:
            # Beyond its end some streams would wait for more.
            size = self._left if size < 0 else min(size, self._left)
        return self._checked(self._stream.read, size, whole=True)

    def readline(self, size: int = -1) -> bytes:
        """Return a line with its end, or up to `size` bytes of it."""
        if self._left is not None:
            size = self._left if size < 0 else min(size, self._left)
        return self._checked(self._stream.readline, size, whole=False)

    def __iter__(self) -> CheckedBody:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _checked(self, read: Callable[[int], bytes], size: int, *, whole: bool) -> bytes:
        if size == 0:
            return b""
        try:
            data = read(size) if size > 0 else read(-1)
        except Exception as error:  # each server has its own
            self._fail(error)
        if self._left is not None:
            if len(data) < size if whole else not data:
                self._fail(None)
            self._left -= len(data)
        return data

    def _fail(self, error: Exception | None) -> Any:
        with suppress(AttributeError):
            self._stream.is_broken = True
        raise UnreadableBody from error


class CheckedBodies:
    """Lets an app read every body through `CheckedBody`, and refuses those that are compressed."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with its body checked."""
        coding = str(environ.get("HTTP_CONTENT_ENCODING", "")).strip().lower()
        if coding not in ("", "identity"):
            status, headers, body = http_answer(CodingRefused(coding), environ)
            start_response(status, headers)
            return [body]
        if "wsgi.input" in environ:
            length = str(environ.get("CONTENT_LENGTH") or "")
            environ[STREAM] = environ["wsgi.input"]
            environ["wsgi.input"] = CheckedBody(
                environ["wsgi.input"],
                int(length) if length.isascii() and length.isdigit() else None,
            )
        return self._wsgi_app(environ, start_response)


def bound_chunks() -> None:
    """Have gunicorn refuse what stands around the chunks of a body (RFC 9112, 7.1) and has no end.

    By itself it gathers such a line until it ends, and looks through all of it at every piece that
    comes: 50 ms for a megabyte, and four times as much for two.
    """
    # Not at the top: where another server serves, gunicorn is not loaded.
    from gunicorn.http.body import ChunkedReader  # noqa: PLC0415
    from gunicorn.http.errors import InvalidChunkExtension, NoMoreData  # noqa: PLC0415

    parse_line, parse_trailers = ChunkedReader.parse_chunk_size, ChunkedReader.parse_trailers
    if hasattr(parse_line, "__wrapped__"):
        return

    def gathered(unreader: Any, data: bytes, is_whole: Callable[[bytes], bool], most: int) -> bytes:
        while not is_whole(data[:most]):
            if len(data) >= most:
                raise InvalidChunkExtension(f"more than {most} bytes around a chunk")
            more = unreader.read()
            if not more:
                raise NoMoreData
            data += more
        return data

    @functools.wraps(parse_line)
    def parse_bounded_line(self: Any, unreader: Any, data: bytes | None = None) -> Any:
        line = gathered(unreader, data or b"", lambda seen: b"\r\n" in seen, _CHUNK_LINE_BYTES)
        return parse_line(self, unreader, line)

    @functools.wraps(parse_trailers)
    def parse_bounded_trailers(self: Any, unreader: Any, data: bytes) -> Any:
        def is_whole(seen: bytes) -> bool:
            return seen.startswith(b"\r\n") or b"\r\n\r\n" in seen

        return parse_trailers(self, unreader, gathered(unreader, data, is_whole, _TRAILER_BYTES))

    ChunkedReader.parse_chunk_size = parse_bounded_line
    ChunkedReader.parse_trailers = parse_bounded_trailers
