"""The bodies of the server itself: its health, its documents, and what it tells a connection."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from presence.transport.wire.response_fields import Answer


class Farewell(Answer):
    """The server is about to stop."""

    detail: Annotated[
        str, Field(examples=["The server is shutting down. Connect again in a few seconds."])
    ]


class Alive(Answer):
    """The process is alive."""

    status: Literal["alive"]
    version: Annotated[str, Field(examples=["0.1.0"])]
    """The version of the server, and of the clients that it hands out."""


class Ready(Answer):
    """The server can serve."""

    status: Literal["ready"]
    checks: Annotated[list[str], Field(examples=[["shutdown", "database", "uploads", "disk"]])]
    """What was looked at."""


class SlowDown(Answer):
    """A connection sends too fast."""

    code: Annotated[
        Literal["too_many_events", "flooding"],
        Field(
            description="`flooding` says that the connection is being closed.",
            examples=["too_many_events"],
        ),
    ]
    detail: Annotated[str, Field(examples=["Pause for 1 s and go on more slowly."])]
    limit: Annotated[
        float, Field(description="Messages a second, in the long run.", examples=[100.0])
    ]
    retry_after: Annotated[
        int | None, Field(description="For how many seconds to pause.", examples=[1])
    ] = None


class Document(RootModel[dict[str, Any]]):
    """A description of the API, as JSON."""
