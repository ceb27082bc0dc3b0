"""What is taken for an identity provider's token, and what it allows here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from presence.domain.permissions import issuers, public_keys, tokens
from presence.domain.permissions.issuers import Issuer
from presence.domain.permissions.public_keys import PublicKey
from presence.domain.permissions.tokens import Grants
from presence.errors import NotGranted, PresenceError, TokenExpired, TokenRefused
from tests.access.providers import Keys
from tests.support.keys import KEY, KEYS, token

ISSUER = "https://id.example.org"
TABLE = {"issuer": ISSUER, "audience": "presence", "keys_file": "x", "rooms_claim": "rooms"}


class Known:
    """A provider whose keys are known."""

    def __init__(self, keys: Sequence[PublicKey], **table: Any) -> None:
        self.keys = keys
        merged = {name: value for name, value in (TABLE | table).items() if value is not None}
        self.rules: Issuer = issuers.parse({"main": merged})["main"]

    def matching(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        return public_keys.matching(self.keys, kid, algorithm)


@pytest.fixture(scope="module")
def keys() -> Keys:
    made = Keys()
    for kid, algorithm in (("r", "RS256"), ("e", "ES256"), ("d", "EdDSA"), ("foreign", "ES256")):
        made.add(kid, algorithm)
    return made


def key_set(*members: dict[str, Any]) -> list[PublicKey]:
    return public_keys.parse_key_set(json.dumps({"keys": members}).encode())


def known(keys: Keys, **table: Any) -> Known:
    return Known(key_set(*(keys.jwk(kid) for kid in "red")), **table)


def read(text: str, *providers: Known) -> Grants:
    def foreign(token: str, header: Any) -> Grants:
        return issuers.verify(providers, token, header)

    return tokens.verify(KEYS, text, foreign)


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_by_hand(header: Any, claims: Any, secret: bytes) -> str:
    """Return a token with an HMAC under any secret, which the library would not make."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("kid", ["r", "e", "d"])
def test_a_token_of_each_kind_of_key_is_good(keys: Keys, kid: str) -> None:
    grants = read(keys.sign(kid), known(keys))
    assert grants.peer_id == "ada"
    assert grants.allowed == set(tokens.USUAL_GRANTS)
    grants.check("join", "studio", "ada")
    grants.check("join", "team-7", "ada")
    with pytest.raises(NotGranted):
        grants.check("join", "office", "ada")


def test_the_servers_own_tokens_are_good_beside_them(keys: Keys) -> None:
    assert read(token("bob", "studio"), known(keys)).peer_id == "bob"


def test_a_public_key_is_no_secret(keys: Keys) -> None:
    """What everybody can read signs nothing, in whichever form it is taken for a secret."""
    claims = {**keys.claims(), "room": "*", "grants": ["admin"]}
    for kid in "red":
        public = keys.public(kid)
        for secret in (
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(keys.jwk(kid)).encode(),
        ):
            for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
                for header in ({"alg": algorithm, "kid": kid}, {"alg": algorithm}):
                    with pytest.raises(TokenRefused):
                        read(signed_by_hand(header, claims, secret), known(keys))


def bad_tokens(keys: Keys) -> dict[str, tuple[str, type[PresenceError]]]:
    now = int(time.time())
    good = keys.sign("e")
    head, claims, signature = good.split(".")
    own = {
        "jwk": keys.jwk("foreign"),
        "jku": "https://evil.example/k",
        "x5u": "https://evil.example",
    }
    forged = Keys()
    forged.add("e")

    def with_head(**header: Any) -> str:
        return f"{encoded({'alg': 'ES256', 'kid': 'e'} | header)}.{claims}.{signature}"

    return {
        "foreign key": (keys.sign("foreign"), TokenRefused),
        "foreign key of a known name": (forged.sign("e"), TokenRefused),
        "foreign key that it brings along": (forged.sign("e", own), TokenRefused),
        "no signature": (f"{head}.{claims}.", TokenRefused),
        "alg none": (f"{encoded({'alg': 'none'})}.{claims}.", TokenRefused),
        "alg None": (f"{encoded({'alg': 'None', 'kid': 'e'})}.{claims}.", TokenRefused),
        "alg of another key": (with_head(alg="RS256"), TokenRefused),
        "alg that is not taken": (with_head(alg="ES384"), TokenRefused),
        "algs": (with_head(alg=["ES256", "none"]), TokenRefused),
        "no alg": (with_head(alg=None), TokenRefused),
        "kid that is none": (with_head(kid={"e": 1}), TokenRefused),
        "kid without end": (with_head(kid="e" * 4000), TokenRefused),
        "crit": (keys.sign("e", {"crit": ["exp"]}), TokenRefused),
        "empty crit": (keys.sign("e", {"crit": []}), TokenRefused),
        "changed claims": (
            f"{head}.{encoded({**keys.claims(), 'sub': 'bob'})}.{signature}",
            TokenRefused,
        ),
        "expired": (keys.sign("e", exp=now - 1), TokenExpired),
        "no end": (keys.sign("e", exp=...), TokenRefused),
        "milliseconds": (keys.sign("e", exp=now * 1000), TokenRefused),
        "early": (keys.sign("e", nbf=now + 60), TokenRefused),
        "of the future": (keys.sign("e", iat=now + 60), TokenRefused),
        "wrong aud": (keys.sign("e", aud="other"), TokenRefused),
        "wrong auds": (keys.sign("e", aud=["other", "another"]), TokenRefused),
        "no aud": (keys.sign("e", aud=...), TokenRefused),
        "wrong iss": (keys.sign("e", iss="https://id.example.org.evil.example"), TokenRefused),
        "iss with a slash more": (keys.sign("e", iss=ISSUER + "/"), TokenRefused),
        "no iss": (keys.sign("e", iss=...), TokenRefused),
        "no sub": (keys.sign("e", sub=...), TokenRefused),
        "sub that is no name": (keys.sign("e", sub="a/b"), TokenRefused),
        "no object": (f"{head}.{encoded([1])}.{signature}", TokenRefused),
        "secret of ours, another algorithm": (
            jwt.encode({**keys.claims(), "room": "*"}, KEY * 2, "HS512"),
            TokenRefused,
        ),
    }


