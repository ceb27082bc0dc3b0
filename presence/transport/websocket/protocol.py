"""WebSocket on the wire: the handshake, and frames taken apart and put together (RFC 6455, 7692).

It knows no sockets, so it can be tested byte by byte; `streams` does the reading and writing.

It replaces eventlet's own, which unmasks each received byte in a Python loop (two thirds of all CPU
in a relay of signals), makes four receive calls per frame, packs a broadcast's frame anew for every
recipient, and limits a frame but not the fragments of a message. Measured here for a message of
1.2 KB: 2.7 µs to unmask instead of 260, by one operation on two large integers; 0.3 in C.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from presence.transport.websocket import extensions

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# Close codes (RFC 6455, section 7.4.1).
NORMAL, GOING_AWAY, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1001, 1002, 1007, 1009

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"
_KEY_BYTES = 16
# What is told to whoever asked for a WebSocket in another way (RFC 9110, 15.5.22; RFC 6455, 4.4).
REQUIRED = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", VERSION),
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

# Bits of a frame's first byte, and of its second.
_FINAL, _RESERVED, _COMPRESSED, _CONTROL = 0x80, 0x70, 0x40, 0x8
_MASKED = 0x80
_SIZE_16, _SIZE_64 = struct.Struct("!H"), struct.Struct("!Q")
_MAX_CONTROL_BYTES = 125
# Codes that an endpoint may send; the others are reserved or mean that no close frame came.
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})

# The end of every message that DEFLATE flushes, which is left out on the wire (RFC 7692, 7.2.1).
_FLUSHED = b"\x00\x00\xff\xff"


class BadHandshake(Exception):
    """A request asked for a WebSocket in a way that cannot be granted.

    `missing` are the headers without which it is no such request, as they should be; `hint` is the
    rest of a sentence about them, or says by itself what is wrong.
    """

    def __init__(self, hint: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(hint)
        self.hint = hint
        self.missing = missing
        self.status = "426 Upgrade Required" if missing else "400 Bad Request"
        self.headers = list(REQUIRED) if missing else []


class WebSocketError(Exception):
    """A client broke the protocol or a limit; the connection is closed with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_request(environ: Mapping[str, Any]) -> None:
    """Raise `BadHandshake` for a request that is none for a WebSocket (RFC 6455, section 4.2.1).

    `environ` is the request's WSGI environment.
    """
    missing = []
    if "upgrade" not in _tokens(environ, "HTTP_CONNECTION"):
        missing.append("Connection: Upgrade")
    if "websocket" not in _tokens(environ, "HTTP_UPGRADE"):
        missing.append("Upgrade: websocket")
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        # Such a request cannot be upgraded, whatever its headers say (RFC 9110, section 7.8).
        raise BadHandshake("it came as HTTP/1.0", (*missing, "HTTP/1.1"))
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", "").strip() != VERSION:
        missing.append(f"Sec-WebSocket-Version: {VERSION}")
    if missing:
        raise BadHandshake("", tuple(missing))
    if environ.get("REQUEST_METHOD") != "GET":
        raise BadHandshake("it must be a GET request")
    if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        raise BadHandshake("it must have no body")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip()
    try:
        is_key = len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        raise BadHandshake("its Sec-WebSocket-Key must be 16 bytes in base64")
    offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").strip()
    if offered:
        names = [name.strip() for name in offered.split(",")]
        if not all(map(_TOKEN.fullmatch, names)) or len(set(names)) < len(names):
            raise BadHandshake("its Sec-WebSocket-Protocol must list different names")


def handshake(environ: Mapping[str, Any], *, compression: bool) -> tuple[bytes, bool]:
    """Return the answer to a request for a WebSocket, and whether messages may be compressed.

    `environ` is the request's WSGI environment; with `compression` an offer of permessage-deflate
    is taken up. Raises `BadHandshake` (RFC 6455, section 4.2).
    """
    check_request(environ)
    key = environ["HTTP_SEC_WEBSOCKET_KEY"].strip()
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n"
    )
    subprotocol = chosen_subprotocol(environ)
    if subprotocol is not None:
        answer += b"Sec-WebSocket-Protocol: " + subprotocol.encode() + b"\r\n"
    offers = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", "") if compression else ""
    agreed = extensions.granted(offers)
    if agreed is not None:
        answer += b"Sec-WebSocket-Extensions: " + agreed.encode() + b"\r\n"
    return answer + b"\r\n", agreed is not None


def chosen_subprotocol(environ: Mapping[str, Any]) -> str | None:
    """Return the subprotocol to speak: the first that is offered, as none changes anything here.

    A browser whose offer is not answered closes the connection.
    """
    offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").strip()
    return offered.split(",")[0].strip() if offered else None


