"""What the bodies that clients get have in common: their base, and the fields many of them have.

The modules ``…_responses`` hold a model of every body of an answer and of an event from the server.
`serializers` makes the bodies themselves, as plain dictionaries, because lists are made all the
time; the tests hold them against these models, key by key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from presence.transport.wire import field_docs

RoomName = Annotated[str, Field(description="The name of the room.", examples=["studio"])]
PeerId = Annotated[str, Field(description="Who it is, unique within the room.", examples=["ada"])]
Username = Annotated[str, Field(description="The name people see.", examples=["Ada"])]
UserData = Annotated[
    dict[str, Any],
    Field(
        description="What the application keeps of the peer: any keys and values.",
        examples=[{"role": "host", "hand": "raised"}],
    ),
]
RoomData = Annotated[
    dict[str, Any],
    Field(
        description="What the application keeps of the room itself: any keys and values.",
        examples=[{"slide": 3}],
    ),
]
Version = Annotated[
    int,
    Field(
        description="The room's version, raised by one with every change of what it shows.",
        examples=[17],
    ),
]
Instant = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-05-04T10:30:00.000Z"])
]
Count = Annotated[int, Field(ge=0)]
Sid = Annotated[str, Field(examples=["WvK2rYjSxVNvEr3PAAAB"])]
Success = Annotated[Literal[True], Field(description="Always true.")]
Json = Annotated[Any, Field(description="Any JSON.", examples=[{"sdp": "v=0 …", "type": "offer"}])]


def _leave_out_defaults(schema: dict[str, Any]) -> None:
    """A key that an answer may lack has no default that a client could go by."""
    for part in schema.get("properties", {}).values():
        part.pop("default", None)


class Answer(BaseModel):
    """Base of every body that the server sends; a field with a default may be missing."""

    # Only descriptions ask for them, so none is built before.
    model_config = ConfigDict(
        json_schema_extra=field_docs.added(_leave_out_defaults), defer_build=True
    )
