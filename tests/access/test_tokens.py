"""What is taken for a token, and what is not."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from presence.domain.permissions import room_patterns, tokens
from presence.domain.permissions.tokens import KeyRing
from presence.errors import (
    InvalidField,
    NotGranted,
    PresenceError,
    TokenExpired,
    TokenRefused,
    TokenRequired,
    WrongPeer,
)
from tests.support.keys import KEY, KEYS, NEWER, token


def signed(key: str = KEY, headers: Any = None, **claims: Any) -> str:
    usual = {"sub": "ada", "room": "studio", "grants": ["join"], "exp": int(time.time()) + 3600}
    merged = {name: value for name, value in (usual | claims).items() if value is not ...}
    return jwt.encode(merged, key, "HS256", headers=headers)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_says_who_where_what_and_until_when() -> None:
    made = token("ada", "team-*", ["join", "list"], ttl=600)
    grants = tokens.verify(KEYS, made)
    assert grants.peer_id == "ada"
    assert grants.room.text == "team-*"
    assert grants.allowed == {"join", "list"}
    assert 590 < grants.expires_at - time.time() <= 600


def test_admin_has_every_grant_and_acts_for_anybody() -> None:
    grants = tokens.verify(KEYS, token("root", "team-*", "admin"))
    for grant in tokens.GRANTS:
        grants.check(grant, "team-1", "somebody else")
    with pytest.raises(NotGranted):
        grants.check("join", "other", "root")


def test_a_token_allows_no_more_than_it_says() -> None:
    grants = tokens.verify(KEYS, token("ada", "studio", ["join"]))
    grants.check("join", "studio", "ada")
    with pytest.raises(NotGranted):
        grants.check("upload", "studio", "ada")
    with pytest.raises(NotGranted):
        grants.check("join", "studio2", "ada")
    with pytest.raises(WrongPeer):
        grants.check("join", "studio", "bob")


def unsigned() -> str:
    claims = {"sub": "ada", "room": "*", "grants": ["admin"], "exp": int(time.time()) + 3600}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def tampered() -> str:
    head, _claims, signature = signed().split(".")
    claims = {"sub": "ada", "room": "*", "grants": ["admin"], "exp": int(time.time()) + 3600}
    return f"{head}.{part(claims)}.{signature}"


def confused(algorithm: str) -> str:
    """A token that says it was signed in another way than it was: with our key, by HMAC."""
    head = part({"alg": algorithm, "typ": "JWT"})
    _head, claims, signature = signed().split(".")
    return f"{head}.{claims}.{signature}"


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (None, TokenRequired),
        ("", TokenRequired),
        (7, TokenRefused),
        ("nonsense", TokenRefused),
        ("a.b.c", TokenRefused),
        ("é" * 40, TokenRefused),
        ("." * 5000, TokenRefused),
        (part("[" * 3000) + ".e30.x", TokenRefused),
        (unsigned(), TokenRefused),
        (tampered(), TokenRefused),
        (confused("RS256"), TokenRefused),
        (confused("HS512"), TokenRefused),
        (jwt.encode({"sub": "ada", "exp": 2**31}, KEY * 2, "HS512"), TokenRefused),
        (signed(key="another key, which has more than 32 bytes"), TokenRefused),
        (signed(headers={"kid": "unknown"}), TokenRefused),
        (signed(headers={"kid": "b"}), TokenRefused),
        (signed(headers={"kid": "../../etc/passwd"}), TokenRefused),
        (signed(exp=int(time.time())), TokenExpired),
        (signed(exp=0), TokenExpired),
        (signed(exp=...), TokenRefused),
        (signed(exp="soon"), TokenRefused),
        (signed(exp=True), TokenExpired),
        (signed(nbf=int(time.time()) + 1800), TokenRefused),
        (signed(iat=int(time.time()) + 1800), TokenRefused),
        (signed(exp=(int(time.time()) + 3600) * 1000), TokenRefused),
        (signed(sub=...), TokenRefused),
        (signed(sub="../x"), TokenRefused),
        (signed(room=...), TokenRefused),
        (signed(room=["studio"]), TokenRefused),
        (signed(room=""), TokenRefused),
        (signed(grants=...), TokenRefused),
        (signed(grants="admin"), TokenRefused),
        (signed(grants={"admin": True}), TokenRefused),
        (signed(aud="somebody else"), TokenRefused),
    ],
)
def test_what_is_not_a_good_token_is_refused(made: Any, error: type[PresenceError]) -> None:
    with pytest.raises(error) as raised:
        tokens.verify(KEYS, made)
    assert raised.value.detail.endswith(".")


def test_a_token_without_end_ends_all_the_same() -> None:
    with pytest.raises(TokenRefused):
        tokens.verify(KEYS, signed(exp=float("inf")))
    with pytest.raises(TokenRefused, match="milliseconds"):
        tokens.verify(KEYS, signed(exp=1e30))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_a_clock_that_is_a_little_ahead_is_good(claim: str) -> None:
    ahead: Any = {claim: int(time.time()) + 8}
    assert tokens.verify(KEYS, signed(**ahead)).peer_id == "ada"


def test_a_clock_that_is_ahead_does_not_make_a_token_last_longer() -> None:
    with pytest.raises(TokenExpired):
        tokens.verify(KEYS, signed(exp=int(time.time()) - 1))


def test_a_refusal_says_what_is_wrong_with_a_token() -> None:
    for made, word in (
        (signed(exp=int(time.time() + 60) * 1000), "milliseconds"),
        (signed(aud="https://other.example"), "“aud”"),
        (signed(nbf=int(time.time()) + 60), "not valid yet"),
    ):
        with pytest.raises(TokenRefused, match=word):
            tokens.verify(KEYS, made)


def test_grants_that_the_server_does_not_know_allow_nothing() -> None:
    assert tokens.verify(KEYS, signed(grants=["join", "fly", "Admin"])).allowed == {"join"}
    assert tokens.verify(KEYS, signed(grants=[])).allowed == set()


def test_keys_are_rotated_by_their_id() -> None:
    old, new = "an old key of more than thirty-two bytes", NEWER
    before = KeyRing(KEY, {"a": old}, "a")
    both = KeyRing(KEY, {"b": new, "a": old}, "b")
    after = KeyRing(KEY, {"b": new}, "b")
    until = int(time.time()) + 60

    made = tokens.mint(before, "ada", "studio", ["join"], expires_at=until)
    assert tokens.verify(both, made).peer_id == "ada"
    with pytest.raises(TokenRefused):
        tokens.verify(after, made)
    newer = tokens.mint(both, "ada", "studio", ["join"], expires_at=until)
    assert jwt.get_unverified_header(newer)["kid"] == "b"
    assert tokens.verify(after, newer).peer_id == "ada"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"peer_id": "a/b"}, "peer_id"),
        ({"room": ""}, "room"),
        ({"room": "team/*"}, "room"),
        ({"room": "a\\b"}, "room"),
        ({"grants": []}, "grants"),
        ({"grants": ["fly"]}, "grants"),
        ({"kid": "unknown"}, "kid"),
    ],
)
def test_a_token_that_says_nothing_sensible_is_not_made(
    changes: dict[str, Any], field: str
) -> None:
    usual = {"peer_id": "ada", "room": "studio", "grants": ["join"], "kid": None}
    with pytest.raises(InvalidField) as raised:
        tokens.mint(KEYS, expires_at=int(time.time()) + 60, **(usual | changes))
    assert raised.value.extra["field"] == field


PATTERNS = [
    ("studio", ["studio"], ["Studio", "studio2", "my studio", "studi", ""]),
    ("team-*", ["team-1", "team-", "team-*", "team-a-b"], ["team", "Team-1", "my team-1", "team"]),
    ("*-team", ["a-team", "-team", "a-team-team"], ["team", "a-team-b"]),
    ("a*b*c", ["abc", "aXbYc", "abbcc", "acbc"], ["ac", "acb", "abcd", "bac"]),
    ("*", ["anything", "ä", "日本", "*"], []),
    ("**", ["anything", ""], []),
    ("a**b", ["ab", "axb"], ["a", "b"]),
    ("aba*aba", ["abaaba", "abaXaba"], ["aba", "ababa"]),
    (r"star\*", ["star*"], ["star", "star1", r"star\*"]),
    (r"\**", ["*", "*x"], ["x", ""]),
    ("what?", ["what?"], ["whats"]),
    ("[ab]*", ["[ab]", "[ab]c"], ["a", "b"]),
    ("100%*", ["100%", "100%x"], ["100x"]),
    ("e\u0301*", ["\u00e9t\u00e9"], ["e"]),
]


@pytest.mark.parametrize(("pattern", "fits", "does_not"), PATTERNS)
def test_a_pattern_means_these_rooms_and_no_others(
    pattern: str, fits: list[str], does_not: list[str]
) -> None:
    parsed = room_patterns.parse(pattern)
    assert [name for name in fits if not parsed.matches(name)] == []
    assert [name for name in does_not if parsed.matches(name)] == []


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("*", "team-*", True),
        ("team-*", "team-1", True),
        ("team-*", "team-a*b", True),
        ("team-*", "team-*", True),
        ("team-*", "*", False),
        ("team-*", "team*", False),
        ("team-1", "team-*", False),
        ("a*b*c", "ab*c", True),
        ("ab*c", "a*b*c", False),
        ("a*b", "a*", False),
        (r"a\*", "a*", False),
        ("a*", r"a\*", True),
    ],
)
def test_a_pattern_covers_no_more_than_it_matches(wide: str, narrow: str, covers: bool) -> None:
    assert room_patterns.parse(wide).covers(room_patterns.parse(narrow)) is covers


def test_no_pattern_takes_long() -> None:
    pattern = room_patterns.parse("*a" * 100 + "*b")
    began = time.perf_counter()
    assert not pattern.matches("a" * 128)
    assert time.perf_counter() - began < 0.1
