"""Events as backends get them, over a webhook or fetched, and the cursors by which they read on."""

from __future__ import annotations

import re

import orjson

from presence.domain.outbox.event_log import Told
from presence.domain.outbox.outbox import FILE_DELETED, FILE_UPLOADED
from presence.errors import InvalidField
from presence.transport.wire import serializers
from presence.transport.wire.serializers import Body

_OF_FILES = {FILE_UPLOADED, FILE_DELETED}
_CURSOR = re.compile(r"c1-([0-9a-f]{1,15})")


def encoded(event: Told) -> bytes:
    """Return the JSON of an event: what all have, then what the socket's own notice of it says.

    That was made when it was written down, and is not parsed for each that is told.
    """
    own: Body = {
        "id": event.uid,
        "type": event.type,
        "at": serializers.timestamp_of_text(event.at),
        "room_name": event.room_name,
        "version": event.version,
    }
    if event.peer_id is not None:
        own["peer_id"] = event.peer_id
    if event.type in _OF_FILES:
        facts: Body = orjson.loads(event.facts)
        if "filename" in facts:  # nothing is told of one that was erased
            own["file_path"] = serializers.file_path(facts["filename"])
            own["file_url"] = serializers.file_url(facts["filename"])
    if event.facts == "{}":
        return orjson.dumps(own)
    return orjson.dumps(own)[:-1] + b"," + event.facts.encode()[1:]


def cursor_of(position: int) -> str:
    """Return the cursor that stands behind the event in a place."""
    return f"c1-{position:x}"


def position_of(cursor: str) -> int:
    """Return the place behind which a cursor stands; raises `InvalidField`."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidField("after", "must be a “cursor” that this server gave, or “latest”.")
    return int(found[1], 16)
