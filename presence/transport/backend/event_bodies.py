"""Events as backends get them, over a webhook or fetched, and the cursors by which they read on."""

from __future__ import annotations

import re
from typing import Any

import orjson

from presence.domain.outbox.event_log import Told
from presence.errors import InvalidField
from presence.transport.wire import serializers
from presence.transport.wire.serializers import Body

_CURSOR = re.compile(r"c1-([0-9a-f]{1,15})")


def body(event: Told) -> Body:
    """Return an event: what all have, then what the socket's own notice of it says."""
    facts: dict[str, Any] = orjson.loads(event.facts)
    own = {} if event.peer_id is None else {"peer_id": event.peer_id}
    if "filename" in facts:
        own |= {
            "file_path": serializers.file_path(facts["filename"]),
            "file_url": serializers.file_url(facts["filename"]),
        }
    return {
        "id": event.uid,
        "type": event.type,
        "at": serializers.timestamp(event.at),
        "room_name": event.room_name,
        "version": event.version,
        **own,
        **facts,
    }


def cursor_of(position: int) -> str:
    """Return the cursor that stands behind the event in a place."""
    return f"c1-{position:x}"


def position_of(cursor: str) -> int:
    """Return the place behind which a cursor stands; raises `InvalidField`."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidField("after", "must be a “cursor” that this server gave, or “latest”.")
    return int(found[1], 16)
