"""How Socket.IO packets are read and written on this server.

python-socketio's own packet class searches every message for binary data before encoding it,
which costs more than the encoding. Ours sends text only. And it turns a message that is not JSON
into an event that can be answered, where the library would log a traceback and stay silent. One
that is longer than all that it may hold becomes such an event without being read. What announces
binary attachments is answered without them: the library would keep it, and them, for as long as
the last one does not come.
"""

from __future__ import annotations

import re
from typing import Any

import engineio.packet
from socketio import packet

from presence.config import Settings
from presence.errors import MessageTooLarge
from presence.transport.wire import json_codec

_AS_TEXT = {packet.BINARY_EVENT: packet.EVENT, packet.BINARY_ACK: packet.ACK}

_EVENT_NAME = re.compile(r'^\[\s*"([^"\\]{1,64})"')
# Names that mean something else to the library: a client that sent them would fake its own
# connection, or get at the handler of unknown events directly.
_RESERVED = {"connect", "disconnect", "*"}


# Bytes of a message for one of compact JSON, at most: “é” has two, and six as \u00e9.
_BYTES_FOR_ONE = 3
# What a message may have beside its largest field: names, and lists of them.
_BESIDE_BYTES = 64 * 1024
# Characters of a packet in which places of attachments are looked for. Longer ones fit into no
# field, and looking costs more than reading.
_MOST_SEARCHED = 128 * 1024


class TooLong(ValueError):
    """What was sent is longer than what is read: `limit` characters."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit:,} characters")
        self.limit = limit


class EventJson:
    """JSON as packets are read and written, of which no more is read than fits into an event.

    Reading a megabyte takes milliseconds in which nobody else is served.
    """

    dumps = staticmethod(json_codec.dumps)

    def __init__(self, settings: Settings) -> None:
        largest = max(settings.max_user_data_bytes, settings.max_signal_bytes)
        self._most = _BYTES_FOR_ONE * largest + _BESIDE_BYTES

    def loads(self, text: str, *_args: Any, **_kwargs: Any) -> Any:
        """Parse what a packet holds; raises `ValueError`, for what is too long `TooLong`."""
        if len(text) > self._most:
            raise TooLong(self._most)
        return json_codec.loads(text)


class Malformed:
    """Stands for the arguments of an event that could not be parsed, or are too long for that."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit

    def raise_for_length(self) -> None:
        """Raise `MessageTooLarge` if the event was too long to be read."""
        if self._limit is not None:
            raise MessageTooLarge(self._limit)


class TextPacket(packet.Packet):  # type: ignore[misc]
    """A Socket.IO packet without binary attachments."""

    packet_type: int
    uses_binary_events = False
    json = json_codec

    def decode(self, encoded_packet: str | bytes) -> int:
        """Parse a packet; returns 0, for no packet has to wait for binary attachments.

        Empty bytes stand where they would. An event with unreadable arguments gets a `Malformed`
        for them. Raises `ValueError` when not even the event's name can be read, or a client may
        not use it.
        """
        if not isinstance(encoded_packet, str):
            raise ValueError("binary data that no event announced")
        try:
            super().decode(encoded_packet)
        except ValueError as error:
            name = _EVENT_NAME.match(encoded_packet[encoded_packet.find("[") :])
            if self.packet_type not in (packet.EVENT, packet.BINARY_EVENT) or not name:
                raise
            self.packet_type = packet.EVENT
            self.data = [name[1], Malformed(getattr(error, "limit", None))]
            self.id = _ack_id(encoded_packet)
        if self.packet_type in _AS_TEXT:
            self.packet_type = _AS_TEXT[self.packet_type]
            if len(encoded_packet) <= _MOST_SEARCHED:
                _empty_placeholders(self.data)
            elif self.packet_type == packet.EVENT and isinstance(self.data, list):
                self.data[1:] = [Malformed()]
        if self.packet_type == packet.EVENT:
            if not (isinstance(self.data, list) and self.data and isinstance(self.data[0], str)):
                raise ValueError("an event needs a name")
            if self.data[0] in _RESERVED:
                raise ValueError(f"a client may not send the event {self.data[0]}")
        return 0


def event(name: str, body: Any, replaces: str | None = None) -> engineio.packet.Packet:
    """Return an event as a packet that can be sent to many sockets, encoded once.

    With `replaces` it takes the place of an unsent packet of the same mark (see `SendQueue`).
    """
    # In the namespace “/”, and asking for no acknowledgement, it is its type and its arguments.
    encoded = f"{packet.EVENT}{json_codec.dumps([name, body])}"
    made = engineio.packet.Packet(engineio.packet.MESSAGE, encoded)
    made.replaces = replaces
    # What it is on a WebSocket, once that is known (see `stream_connections.frame_of`).
    made.frame = made.compressed_frame = None
    return made


def _empty_placeholders(data: Any) -> None:
    """Put empty bytes in the place of what stands for attachments, however deep in `data`."""
    unseen = [data]
    while unseen:
        inside = unseen.pop()
        if isinstance(inside, dict):
            items: Any = inside.items()
        elif isinstance(inside, list):
            items = enumerate(inside)
        else:
            continue
        for key, value in items:
            if isinstance(value, dict) and value.get("_placeholder") and "num" in value:
                inside[key] = b""
            elif isinstance(value, (dict, list)):
                unseen.append(value)


def _ack_id(encoded_packet: str) -> int | None:
    """Return the acknowledgement id that stands before an event's arguments, if any."""
    digits = re.search(r"(?:^|,|-)(\d{1,15})$", encoded_packet[1 : encoded_packet.find("[")])
    return int(digits[1]) if digits else None
