"""What clients send: one model per message, for its REST route and its Socket.IO event alike."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    ValidationInfo,
)

from presence.domain.rooms import activity
from presence.domain.values import json_values, key_hints, names, user_data
from presence.errors import InvalidField, InvalidJson, RoomDataTooLarge
from presence.storage.models import NAME_LENGTH, USERNAME_LENGTH
from presence.transport.wire import field_docs, wording


def _name(value: object, info: ValidationInfo) -> str:
    return names.normalise(value, str(info.field_name), NAME_LENGTH)


def _username(value: object, info: ValidationInfo) -> str:
    return names.normalise(value, str(info.field_name), USERNAME_LENGTH)


def _user_data(value: object, info: ValidationInfo) -> dict[str, Any]:
    max_bytes: int = info.context["max_user_data_bytes"]  # type: ignore[index]
    return user_data.check(value, max_bytes, str(info.field_name))


def _room_data(value: object, info: ValidationInfo) -> dict[str, Any]:
    max_bytes: int = info.context["max_user_data_bytes"]  # type: ignore[index]
    return user_data.check(value, max_bytes, str(info.field_name), RoomDataTooLarge)


def _password(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or len(value) > LONGEST_PASSWORD:
        return value
    # As keyboards and systems differ in how they write the same (RFC 8265, 4.2.2).
    text = unicodedata.normalize("NFC", value)
    json_values.check_text(text, str(info.field_name), stored=True)
    return text


# In characters: more than anybody types.
LONGEST_PASSWORD = 200
Password = Annotated[
    str,
    BeforeValidator(_password),
    Field(min_length=1, max_length=LONGEST_PASSWORD, examples=["open sesame"]),
]
Name = Annotated[str, BeforeValidator(_name), Field(min_length=1, max_length=NAME_LENGTH)]
# In an address, where an empty one is as good as none.
NameIfAny = Annotated[Name, Field(json_schema_extra={"minLength": 0})]
RoomName = Annotated[Name, Field(examples=["studio"])]
PeerId = Annotated[Name, Field(examples=["ada"])]
Username = Annotated[
    str,
    BeforeValidator(_username),
    Field(min_length=1, max_length=USERNAME_LENGTH, examples=["Ada"]),
]
UserData = Annotated[dict[str, Any], BeforeValidator(_user_data)]
RoomData = Annotated[dict[str, Any], BeforeValidator(_room_data)]
# More keys than any user data has.
MOST_KEYS = 4096
# What the database's 64-bit integers hold.
Version = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Incoming(BaseModel):
    """Base of every message: a number is no string, and a string no number."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra=field_docs.added({"x-whole-example": True}),
    )


class JoinRoom(Incoming):
    """Join a room; user_data is merged into what the server has of the peer.

    With ``updates`` a socket says whether it wants whole lists or only what changes.
    """

    room_name: RoomName
    """The room, which is made when it is new."""
    peer_id: PeerId
    """Who joins, unique within the room; the same id later is the same peer."""
    username: Username
    """The name people see."""
    user_data: Annotated[UserData, Field(examples=[{"role": "host"}])] = {}
    """What the application keeps of the peer: any keys and values."""
    updates: Literal["list", "delta"] = "list"
    """Over Socket.IO: whole lists, or only the peers that changed."""
    password: Password | None = None
    """The room's, where it has one; who is in it already needs none."""
    since_broadcast: Version | None = None
    """Over Socket.IO: the last kept broadcast that was heard; those after it are told."""
    states: bool = False
    """Over Socket.IO: whether to hear the states of others."""
    data_notices: bool = True
    """Over Socket.IO: false spares notices of data, which lists and changes have as well."""


def _one_of(*keys: str) -> ConfigDict:
    """Return what describes a message that has at least one of these keys."""
    required = [{"required": [key]} for key in keys]
    return ConfigDict(
        json_schema_extra=field_docs.added({"x-whole-example": True, "anyOf": required})
    )


class UpdateUserData(Incoming):
    """Change one's user data: keys to set, keys to remove, or everything replaced.

    With ``if_version`` only if it has not changed since that version of the room.
    """

    model_config = _one_of("user_data", "remove", "replace")

    user_data: Annotated[UserData, Field(examples=[{"hand": "raised"}])] = {}
    """Top-level keys to set; null is a value."""
    remove: Annotated[list[str], FailFast(), Field(max_length=MOST_KEYS)] = []
    """Keys to delete."""
    replace: bool = False
    """Whether to keep nothing of what was stored."""
    if_version: Version | None = None
    """Change nothing if the data has changed since this version of the room."""


