"""WebSocket frames as a client sends them (RFC 6455), and Socket.IO events inside them."""

from __future__ import annotations

import struct
from typing import Any

import orjson

# Any key will do for a client that has nothing to hide; servers must unmask all the same.
_MASK = b"\x37\xfa\x21\x3d"
_TEXT = 0x81
_SHORT, _MEDIUM = 126, 1 << 16


def text_frame(text: bytes) -> bytes:
    """Return a masked text frame that holds a whole message."""
    size = len(text)
    if size < _SHORT:
        head = bytes((_TEXT, 0x80 | size))
    elif size < _MEDIUM:
        head = struct.pack("!BBH", _TEXT, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", _TEXT, 0x80 | 127, size)
    key = int.from_bytes((_MASK * (size // 4 + 1))[:size], "big")
    return head + _MASK + (int.from_bytes(text, "big") ^ key).to_bytes(size, "big")


def event_frame(event: str, body: Any, ack: int | None = None) -> bytes:
    """Return the frame of a Socket.IO event; with `ack` it asks for an acknowledgement."""
    number = b"" if ack is None else b"%d" % ack
    return text_frame(b"42" + number + orjson.dumps([event, body]))