def refusal(keys: Keys, text: str) -> PresenceError | None:
    try:
        read(text, known(keys))
    except PresenceError as error:
        return error
    return None


def test_what_is_not_a_good_token_is_refused(keys: Keys) -> None:
    for what, (text, error) in bad_tokens(keys).items():
        refused = refusal(keys, text)
        assert type(refused) is error, what
        assert refused.detail.endswith("."), what


def test_audience_and_issuer_are_checked_only_where_they_are_set(keys: Keys) -> None:
    lax = known(keys, issuer=None, audience=None)
    assert read(keys.sign("e", iss=..., aud="any"), lax).peer_id == "ada"
    several = known(keys, audience=["other", "presence"])
    assert read(keys.sign("e", aud=["x", "presence"]), several).peer_id == "ada"


def test_of_several_issuers_each_signs_only_its_own_tokens(keys: Keys) -> None:
    others = Keys()
    others.add("e")
    other = Known(key_set(others.jwk("e")), issuer="https://other.example", peer_id_prefix="other:")
    both = (known(keys), other)
    assert read(keys.sign("e"), *both).peer_id == "ada"
    assert read(others.sign("e", iss="https://other.example"), *both).peer_id == "other:ada"
    for text in (others.sign("e"), keys.sign("e", iss="https://other.example")):
        with pytest.raises(TokenRefused):
            read(text, *both)


def test_two_keys_of_one_name_are_both_tried(keys: Keys) -> None:
    twin = Keys()
    twin.add("e")
    provider = Known(key_set(twin.jwk("e"), keys.jwk("e")))
    assert read(keys.sign("e"), provider).peer_id == "ada"
    assert read(twin.sign("e"), provider).peer_id == "ada"
    many = [{**keys.jwk("foreign"), "kid": "e"} for _ in range(50)]
    assert len(Known(key_set(*many)).matching("e", "ES256")) < 5


CLAIMS = {
    "sub": "f3a0",
    "preferred_username": "ada",
    "https://example.org/rooms": "studio",
    "realm_access": {"roles": ["moderator", "offline_access", "admin"]},
    "app_metadata": {"rooms": ["a", "b*", "c/d", 7, ""]},
    "scope": "openid join list",
}


@pytest.mark.parametrize(
    ("table", "peer_id", "rooms", "allowed"),
    [
        ({"rooms": "*", "rooms_claim": None}, "f3a0", "*", set(tokens.USUAL_GRANTS)),
        (
            {"peer_id_claim": "preferred_username", "rooms_claim": "https://example.org/rooms"},
            "ada",
            "studio",
            set(tokens.USUAL_GRANTS),
        ),
        (
            {"rooms_claim": ["app_metadata", "rooms"], "rooms_prefix": "t-", "grants": ["join"]},
            "f3a0",
            "t-a, t-b*, t-",
            {"join"},
        ),
        ({"grants_claim": "scope"}, "f3a0", "", {"join", "list"}),
        ({"grants_claim": "nothing", "grants": "list"}, "f3a0", "", {"list"}),
        (
            {
                "grants": ["join", "list"],
                "grants_claim": ["realm_access", "roles"],
                "grants_of": {"moderator": ["publish"]},
            },
            "f3a0",
            "",
            {"join", "list", "publish"},
        ),
        (
            {
                "grants_claim": ["realm_access", "roles"],
                "grants_of": {"moderator": ["admin"]},
            },
            "f3a0",
            "",
            set(tokens.GRANTS),
        ),
    ],
)
def test_the_table_says_which_claims_are_what(
    keys: Keys, table: dict[str, Any], peer_id: str, rooms: str, allowed: set[str]
) -> None:
    grants = read(keys.sign("e", rooms=..., **CLAIMS), known(keys, **table))
    assert (grants.peer_id, grants.room.text) == (peer_id, rooms)
    assert grants.allowed == allowed


