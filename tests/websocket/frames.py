"""WebSocket frames as a client would make them, well or badly."""

from __future__ import annotations

import struct

from presence.transport.websocket import protocol


def client_frame(
    payload: bytes | str,
    opcode: int = protocol.TEXT,
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """Return a frame as a client sends it; `size` is what its head says, if not the truth."""
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(payload) if size is None else size
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not masked:
        return head + payload
    mask = b"\x9b\x75\x9c\xf6"  # always the same: a test's name may hold a frame
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
