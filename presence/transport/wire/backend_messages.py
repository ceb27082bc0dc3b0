"""What backends and admins send, who are no peers: one model per message, as in `messages`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, FailFast, Field, ValidationInfo

from presence.domain.permissions import room_patterns, tokens
from presence.domain.values import json_values, names
from presence.storage.models import NAME_LENGTH, REASON_LENGTH, USERNAME_LENGTH
from presence.transport.wire.messages import Incoming, Name, Password, PeerId

# About a hundred years: beyond it somebody has mistaken milliseconds for seconds.
MAX_SECONDS = 3_200_000_000
DEFAULT_TOKEN_SECONDS = 3600
# More than there are, as one may be named twice.
MOST_GRANTS = 64


def _sender(value: object, info: ValidationInfo) -> str:
    return names.normalise(value, str(info.field_name), USERNAME_LENGTH)


def _reason(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        json_values.check_text(value, str(info.field_name), stored=True)
        # What is too long stays so, however much of it may not be printed.
        return names.without_control_characters(value) if len(value) <= REASON_LENGTH else value
    return value


def _pattern(value: object, info: ValidationInfo) -> str:
    return room_patterns.parse(value, str(info.field_name)).text


def _pattern_or_none(value: object, info: ValidationInfo) -> str | None:
    return None if value is None else _pattern(value, info)


def _text(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        json_values.check_text(value, str(info.field_name), stored=True)
    return value


Reason = Annotated[str, BeforeValidator(_reason), Field(max_length=REASON_LENGTH)]
TokenId = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=NAME_LENGTH)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
RoomGrant = Literal[
    "join", "update", "room", "upload", "signal", "listen", "list", "enter", "admit"
]
Grant = RoomGrant | Literal["publish", "events", "admin"]


# How many peers one message may name.
MOST_PEERS = 1000
SenderName = Annotated[
    str,
    BeforeValidator(_sender),
    Field(min_length=1, max_length=USERNAME_LENGTH, examples=["Order desk"]),
]


class PublishSignal(Incoming):
    """A message for the peer in the address, in the server's name."""

    data: Annotated[Any, Field(examples=[{"order": 17, "state": "packed"}])]
    """Any JSON, null included."""
    type: Annotated[str | None, Field(min_length=1, max_length=64, examples=["order"])] = None
    """What it is, for the application."""
    session: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    """One connection of the peer; left out: its newest."""
    name: SenderName | None = None
    """Which part of the backend says it, for its readers."""


class PublishBroadcast(Incoming):
    """A message for everybody in the room in the address, or for some, in the server's name."""

    event: Annotated[str, Field(min_length=1, max_length=64, examples=["notice"])]
    """What it is, for the application."""
    data: Annotated[Any, Field(examples=[{"text": "We close in ten minutes."}])]
    """Any JSON, null included."""
    to: Annotated[
        list[Name] | None,
        FailFast(),
        Field(min_length=1, max_length=MOST_PEERS, examples=[["ada"]]),
    ] = None
    """Who gets it; left out: everybody."""
    except_: Annotated[
        list[Name], FailFast(), Field(alias="except", max_length=MOST_PEERS, examples=[["bob"]])
    ] = Field(default=[])
    """Who does not get it."""
    keep: Annotated[bool, Field(examples=[False])] = False
    """Whether those who are away are to hear it later; only without `to` and `except`."""
    name: SenderName | None = None
    """Which part of the backend says it, for its readers."""


class PutRoom(Incoming):
    """What a room is to be; what is left out stays as it is, and null is what the server has."""

    max_peers: Annotated[int | None, Field(ge=1, le=2**31 - 1, examples=[4])] = None
    """How many active peers it holds; at most as many as the server lets a room hold."""
    keep_inactive: Annotated[int | None, Field(ge=1, le=2**31 - 1, examples=[3600])] = None
    """For how many seconds it keeps peers after they were last seen; at most as long as the
    server keeps them."""
    closed: Annotated[bool | None, Field(examples=[False])] = None
    """Whether nobody may join; whoever is there is put out."""
    lobby: Annotated[bool | None, Field(examples=[False])] = None
    """Whether who joins without the grant `enter` waits to be admitted."""
    password: Password | None = None
    """What joining asks for from now on; null takes it away. Nobody is put out."""
    current_password: Password | None = None
    """On an open server, what it has been so far, where it is changed or taken away."""


class Bar(Incoming):
    """Ban a peer, or close a room: for so many seconds, or until that is taken back."""

    seconds: Annotated[Seconds | None, Field(examples=[600])] = None
    """For how long; null or left out: until it is taken back."""
    reason: Annotated[Reason, Field(examples=["Advertising"])] = ""
    """What whoever is kept out is told."""


class SetGrants(Incoming):
    """Say what a peer may do in the room from now on, whatever its token says."""

    grants: Annotated[
        list[RoomGrant] | None,
        FailFast(),
        Field(max_length=len(get_args(RoomGrant)), examples=[["join", "update", "listen", "list"]]),
    ]
    """All that it may do, besides being there (`join`), which only a kick or a ban ends; null: what
    its token says again."""


class Refuse(Incoming):
    """Turn somebody away who waits in front of a room."""

    reason: Annotated[Reason, Field(examples=["Not before ten"])] = ""
    """What whoever is turned away is told."""


class MintToken(Incoming):
    """Make a token for a peer, good for a room or a pattern of rooms, for ``ttl`` seconds."""

    peer_id: PeerId
    """Whom it is for."""
    room: Annotated[str, BeforeValidator(_pattern), Field(min_length=1, examples=["team-*"])]
    """A room's name, or a pattern in which an asterisk stands for anything."""
    grants: Annotated[
        list[Grant],
        FailFast(),
        Field(min_length=1, max_length=MOST_GRANTS, examples=[["join", "list"]]),
    ] = Field(
        default=list(tokens.USUAL_GRANTS)  # type: ignore[arg-type]
    )
    """What it allows."""
    ttl: Annotated[int, Field(gt=0, le=MAX_SECONDS)] = DEFAULT_TOKEN_SECONDS
    """How many seconds it is good for."""


class RevokeTokens(Incoming):
    """Take tokens back: those that have all that is named here, one of the first three at least."""

    jti: Annotated[TokenId | None, Field(examples=["f3a0c2d1"])] = None
    """One token, by its name (``jti``)."""
    peer_id: PeerId | None = None
    """All that this peer was given up to now."""
    room: Annotated[str | None, BeforeValidator(_pattern_or_none), Field(examples=["team-*"])] = (
        None
    )
    """Those for this room or pattern and no others; left out: for what the caller's token is."""
    seconds: Annotated[Seconds | None, Field(examples=[86_400])] = None
    """For how long; the longest life that they have will do. Null or left out: for good."""