def frame(payload: bytes, opcode: int = TEXT, *, compress: bool = False) -> bytes:
    """Return a whole message, or a control frame, as the server sends it: one unmasked frame."""
    if compress:
        opcode |= _COMPRESSED
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = payload[: -len(_FLUSHED)]
    size = len(payload)
    if size < 126:
        return bytes((_FINAL | opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", _FINAL | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FINAL | opcode, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; a long reason is cut, and code 0 stands for none (section 5.5.1)."""
    if not code:
        return frame(b"", CLOSE)
    return frame(struct.pack("!H", code) + reason_of_close(reason).encode(), CLOSE)


def reason_of_close(text: str) -> str:
    """Return as much of a text as a close frame holds, in UTF-8."""
    return text.encode()[: _MAX_CONTROL_BYTES - 2].decode("utf-8", "ignore")


class Reader:
    """Takes apart what one client sends; no frame and no message may exceed `max_bytes`."""

    __slots__ = ("_at", "_buffer", "_compressed", "_compression", "_max_bytes", "_opcode", "_parts")

    def __init__(self, max_bytes: int, *, compression: bool = False) -> None:
        self._max_bytes = max_bytes
        self._compression = compression
        self._buffer: bytes | bytearray = b""
        self._at = 0
        # The fragments so far of a message that is not complete, and what its first one said.
        self._parts: bytearray | None = None
        self._opcode = TEXT
        self._compressed = False

    def feed(self, data: bytes) -> None:
        """Take in bytes from the network; `next` has to be called until it returns None."""
        if self._at == len(self._buffer):
            self._buffer, self._at = data, 0
            return
        # Kept where it can grow in place: a client may send a long message byte by byte.
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(self._buffer)
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> tuple[int, str | bytes] | None:
        """Return the next message or control frame as its opcode and payload; None for no more.

        A text's payload is a string, all others are bytes. Raises `WebSocketError`.
        """
        while (taken := self._take()) is not None:
            first, payload = taken
            opcode = first & 0xF
            if opcode & _CONTROL:
                return opcode, payload
            if first & _FINAL and opcode:
                # A message of one frame: the usual one.
                return opcode, self._message(opcode, payload, bool(first & _COMPRESSED))
            if opcode:
                self._opcode, self._compressed = opcode, bool(first & _COMPRESSED)
                self._parts = bytearray(payload)
                continue
            assert self._parts is not None
            self._parts += payload
            if first & _FINAL:
                whole, self._parts = bytes(self._parts), None
                return self._opcode, self._message(self._opcode, whole, self._compressed)
        return None

    def _take(self) -> tuple[int, bytes] | None:
        """Return the first byte and the unmasked payload of the next frame, if it is all there."""
        buffer, at = self._buffer, self._at
        there = len(buffer) - at
        if there < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        size = second & 0x7F
        self._check(first, second, size)
        start = at + 6
        if size == 126:
            if there < 4:
                return None
            (size,) = _SIZE_16.unpack_from(buffer, at + 2)
            start += 2
        elif size == 127:
            if there < 10:
                return None
            (size,) = _SIZE_64.unpack_from(buffer, at + 2)
            start += 8
        so_far = len(self._parts) if self._parts and not first & _CONTROL else 0
        if so_far + size > self._max_bytes:
            raise WebSocketError(TOO_BIG, f"a message may have {self._max_bytes} bytes")
        end = start + size
        if len(buffer) < end:
            return None
        payload = _unmask(buffer[start:end], buffer[start - 4 : start])
        if end == len(buffer):
            self._buffer, self._at = b"", 0
        else:
            self._at = end
        return first, payload

    def _check(self, first: int, second: int, size: int) -> None:
        """Raise `WebSocketError` for a frame's head that no client may send (section 5.2)."""
        opcode = first & 0xF
        if not second & _MASKED:
            raise WebSocketError(PROTOCOL_ERROR, "a client must mask its frames")
        if opcode not in _OPCODES:
            raise WebSocketError(PROTOCOL_ERROR, f"opcode {opcode} is reserved")
        if first & _RESERVED and (
            first & _RESERVED != _COMPRESSED
            or not self._compression
            or opcode not in (TEXT, BINARY)
        ):
            raise WebSocketError(PROTOCOL_ERROR, "reserved bits must be 0")
        if opcode & _CONTROL:
            if not first & _FINAL or size > _MAX_CONTROL_BYTES:
                raise WebSocketError(PROTOCOL_ERROR, "a control frame is short and not fragmented")
        elif (opcode == CONTINUATION) != (self._parts is not None):
            raise WebSocketError(PROTOCOL_ERROR, "fragments of one message must follow each other")

    def _message(self, opcode: int, payload: bytes, compressed: bool) -> str | bytes:
        if compressed:
            payload = self._inflated(payload)
        if opcode == BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise WebSocketError(INVALID_DATA, "text must be valid UTF-8") from None

    def _inflated(self, payload: bytes) -> bytes:
        """Return a decompressed message; raises `WebSocketError` before it fills the memory."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflate.decompress(payload + _FLUSHED, self._max_bytes + 1)
        except zlib.error:
            raise WebSocketError(INVALID_DATA, "the compressed message is damaged") from None
        if len(data) > self._max_bytes:
            raise WebSocketError(TOO_BIG, f"a message may have {self._max_bytes} bytes")
        return data


def close_code(payload: bytes) -> int:
    """Return the code of a client's close frame, 0 if it gave none; raises `WebSocketError`."""
    if not payload:
        return 0
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code not in _SENDABLE:
        raise WebSocketError(PROTOCOL_ERROR, "the close code is not one to send")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError(INVALID_DATA, "the reason must be valid UTF-8") from None
    return code


def unmasked(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Return a payload without its mask (section 5.3), by one exclusive or of two integers.

    Where `websockets` has its part in C, that does it instead.
    """
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(
        size, "little"
    )


def _tokens(environ: Mapping[str, Any], name: str) -> set[str]:
    return {part.strip().lower() for part in environ.get(name, "").split(",")}


_unmask: Callable[[bytes | bytearray, bytes | bytearray], bytes] = unmasked
with suppress(ImportError):  # it was installed without its part in C
    _unmask = importlib.import_module("websockets.speedups").apply_mask
