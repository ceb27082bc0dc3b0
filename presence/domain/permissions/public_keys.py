"""Public keys that verify tokens: read from a JSON Web Key Set (RFC 7517) or from PEM (RFC 7468).

The algorithm is a property of the key here, never of a token: RSA verifies RS256, P-256 ES256 and
Ed25519 EdDSA (RFC 7518, RFC 8037). Keys of any other kind, above all shared secrets, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

RS256, ES256, EDDSA = "RS256", "ES256", "EdDSA"
ALGORITHMS = (RS256, ES256, EDDSA)
# What providers have is a few keys; each may be tried, and each is parsed.
MOST_KEYS = 100
MAX_KID_LENGTH = 512
# As many keys of one name are tried on a token.
_MOST_TRIED = 4
# Shorter ones can be broken, and longer ones take long.
_RSA_BITS = range(2048, 4097)
# The public members of each kind of key; what else there is (private parts, certificates and
# addresses of certificates) is not looked at.
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_ALGORITHM_OF = {"RSA": RS256, "EC": ES256, "OKP": EDDSA}
# In base64: 4,096 bits of a modulus, 32 of an exponent, 256 of a coordinate.
_MAX_LENGTHS = {"n": 690, "e": 6, "crv": 16, "x": 48, "y": 48}
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies tokens by one algorithm; ``kid`` is None where it has no name."""

    kid: str | None
    algorithm: str
    key: Any


def matching(keys: Iterable[PublicKey], kid: str | None, algorithm: str) -> Sequence[PublicKey]:
    """Return the keys that may have signed a token with this ``kid`` and ``alg`` in its header.

    A token without a name is of any key, and a key without a name signs by any.
    """
    found = [
        key
        for key in keys
        if key.algorithm == algorithm and (kid is None or key.kid is None or key.kid == kid)
    ]
    return found[:_MOST_TRIED]


def parse(data: bytes) -> list[PublicKey]:
    """Return the keys of a file: a key set, a single JSON Web Key, or PEM.

    Raises `ValueError` with the end of a sentence where there is no key that can be used.
    """
    keys = parse_key_set(data) if data.lstrip().startswith(b"{") else _parse_pem(data)
    if not keys:
        raise ValueError(f"has no key that can be used: {_USABLE}")
    return keys


def parse_key_set(data: bytes) -> list[PublicKey]:
    """Return the usable keys of a JSON Web Key Set; raises `ValueError` for what is none."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ValueError("is no JSON") from None
    if isinstance(found, dict) and "kty" in found:
        found = {"keys": [found]}
    members = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(members, list):
        raise ValueError("is no key set: it has no list “keys”")
    if len(members) > MOST_KEYS:
        raise ValueError(f"has more than {MOST_KEYS} keys")
    return [key for member in members if (key := _of_jwk(member)) is not None]


def _of_jwk(member: object) -> PublicKey | None:
    """Return a key of a set, or None for one that verifies no tokens here."""
    if not isinstance(member, dict) or not _is_for_signatures(member):
        return None
    kid, kind = member.get("kid"), member.get("kty")
    names = _MEMBERS.get(kind, ()) if isinstance(kind, str) else ()
    public = {name: member.get(name) for name in names}
    algorithm = _ALGORITHM_OF.get(str(kind), "")
    is_fit = (
        (kid is None or (isinstance(kid, str) and len(kid) <= MAX_KID_LENGTH))
        and member.get("alg") in (None, algorithm)
        and all(isinstance(public[name], str) for name in names)
        # Before a number is made of it.
        and all(len(str(public[name])) <= _MAX_LENGTHS[name] for name in names)
    )
    if not names or not is_fit:
        return None
    try:
        key = jwt.PyJWK({"kty": kind, **public}, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return _of_key(key, kid)


def _is_for_signatures(member: Mapping[str, Any]) -> bool:
    """Tell whether a key may verify signatures, by what it is said to be for (RFC 7517, 4.2-3)."""
    operations = member.get("key_ops")
    return member.get("use") in (None, "sig") and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _of_key(key: object, kid: str | None) -> PublicKey | None:
    """Return a key with its one algorithm, or None if it is of a kind that is not taken."""
    if isinstance(key, RSAPublicKey):
        return PublicKey(kid, RS256, key) if key.key_size in _RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return PublicKey(kid, ES256, key) if isinstance(key.curve, SECP256R1) else None
    return PublicKey(kid, EDDSA, key) if isinstance(key, Ed25519PublicKey) else None


def _parse_pem(data: bytes) -> list[PublicKey]:
    keys: list[PublicKey] = []
    for block in _PEM.finditer(data):
        if b"PRIVATE" in block[1]:
            raise ValueError(
                "has a private key, which is nobody's business here: put the public one there"
            )
        if len(keys) == MOST_KEYS:
            raise ValueError(f"has more than {MOST_KEYS} keys")
        try:
            if block[1] == b"CERTIFICATE":
                key: object = load_pem_x509_certificate(block[0]).public_key()
            else:
                key = load_pem_public_key(block[0])
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        usable = _of_key(key, None)
        if usable is not None:
            keys.append(usable)
    return keys


_USABLE = "RSA of 2048 to 4096 bits, P-256 or Ed25519, as PEM or as a JSON Web Key Set"
