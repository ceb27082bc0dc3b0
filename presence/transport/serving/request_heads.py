"""The heads of requests: what cannot be read is answered as the app would answer it.

gunicorn answers by itself, in HTML, what it does not understand.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import gunicorn.http.message
import gunicorn.http.parser
from gunicorn.http.errors import LimitRequestHeaders, ParseException

from presence.errors import HeadersTooLarge, PresenceError, RequestMalformed
from presence.transport.admission.error_handlers import http_answer
from presence.transport.admission.request_limits import HEADER_BYTES
from presence.transport.admission.security_headers import ALWAYS
from presence.transport.serving import large_pieces

# What else is spoken to a port of HTTP/1.1 by mistake, by what it begins with.
_OTHER_PROTOCOLS = {
    b"\x16\x03": "it is TLS (https), and this port speaks HTTP. Use http://, or a proxy with a "
    "certificate before it",
    b"PROXY ": "it begins with the PROXY protocol. Have the proxy send X-Forwarded-For instead",
    b"\r\n\r\n\x00\r\nQUIT\n": "it begins with the PROXY protocol, version 2. Have the proxy send "
    "X-Forwarded-For instead",
    b"PRI * HTTP/2.0": "it is HTTP/2, and this port speaks version 1.1. Have the proxy use that",
}
# Line ends before a request, which some clients put behind the one before (RFC 9112, section 2.2).
_BLANK_LINES = 2
# How much is shown of what the parser says.
_LONGEST_FAULT = 200

_ACCEPT = re.compile(rb"(?i)(?:^|\r\n)accept:([^\r]{0,500})")


class OtherProtocol(ParseException):  # type: ignore[misc]
    """What came is no HTTP/1.1."""


class Request(gunicorn.http.message.Request):  # type: ignore[misc]
    """A request that says who has made it when its headers are too long to be read.

    What is of another protocol is told so by its first bytes.
    """

    def parse(self, unreader: Any) -> Any:
        """Return what came after the head; raises gunicorn's own exceptions."""
        unreader.mxchunk = large_pieces.HEAD_BYTES
        data = unreader.read()
        for beginning, fault in _OTHER_PROTOCOLS.items():
            if data.startswith(beginning):
                raise OtherProtocol(fault)
        for _ in range(_BLANK_LINES):
            if data.startswith(b"\r\n"):
                data = data[2:] or unreader.read()
        unreader.unread(data)
        return super().parse(unreader)

    def set_body_reader(self) -> None:
        """Get ready to read the body; raises gunicorn's own exceptions."""
        super().set_body_reader()
        self.body: Any = large_pieces.in_large_pieces(self.body, self.unreader)

    def parse_headers(self, data: Any, from_trailer: bool = False) -> Any:
        """Return the headers; raises gunicorn's own exceptions."""
        try:
            return super().parse_headers(data, from_trailer)
        except LimitRequestHeaders as error:
            accepts = _ACCEPT.search(bytes(data))
            error.environ = {
                "REQUEST_METHOD": self.method or "GET",
                "PATH_INFO": self.path or "/",
                "HTTP_ACCEPT": accepts[1].decode("latin-1") if accepts else "",
            }
            raise


def read_by(worker: Any) -> None:
    """Let a worker of gunicorn, of any class, read heads so and answer what is wrong with them.

    Call it in the worker's process before it takes connections.
    """
    gunicorn.http.parser.RequestParser.mesg_class = Request
    by_itself = worker.handle_error

    def handle_error(req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if not isinstance(exc, ParseException):
            by_itself(req, client, addr, exc)
            return
        error: PresenceError
        address = (addr or ("", -1))[0]
        if isinstance(exc, LimitRequestHeaders):
            worker.log.warning("Request from ip=%s with too large headers: %s", address, exc)
            error = HeadersTooLarge(HEADER_BYTES)
        else:
            fault = str(exc)[:_LONGEST_FAULT]
            worker.log.warning("Invalid request from ip=%s: %s", address, fault)
            error = RequestMalformed(fault.rstrip(".\n"))
        with suppress(OSError):
            client.sendall(refusal(error, getattr(exc, "environ", None)))

    worker.handle_error = handle_error


def refusal(error: PresenceError, environ: dict[str, str] | None = None) -> bytes:
    """Return the answer to a request that cannot be handled, from its first line on."""
    status, headers, body = http_answer(error, environ or {"REQUEST_METHOD": "GET"})
    headers += [("Connection", "close"), *ALWAYS]
    unique = {name.lower(): f"{name}: {value}\r\n" for name, value in reversed(headers)}
    return f"HTTP/1.1 {status}\r\n{''.join(unique.values())}\r\n".encode() + body
