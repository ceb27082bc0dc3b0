"""Making tokens over REST and on the command line: never more than the maker holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from local_cluster.live_server import LiveServer
from presence.domain.permissions import tokens
from tests.support.callers import ROOMS, ask, join
from tests.support.commands import flask
from tests.support.keys import KEYS, LOCKED, token

TOKENS = "/api/webrtc/tokens"


def wish(**changes: Any) -> dict[str, Any]:
    return {"peer_id": "ada", "room": "team-1", "grants": ["join", "list"], "ttl": 60} | changes


def test_a_backend_makes_a_token_that_works(locked: LiveServer) -> None:
    answer = ask(locked, "POST", TOKENS, token("backend", "team-*", "admin"), json=wish())
    body = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    grants = tokens.verify(KEYS, body["token"])
    assert (grants.peer_id, grants.room.text) == ("ada", "team-1")
    assert grants.allowed == {"join", "list"}
    # The first of the named keys signs.
    assert jwt.get_unverified_header(body["token"])["kid"] == "b"
    made = ask(locked, "POST", f"{ROOMS}/team-1/join", body["token"], json=join("team-1", "ada"))
    assert made.ok
    pattern = ask(
        locked, "POST", TOKENS, token("backend", "*", "admin"), json=wish(room="team-*")
    ).json()
    assert tokens.verify(KEYS, pattern["token"]).room.text == "team-*"


def test_what_is_left_out_is_the_same_over_rest_and_on_the_command_line(
    locked: LiveServer, tmp_path: Path
) -> None:
    asked = {"peer_id": "ada", "room": "team-1"}
    backend = token("backend", "*", "admin", ttl=9000)
    body = ask(locked, "POST", TOKENS, backend, json=asked).json()
    command = flask(
        "token", "ada", "team-1", **{**LOCKED, "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    )
    made = [tokens.verify(KEYS, text) for text in (body["token"], command.stdout.strip())]
    assert made[0].allowed == made[1].allowed == {"join", "update", "upload", "signal", "list"}
    assert set(body["grants"]) == made[0].allowed
    assert abs(made[0].expires_at - made[1].expires_at) < 60


@pytest.mark.parametrize(
    ("holder", "changes", "code"),
    [
        (partial(token, "b", "team-*", "admin"), {"room": "other"}, "not_granted"),
        (partial(token, "b", "team-*", "admin"), {"room": "*"}, "not_granted"),
        (partial(token, "b", "team-*", "admin"), {"room": "team*"}, "not_granted"),
        (partial(token, "b", "team-*", "admin", ttl=3000), {"ttl": 4000}, "not_granted"),
        (partial(token, "b", "team-*"), {}, "not_granted"),
        (partial(token, "b", "team-*", "admin"), {"grants": ["fly"]}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"grants": []}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"ttl": 0}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"ttl": 10**12}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"peer_id": "a/b"}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"room": 7}, "invalid_field"),
        (partial(token, "b", "team-*", "admin"), {"room": ""}, "invalid_field"),
    ],
)
def test_nobody_makes_a_token_for_more_than_they_hold(
    locked: LiveServer, holder: Callable[[], str], changes: dict[str, Any], code: str
) -> None:
    assert ask(locked, "POST", TOKENS, holder(), json=wish(**changes)).json()["code"] == code


def test_the_command_line_makes_a_token(tmp_path: Path) -> None:
    settings = {**LOCKED, "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    made = flask("token", "ada", "team-*", "--grants", "join, list", "--ttl", "12h", **settings)
    grants = tokens.verify(KEYS, made.stdout.strip())
    assert (grants.peer_id, grants.room.text) == ("ada", "team-*")
    assert grants.allowed == {"join", "list"}
    assert 43_000 < grants.expires_at - time.time() <= 43_200
    for_two_weeks = flask("token", "ada", "team-1", "--ttl", "2w", **settings).stdout.strip()
    left = tokens.verify(KEYS, for_two_weeks).expires_at - time.time()
    assert 1_209_500 < left <= 1_209_600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a/b", "studio"], "peer_id must not contain"),
        (["ada", "studio", "--grants", "fly"], "grants must be one or more of"),
        (["ada", "studio", "--ttl", "soon"], "must be a number with s, m, h, d or w"),
        (["ada", "studio", "--kid", "z"], "names no key"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    made = flask("token", *arguments, **{**LOCKED, "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    assert made.returncode != 0
    assert says in made.stderr


def test_an_open_server_makes_no_tokens(tmp_path: Path) -> None:
    made = flask("token", "ada", "studio", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert made.returncode != 0
    assert "PRESENCE_MODE=locked" in made.stderr