class UpdateRoomData(Incoming):
    """Change the room's data: keys to set, keys to remove, or everything replaced.

    With ``if_version`` only if it has not changed since that version of the room.
    """

    model_config = _one_of("room_data", "remove", "replace")

    room_data: Annotated[RoomData, Field(examples=[{"slide": 3}])] = {}
    """Top-level keys to set; null is a value."""
    remove: Annotated[list[str], FailFast(), Field(max_length=MOST_KEYS)] = []
    """Keys to delete."""
    replace: bool = False
    """Whether to keep nothing of what was stored."""
    if_version: Version | None = None
    """Change nothing if the data has changed since this version of the room."""


class Sync(Incoming):
    """Ask for what changed in the room after a version, and what was said after a broadcast."""

    model_config = _one_of("since", "since_broadcast")

    since: Annotated[Version | None, Field(examples=[16])] = None
    """The version that the client has."""
    since_broadcast: Version | None = None
    """The last kept broadcast that was heard; those after it are told."""


class SetState(Incoming):
    """Say what is true of this connection just now; `states` reads it without this model."""

    state: Annotated[dict[str, Any] | None, Field(examples=[{"cursor": [12, 80], "idle": False}])]
    """Any keys and values, instead of those before; null: nothing."""


class SendSignal(Incoming):
    """A message for one peer of one's own room; `signals` reads it without this model."""

    to: Annotated[str, Field(examples=["grace"])]
    """The peer_id of who is to get it."""
    data: Annotated[Any, Field(examples=[{"type": "offer", "sdp": "v=0 …"}])]
    """Any JSON, null included."""
    type: Annotated[str | None, Field(min_length=1, max_length=64, examples=["offer"])] = None
    """What it is, for the application: `offer`, `answer`, `candidate` …"""
    to_session: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    """One connection of the peer, as `from_session` named it; left out: its newest."""


class SendBroadcast(Incoming):
    """A message for everybody else in one's room; `signals` reads it without this model."""

    event: Annotated[str, Field(min_length=1, max_length=64, examples=["chat"])]
    """What it is, for the application."""
    data: Annotated[Any, Field(examples=[{"text": "hello"}])]
    """Any JSON, null included."""
    keep: Annotated[bool, Field(examples=[False])] = False
    """Whether those who are away are to hear it when they come back."""


class Watch(Incoming):
    """Ask to be told of changes without joining anything."""

    room_name: Annotated[Name | None, Field(examples=["studio"])] = None
    """The room; left out or null: the list of rooms."""


class JoinOverRest(JoinRoom):
    """Join a room; user_data is merged into what the server has of the peer."""

    room_name: Annotated[Name | None, Field(examples=["studio"])] = None  # type: ignore[assignment]
    """May be left out; otherwise the room in the address."""


class UpdateOverRest(UpdateUserData):
    """Change a peer's user data: keys to set, keys to remove, or everything replaced."""

    peer_id: Annotated[Name | None, Field()] = None
    """The peer who acts, where the query does not say."""


class UpdateRoomOverRest(UpdateRoomData):
    """Change the room's data: keys to set, keys to remove, or everything replaced."""

    peer_id: Annotated[Name | None, Field()] = None
    """The peer who acts, where the query does not say; without one it is the server's own act."""


class LeaveOverRest(Incoming):
    """Leave; the peer may be named here."""

    peer_id: Annotated[Name | None, Field()] = None
    """The peer who leaves, where the query does not say."""


class RoomsQuery(Incoming):
    """Which rooms are wanted, by name; all of them where nothing is asked."""

    prefix: Annotated[NameIfAny | None, Field(examples=["st"])] = None
    """How their names begin."""
    active: Annotated[bool | None, Field(examples=[True])] = None
    """Whether anybody is active in them."""
    after: Annotated[NameIfAny | None, Field(examples=["a"])] = None
    """The last name of the page before; the header `Link` of an answer has the next page."""
    limit: Annotated[int, Field(ge=1, le=1000, examples=[100])] = 100
    """How many rooms at most."""