def sized(bits: int) -> dict[str, Any]:
    public = rsa.generate_private_key(65537, bits).public_key()
    return {**json.loads(RSAAlgorithm.to_jwk(public)), "kid": "x", "key_ops": ["verify"]}


def test_keys_of_any_other_kind_are_left_out(keys: Keys) -> None:
    other_curve = json.loads(
        ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key())
    )
    rsa_jwk, good = keys.jwk("r"), keys.jwk("e")
    for what, member in {
        "a secret": {"kty": "oct", "k": encoded(KEY.encode()), "kid": "x", "alg": "HS256"},
        "a short RSA key": sized(1024),
        "a huge RSA key": {**rsa_jwk, "n": encoded(b"\xff" * 2048)},
        "a modulus without end": {**rsa_jwk, "n": "w" * 200_000},
        "an exponent without end": {**rsa_jwk, "e": "w" * 500},
        "another curve": {**other_curve, "kid": "x"},
        "no point of the curve": {**good, "x": good["y"]},
        "for encryption": {**good, "use": "enc"},
        "for signing": {**good, "key_ops": ["sign"]},
        "another algorithm": {**good, "alg": "ES384"},
        "a symmetric algorithm": {**rsa_jwk, "alg": "HS256"},
        "a number as a name": {**good, "kid": 7},
        "no kind": {"kid": "x"},
        "a list as a kind": {**good, "kty": ["EC"]},
        "nothing": None,
    }.items():
        assert key_set(member) == [], what  # type: ignore[arg-type]
        assert len(key_set(member, good)) == 1, what  # type: ignore[arg-type]


def test_of_a_private_key_only_the_public_part_is_taken(keys: Keys) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    member = {**json.loads(ECAlgorithm.to_jwk(private)), "kid": "x"}
    member.pop("key_ops", None)
    assert "d" in member
    (key,) = key_set(member)
    assert not hasattr(key.key, "private_bytes")


def test_what_is_no_key_set_is_refused() -> None:
    for data in (b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b"[" * 100_000, b"\xff\xfe"):
        with pytest.raises(ValueError, match=r"is no|has"):
            public_keys.parse_key_set(data)
    with pytest.raises(ValueError, match="more than 100"):
        public_keys.parse_key_set(json.dumps({"keys": [{}] * 101}).encode())


def test_a_file_has_keys_as_pem_or_as_json(keys: Keys) -> None:
    pem = [
        keys.public(kid).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for kid in "red"
    ]
    provider = Known(public_keys.parse(b"\n".join(pem)))
    for kid in "red":
        assert read(keys.sign(kid), provider).peer_id == "ada"
    assert len(public_keys.parse(json.dumps(keys.jwk("r")).encode())) == 1
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(ValueError, match="private"):
        public_keys.parse(private)
    for nothing in (b"", b"ssh-ed25519 AAAA", b"{}", json.dumps({"keys": []}).encode()):
        with pytest.raises(ValueError, match=r"has no|is no"):
            public_keys.parse(nothing)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keys_file": None}, "keys_url or keys_file"),
        ({"keys_url": "https://id.example.org/keys"}, "keys_url or keys_file"),
        ({"keys_file": None, "keys_url": "http://id.example.org/k"}, "keys_url: must begin with"),
        ({"keys_file": None, "keys_url": "https://u:p@id.example.org/"}, "keys_url: must begin"),
        ({"keys_file": None, "keys_url": "file:///etc/passwd"}, "keys_url: must begin with"),
        ({"keys_file": None, "keys_url": "https://x:port/"}, "keys_url: must begin with"),
        ({"rooms_claim": None}, "rooms or rooms_claim"),
        ({"rooms": "a/b"}, "rooms.0:"),
        ({"grants": ["fly"]}, "“fly” is no grant"),
        ({"grants": "admin"}, "everybody an admin"),
        ({"grants_of": {"a": ["join"]}}, "grants_claim"),
        ({"audiense": "x"}, "audiense:"),
        ({"audience": 7}, "audience:"),
        ({"retry_seconds": 0}, "retry_seconds:"),
        ({"peer_id_claim": []}, "peer_id_claim:"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_a_sentence(
    changes: dict[str, Any], says: str
) -> None:
    merged = {name: value for name, value in (TABLE | changes).items() if value is not None}
    with pytest.raises(ValueError, match=says) as raised:
        issuers.parse({"main": merged})
    assert str(raised.value).startswith("[main] ")
    assert str(raised.value).endswith(".")
