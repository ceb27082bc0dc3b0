"""Reading the body of a polling client's POST, for as long as its connection is open."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)


class PollingBodies:
    """The bodies that are being read for one connection, none longer than `longest` bytes."""

    __slots__ = ("_longest", "_transports")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._transports: set[Any] = set()

    def read(self, environ: dict[str, Any]) -> bytes | None:
        """Return the body of a POST, or None if it is too long; raises `ValueError` if it is cut.

        One that comes in chunks has no length, and is read until it ends.
        """
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > self._longest:
            log.warning("closed a connection that sent %d bytes at once", length)
            return None
        if not length and "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        transport = environ.get("gunicorn.socket")
        self._transports.add(transport)
        try:
            body: bytes = environ["wsgi.input"].read(length or self._longest + 1)
        finally:
            self._transports.discard(transport)
        if len(body) > self._longest:
            log.warning("closed a connection that sent more than %d bytes at once", self._longest)
            return None
        return body

    def end(self) -> None:
        """Wait for nothing more of any: the connection is closed."""
        for transport in filter(None, list(self._transports)):
            with suppress(OSError):
                transport.shutdown(socket.SHUT_RD)
