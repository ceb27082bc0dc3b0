"""Tokens that are taken back are good for nothing any more, on any worker, after any restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests
from sqlalchemy import select
from sqlalchemy.orm import Session

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.domain.permissions import revocations, room_patterns, tokens
from presence.domain.permissions.revocations import Revocations
from presence.domain.permissions.tokens import Grants
from presence.domain.values import clock
from presence.errors import TokenRevoked
from presence.storage.tables.revocations import Revocation
from tests.support import commands
from tests.support.callers import ask, join, refusal, upload
from tests.support.clients import PythonClient, hears
from tests.support.keys import KEYS, LOCKED, token

NewServer = Callable[..., LiveServer]
REVOKE = "/api/webrtc/tokens/revoke"


def grants(made: str) -> Grants:
    return tokens.verify(KEYS, made)


def jti_of(made: str) -> str:
    return str(jwt.decode(made, options={"verify_signature": False})["jti"])


def is_revoked(session: Session, made: Grants) -> bool:
    try:
        Revocations(revocations.read(session)).check(made)
    except TokenRevoked:
        return True
    return False


def revoke(server: LiveServer, by: str, **named: Any) -> requests.Response:
    return ask(server, "POST", REVOKE, by, json=named)


def aged(made: Grants, seconds: float) -> Grants:
    """Return what a token would allow that was made so many seconds earlier."""
    return Grants(
        made.peer_id, made.room, made.allowed, made.expires_at, made.jti, made.issued_at - seconds
    )


@pytest.mark.parametrize(
    ("named", "rooms", "concerns"),
    [
        ({"jti": "the one"}, "*", {"ada in team-1"}),
        ({"peer_id": "ada"}, "*", {"ada in team-1", "ada in *"}),
        ({"peer_id": "ada"}, "team-*", {"ada in team-1"}),
        ({}, "team-*", {"ada in team-1", "bob in team-*"}),
        ({}, "team-1", {"ada in team-1"}),
        ({"jti": "the one", "peer_id": "bob"}, "*", set()),
        ({"jti": "the one"}, "other-*", set()),
    ],
)
def test_a_revocation_is_about_the_tokens_that_have_all_it_names(
    session: Session, named: dict[str, str], rooms: str, concerns: set[str]
) -> None:
    made = {}
    for who, where, jti in (("ada", "team-1", "the one"), ("ada", "*", ""), ("bob", "team-*", "")):
        text = tokens.mint(
            KEYS, who, where, ["join"], expires_at=int(time.time()) + 60, jti=jti or None
        )
        made[f"{who} in {where}"] = grants(text)
    usual: dict[str, Any] = {"jti": None, "peer_id": None, "seconds": None, **named}
    revocations.revoke(session, room_patterns.parse(rooms), **usual)
    assert {name for name, one in made.items() if is_revoked(session, one)} == concerns


def test_what_is_given_after_a_revocation_is_good_and_what_does_not_say_is_not(
    session: Session,
) -> None:
    made = grants(token("ada", "studio"))
    everything = room_patterns.parse("*")
    revocations.revoke(session, everything, jti=None, peer_id="ada", seconds=None)
    assert is_revoked(session, made)
    assert not is_revoked(session, aged(made, -1))
    assert is_revoked(session, aged(made, made.issued_at)), "of no time that is known"
    assert not is_revoked(session, grants(token("bob", "studio")))


def test_the_same_is_kept_once_and_for_the_longest_time_and_is_forgotten_then(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = room_patterns.parse("*")
    for seconds in (60.0, 3600.0, 10.0):
        revocations.revoke(session, everything, jti="x", peer_id=None, seconds=seconds)
    (row,) = session.scalars(select(Revocation))
    assert row.until is not None
    assert (row.until - clock.now()).total_seconds() > 3500
    later = row.until
    monkeypatch.setattr(clock, "now", lambda: later)
    revocations.forget_expired(session)
    assert session.scalars(select(Revocation)).all() == []


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_who_has_a_revoked_token_is_put_out_and_does_not_come_back_any_way(
    new_server: NewServer, mode: str
) -> None:
    server = new_server(mode, **LOCKED, PRESENCE_STUN_URLS="stun:stun.example.org")
    made, admin = token("ada", "studio"), token("root", "*", "admin")
    client = PythonClient(server.url, ["websocket"], {"token": made})
    assert client.call("join_room", join("studio", "ada"))["ok"]
    other = PythonClient(server.url, ["websocket"], {"token": token("bob", "studio")})
    assert other.call("join_room", join("studio", "bob"))["ok"]
    kept = upload(server, made, "studio", "ada")
    ice = "/api/webrtc/ice-servers?room_name=studio&peer_id=ada"
    assert ask(server, "GET", ice, made).ok

    answer = revoke(server, admin, jti=jti_of(made), seconds=3600)
    assert answer.ok, answer.text
    assert answer.json()["jti"] == jti_of(made)
    assert hears(client, "token_revoked", seconds=3)["code"] == "token_revoked"
    eventually(lambda: not client.connected, "it is cut", 5)
    assert refusal(server, {"token": made})["code"] == "token_revoked"
    for method, path in (
        ("GET", "/api/webrtc/rooms/studio"),
        ("GET", ice),
        ("GET", f"/uploads/{kept['stored_name']}" if "stored_name" in kept else ice),
        ("POST", "/api/webrtc/rooms/studio/join"),
    ):
        refused = ask(server, method, path, made, json={"peer_id": "ada", "username": "x"})
        assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked"), path
    assert other.connected

    server.stop()
    server.start()
    assert refusal(server, {"token": made})["code"] == "token_revoked"
    assert ask(server, "GET", "/api/webrtc/rooms/studio", token("ada", "studio")).ok


def test_an_admin_takes_back_no_more_than_is_its_own(locked: LiveServer) -> None:
    narrow = token("root", "room-of-revoking-*", "admin")
    wide = token("rhea", "*")
    assert revoke(locked, narrow, peer_id="rhea").ok
    assert ask(locked, "GET", "/api/webrtc/rooms", wide).ok
    assert revoke(locked, narrow, room="*").json()["code"] == "not_granted"
    assert revoke(locked, narrow, peer_id="rhea", room="other").json()["code"] == "not_granted"
    assert revoke(locked, token("x", "*"), peer_id="rhea").json()["code"] == "not_granted"
    nothing = revoke(locked, narrow)
    assert (nothing.status_code, nothing.json()["field"]) == (422, "jti")
    for bad in ({"jti": 7}, {"jti": "\0"}, {"jti": "x" * 200}, {"room": "a/b"}, {"seconds": -1}):
        assert revoke(locked, narrow, **{"peer_id": "x", **bad}).status_code == 422, bad


def test_the_command_takes_tokens_back_and_a_running_server_heeds_it(
    new_server: NewServer,
) -> None:
    server = new_server(**LOCKED)
    made = token("ada", "studio")
    client = PythonClient(server.url, ["websocket"], {"token": made})
    assert client.call("join_room", join("studio", "ada"))["ok"]
    settings = server.settings
    done = commands.flask("token", "revoke", "--peer", "ada", "--for", "2h", **settings)
    assert done.returncode == 0, done.stderr
    assert hears(client, "token_revoked", seconds=3)
    unnamed = commands.flask("token", "revoke", **settings)
    assert (unnamed.returncode, "--jti, --peer or --room" in unnamed.stderr) == (2, True)
