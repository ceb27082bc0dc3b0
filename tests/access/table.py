"""Who may do what on a locked server, declared: the tests compare it with what the server does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROOM = "team-1"
# `acts`: the call names who acts, which must be the token's own peer. "room": it concerns a room.
# A body is made for the room and the peer that a test wants to act on.
PUBLIC_PATHS = {
    "/",
    "/rooms",
    "/rooms/<room_name>",
    "/rooms/<room_name>/invitation.svg",
    "/docs/api",
    "/docs/samples.json",
    "/admin",
    "/clients",
    "/clients/presence-client.tgz",
    "/clients/<name>.whl",
    "/doctor",
    "/doctor/elsewhere",
    "/doctor/seen/<key>",
    "/doctor/trickle",
    "/doctor/upgrade/<key>",
    "/api/openapi.json",
    "/api/asyncapi.json",
    # For whoever runs the server; the figures have a token of their own.
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/<path:filename>",
}


@dataclass(frozen=True)
class Route:
    """A route with the grant it needs."""

    method: str
    path: str
    # None where any token does.
    grant: str | None
    acts: bool = False
    in_room: bool = True
    query: str = ""
    json: Any = None
    form: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Event:
    """An event with the grant it needs; the message is made for a room and a peer."""

    name: str
    grant: str
    acts: bool = False
    in_room: bool = False
    message: Any = None

    def __str__(self) -> str:
        return self.name


_API = "/api/webrtc/rooms"
_ONE = f"{_API}/<room_name>"
_PEER = f"{_ONE}/peers/<peer_id>"
_WHO = "peer_id={peer_id}"

ROUTES = [
    Route("GET", _API, "list", in_room=False),
    Route("GET", _ONE, "list"),
    Route("GET", _PEER, "list"),
    Route("GET", f"{_ONE}/activity", "list"),
    Route("GET", "/fragments/rooms", "list", in_room=False),
    Route("GET", "/admin/live", "admin", in_room=False),
    Route("GET", "/rooms/<room_name>/live", "list"),
    Route(
        "POST", f"{_ONE}/join", "join", acts=True, json={"peer_id": "{peer_id}", "username": "x"}
    ),
    Route("POST", f"{_ONE}/leave", "join", acts=True, query=_WHO),
    Route(
        "GET",
        "/api/webrtc/ice-servers",
        "join",
        acts=True,
        query="room_name={room_name}&" + _WHO,
    ),
    Route("POST", f"{_ONE}/update-data", "update", acts=True, query=_WHO, json={"user_data": {}}),
    Route("GET", f"{_ONE}/data", "list"),
    Route("POST", f"{_ONE}/data", "room", acts=True, query=_WHO, json={"room_data": {}}),
    Route("DELETE", _PEER, "update", acts=True),
    Route("DELETE", "/doctor/rooms/<room_name>", "update"),
    Route(
        "POST",
        "/api/webrtc/upload",
        "upload",
        acts=True,
        form={"room_name": "{room_name}", "peer_id": "{peer_id}"},
    ),
    # Whose file it is stands in no address: see test_files, and tests/uploads/test_tus_access.
    Route("POST", "/api/webrtc/uploads", "upload", in_room=False),
    Route("GET", "/api/webrtc/uploads/<upload_id>", "upload", in_room=False),
    Route("PATCH", "/api/webrtc/uploads/<upload_id>", "upload", in_room=False),
    Route("DELETE", "/api/webrtc/uploads/<upload_id>", "upload", in_room=False),
    Route("POST", "/api/webrtc/uploads/<upload_id>", "upload", in_room=False),
    Route("DELETE", f"{_ONE}/files/<filename>", "upload"),
    Route("GET", "/uploads/<filename>", "list", in_room=False),
    Route("GET", "/uploads/<filename>/thumbnail", "list", in_room=False),
    Route("GET", "/uploads/<filename>/preview", "list", in_room=False),
    Route("GET", "/rooms/<room_name>/avatars/<peer_id>/<filename>", "list"),
    Route("POST", f"{_ONE}/broadcast", "publish", json={"event": "e", "data": 1}),
    Route("POST", f"{_PEER}/signal", "publish", json={"data": 1}),
    Route("POST", f"{_PEER}/kick", "admin"),
    Route("POST", f"{_PEER}/ban", "admin", json={"seconds": 0.001}),
    Route("POST", f"{_PEER}/unban", "admin"),
    Route("POST", f"{_PEER}/grants", "admin", json={"grants": None}),
    Route("GET", f"{_ONE}/knocking", "admit"),
    Route("POST", f"{_ONE}/knocking/<peer_id>/admit", "admit"),
    Route("POST", f"{_ONE}/knocking/<peer_id>/refuse", "admit", json={}),
    Route("GET", f"{_ONE}/bans", "admin"),
    Route("POST", f"{_ONE}/close", "admin", json={"seconds": 0.001}),
    Route("POST", f"{_ONE}/reopen", "admin"),
    Route("PUT", _ONE, "admin", json={}),
    Route("DELETE", _ONE, "admin"),
    Route(
        "POST",
        "/api/webrtc/batch",
        None,
        in_room=False,
        json={"requests": [{"path": f"{_API}/none/reopen"}]},
    ),
    Route("GET", "/api/webrtc/events", "events", in_room=False),
    Route(
        "POST",
        "/api/webrtc/tokens",
        "admin",
        json={"peer_id": "x", "room": "{room_name}", "grants": ["join"], "ttl": 1},
    ),
    Route(
        "POST",
        "/api/webrtc/tokens/revoke",
        "admin",
        json={"peer_id": "x", "room": "{room_name}", "seconds": 1},
    ),
]

_JOIN = {"room_name": "{room_name}", "peer_id": "{peer_id}", "username": "x"}
EVENTS = [
    Event("watch", "list"),
    Event("watch", "list", in_room=True, message={"room_name": "{room_name}"}),
    Event("sync", "join", message={"since": 0}),
    Event("update_user_data", "update", message={"user_data": {}}),
    Event("update_room_data", "room", message={"room_data": {}}),
    Event("state", "update", message={"state": {}}),
    Event("signal", "signal", message={"to": "{peer_id}", "data": 1}),
    Event("broadcast", "signal", message={"event": "e", "data": 1}),
    Event("join_room", "join", acts=True, in_room=True, message=_JOIN),
    Event("join", "join", acts=True, in_room=True, message=_JOIN),
    Event("leave_room", "join", message={}),
    Event("leave", "join", message={}),
]


@dataclass(frozen=True)
class Holder:
    """A token of the matrix: for `peer_id` in the rooms of a pattern."""

    grants: tuple[str, ...]
    peer_id: str = "ada"
    pattern: str = "team-*"

    def __str__(self) -> str:
        return f"{self.peer_id} in {self.pattern}: {'+'.join(self.grants)}"

    def may(self, rule: Route | Event, room_name: str, peer_id: str) -> bool:
        """Tell what the table says: whether this token allows a rule for a room and a peer."""
        is_admin = "admin" in self.grants
        # Who may listen may signal.
        has = rule.grant in (None, *self.grants) or (
            rule.grant == "signal" and "listen" in self.grants
        )
        if not has and not is_admin:
            return False
        # Every pattern here is a name, or a beginning and an asterisk.
        beginning = self.pattern.removesuffix("*")
        exact = beginning == self.pattern
        fits = room_name == beginning if exact else room_name.startswith(beginning)
        if rule.in_room and not fits:
            return False
        return not rule.acts or peer_id == self.peer_id or is_admin


SINGLE = (
    *("join", "update", "room", "upload", "signal", "listen", "list", "enter", "admit"),
    *("publish", "events", "admin"),
)
HOLDERS = [
    *(Holder((grant,)) for grant in SINGLE),
    # Everything but one: no grant comes with another.
    *(Holder(tuple(g for g in SINGLE[:-1] if g != left_out)) for left_out in SINGLE[:-1]),
    Holder(SINGLE[:-1], pattern=ROOM),
    Holder(SINGLE[:-1], pattern="team-"),
    Holder(SINGLE[:-1], pattern="other"),
    Holder(("admin",), pattern="other-*"),
]


def filled(value: Any, room_name: str, peer_id: str) -> Any:
    """Return a message of the table with the room and the peer put in."""
    if isinstance(value, dict):
        return {key: filled(item, room_name, peer_id) for key, item in value.items()}
    if isinstance(value, str):
        return value.replace("{room_name}", room_name).replace("{peer_id}", peer_id)
    return value