class PeerQuery(Incoming):
    """Says which peer of the room in the address is meant."""

    peer_id: PeerId
    """The peer who acts; it may stand in the body instead."""


class ActingQuery(Incoming):
    """Says which peer acts, if one does."""

    peer_id: Annotated[Name | None, Field(examples=["ada"])] = None
    """The peer who acts; it may stand in the body instead."""


class ActivityQuery(Incoming):
    """How much of a room's activity is wanted."""

    limit: Annotated[int, Field(ge=1, le=activity.KEPT, examples=[20])] = 50
    """How many entries at most, the newest first."""


class EventsQuery(Incoming):
    """What happened that is wanted, and how long it is waited for."""

    after: Annotated[str | None, Field(max_length=64, examples=["c1-1f"])] = None
    """The `cursor` of the last answer; `latest` for what happens from now on. Without it, all."""
    room: Annotated[Name | None, Field(examples=["studio"])] = None
    """Only what happens in this room."""
    wait: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False, examples=[0])] = 0.0
    """For how many seconds to wait where nothing has happened yet."""
    limit: Annotated[int, Field(ge=1, le=1000, examples=[100])] = 100
    """How many events at most."""


class UploadForm(Incoming):
    """A file and whose it is."""

    file: Annotated[str, Field(json_schema_extra={"format": "binary"}, examples=["@agenda.txt"])]
    """The file, with its name."""
    room_name: RoomName
    """The room its owner is or was in."""
    peer_id: PeerId
    """Its owner."""


class PeerAddress(Incoming):
    """Names one peer of one room."""

    room_name: RoomName
    """The room."""
    peer_id: PeerId
    """The peer."""


class RoomAddress(Incoming):
    """Names one room."""

    room_name: RoomName
    """The room."""


Message = TypeVar("Message", bound=BaseModel)


def parse(model: type[Message], data: object, max_user_data_bytes: int = 0) -> Message:
    """Return `data` as a `model`; keys that the model does not know are ignored.

    `max_user_data_bytes` matters to models that have user data. Raises `InvalidJson` when `data`
    is not an object, `InvalidField` or `UserDataTooLarge` for the first field at fault.
    """
    if not isinstance(data, dict):
        raise InvalidJson('The message must be one JSON object, such as {"room_name": "…"}.')
    try:
        return model.model_validate(data, context={"max_user_data_bytes": max_user_data_bytes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InvalidField(field, "is required, and was not given.") from None
        raise InvalidField(field, wording.reason(first)) from None


def hinted(data: object, model: type[BaseModel] | None) -> dict[str, list[str]]:
    """Return ``hints`` for keys of a message that are none and resemble one of the model's.

    Costs one comparison where there is no unknown key.
    """
    if model is None or not isinstance(data, dict):
        return {}
    known = keys_of(model)
    if data.keys() <= known:
        return {}
    found = key_hints.hints(data, known)
    return {"hints": found} if found else {}


@cache
def keys_of(model: type[BaseModel]) -> frozenset[str]:
    """Return the keys of a message, as they are sent; pydantic makes that a long way each time."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def parse_update(data: object, max_user_data_bytes: int) -> UpdateUserData:
    """Return an update, which must ask for something; raises as `parse` does."""
    update = parse(UpdateUserData, data, max_user_data_bytes)
    _check_asks(update, "user_data")
    return update


def parse_room_update(data: object, max_user_data_bytes: int) -> UpdateRoomData:
    """Return an update of a room, which must ask for something; raises as `parse` does."""
    update = parse(UpdateRoomData, data, max_user_data_bytes)
    _check_asks(update, "room_data")
    return update


def parse_join(data: object, path_room_name: str, max_user_data_bytes: int) -> JoinRoom:
    """Return a join whose room the path names; the body may repeat it, but not contradict it.

    Raises as `parse` does.
    """
    path = parse(RoomAddress, {"room_name": path_room_name})
    if isinstance(data, dict):
        data = {"room_name": path.room_name, **data}
    join = parse(JoinRoom, data, max_user_data_bytes)
    if join.room_name != path.room_name:
        raise InvalidField(
            "room_name",
            "in the body is not the room in the address. Leave it out, or send the same.",
        )
    return join


def _check_asks(update: BaseModel, field: str) -> None:
    if not update.model_fields_set & {field, "remove", "replace"}:
        raise InvalidField(field, "is required, unless “remove” names keys to delete.")
