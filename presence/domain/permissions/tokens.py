"""Access tokens: what one says, how it is signed, and what it lets its holder do.

A token is a JWT (RFC 7519) signed with HMAC-SHA256 (``HS256``) and a secret of this server. One
that says it is signed in another way is an identity provider's (`issuers`), or none: a secret
verifies HS256 alone, and no other key does. ``sub`` is the peer it is for, ``room`` where it is
good (see `room_patterns`), ``grants`` what for, ``exp`` until when; ``nbf`` is heeded and ``kid``
chooses the key. Every claim is checked on reading, for a backend may sign tokens with a library of
its own.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import jwt

from presence.domain.permissions import room_patterns
from presence.domain.permissions.room_patterns import RoomPattern, RoomPatterns
from presence.domain.values import names
from presence.errors import (
    InvalidField,
    NotGranted,
    TokenExpired,
    TokenRefused,
    TokenRequired,
    WrongPeer,
)
from presence.storage.models import NAME_LENGTH

JOIN, UPDATE, UPLOAD, SIGNAL, LIST, ADMIN = "join", "update", "upload", "signal", "list", "admin"
# The same as to signal, for those who honestly send no sound and no pictures: the server relays
# what calls are made with, and sees nothing of what they carry.
LISTEN = "listen"
# To enter a room that has a lobby without waiting, and to let others in.
ENTER, ADMIT = "enter", "admit"
# For a backend, which is no peer: to say something in a room in the server's name, and to fetch
# what happens.
PUBLISH, EVENTS = "publish", "events"
# To change the data of a room, which is everybody's: a token's maker says so.
ROOM = "room"
GRANTS = (JOIN, UPDATE, ROOM, UPLOAD, SIGNAL, LISTEN, LIST, ENTER, ADMIT, PUBLISH, EVENTS, ADMIN)
# What a token allows whose maker does not say: everything that people do in a room.
USUAL_GRANTS = (JOIN, UPDATE, UPLOAD, SIGNAL, LIST)
# What a token says fits easily, a provider's with its many groups as well; whoever sends more wants
# to keep the server busy.
MAX_TOKEN_LENGTH = 8000
_ALGORITHM = "HS256"
# How far ahead of ours the clock may be of whoever signed a token, in seconds.
LEEWAY = 10
_NO_CLAIM = "its claim “{}” is missing or not of the right kind"


# Returns what a token allows by its text and its header, which nobody has verified yet.
Foreign = Callable[[str, Mapping[str, Any]], "Grants"]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The secrets that sign tokens: one without a name, and others by their key id (``kid``).

    New tokens are signed with the key named `signing`, or the nameless one if that is None.
    """

    default: str
    by_kid: Mapping[str, str]
    signing: str | None = None

    def key(self, kid: str | None) -> str | None:
        """Return the secret of this name, or None if there is none."""
        return self.default if kid is None else self.by_kid.get(kid)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token allows: to the peer `peer_id`, in some rooms, until the Unix time `expires_at`.

    ``allowed`` has every grant where the token has ``admin``, which acts for anybody. ``jti`` is
    its own name, if it has one; ``issued_at`` a Unix time too, 0 if it does not say.
    """

    peer_id: str
    room: RoomPattern | RoomPatterns
    allowed: frozenset[str]
    expires_at: float
    jti: str | None = None
    issued_at: float = 0.0

    @property
    def is_admin(self) -> bool:
        """Whether the token may act for anybody in its rooms."""
        return ADMIN in self.allowed

    def has(self, grant: str) -> bool:
        """Tell whether the token allows `grant`; who may listen may signal."""
        return grant in self.allowed or (grant == SIGNAL and LISTEN in self.allowed)

    @property
    def enters(self) -> bool:
        """Whether its holder waits in no lobby."""
        return bool(self.allowed & {ENTER, ADMIT})

    def within(self, given: frozenset[str] | None) -> Grants:
        """Return what it allows in a room where an admin lets its peer do what is `given`.

        None says that nobody has changed anything. An admin's own token stays as it is.
        """
        return self if given is None or self.is_admin else replace(self, allowed=given)

    def check(self, grant: str, room_name: str | None = None, peer_id: str | None = None) -> None:
        """Raise `NotGranted` or `WrongPeer` unless the token allows `grant`.

        In a room and as a peer where these are given, both in the form in which they are stored.
        """
        if not self.has(grant):
            raise NotGranted(grant, f"It has no “{grant}” among its grants.")
        if room_name is not None and not self.room.matches(room_name):
            raise NotGranted(grant, f"It is not for room “{room_name}”.")
        if peer_id not in (None, self.peer_id) and not self.is_admin:
            raise WrongPeer(self.peer_id, str(peer_id))

    def check_covers(self, room: RoomPattern) -> None:
        """Raise `NotGranted` unless the holder is an admin of all these rooms."""
        self.check(ADMIN)
        if not self.room.covers(room):
            raise NotGranted(ADMIN, f"It is for “{self.room.text}”, which is less than asked for.")

    def check_mint(self, room: RoomPattern, expires_at: float) -> None:
        """Raise `NotGranted` unless the holder may make a token for these rooms, for so long."""
        self.check_covers(room)
        if expires_at > self.expires_at:
            raise NotGranted(ADMIN, "It ends before the token that is asked for would.")


def mint(
    keys: KeyRing,
    peer_id: str,
    room: str,
    grants: Iterable[str],
    *,
    expires_at: int,
    kid: str | None = None,
    jti: str | None = None,
) -> str:
    """Return a signed token; `expires_at` is a Unix time in seconds, `kid` the key to use.

    `jti` is the name by which it can be taken back alone; it gets a random one.

    Raises `InvalidField` for what no token can say.
    """
    peer_id = names.normalise(peer_id, "peer_id", NAME_LENGTH)
    pattern = room_patterns.parse(room)
    given = set(grants)
    if not given or not given <= set(GRANTS):
        raise InvalidField("grants", f"must be one or more of {', '.join(GRANTS)}.")
    kid = kid or keys.signing
    key = keys.key(kid)
    if not key:
        raise InvalidField("kid", f"“{kid}” names no key of this server.")
    claims = {
        "sub": peer_id,
        "room": pattern.text,
        "grants": [grant for grant in GRANTS if grant in given],
        "exp": expires_at,
        "iat": int(time.time()),
        "jti": jti or secrets.token_urlsafe(12),
    }
    return jwt.encode(claims, key, _ALGORITHM, headers={"kid": kid} if kid else None)


def verify(keys: KeyRing, token: object, foreign: Foreign | None = None) -> Grants:
    """Return what a token allows now; `foreign` says so of those that no key of ours has signed.

    Raises `TokenRequired` if there is none, `TokenExpired` if it was good once, and `TokenRefused`
    for anything else that is not a good token of this server.
    """
    if token is None or token == "":
        raise TokenRequired
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise TokenRefused(f"it must be a string of at most {MAX_TOKEN_LENGTH} characters")
    try:
        header = jwt.get_unverified_header(token)
        if foreign is not None and header.get("alg") != _ALGORITHM:
            return foreign(token, header)
        key = keys.key(header.get("kid"))
        if not key:
            raise TokenRefused("no key of this server has its “kid”")
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            # The issuer's clock may be ahead of ours. When a token ends is ours to say.
            leeway=LEEWAY,
            options={"require": ["exp", "sub"], "verify_exp": False},
        )
    except jwt.ImmatureSignatureError:
        raise TokenRefused("it is not valid yet (“nbf”, “iat”)") from None
    except jwt.InvalidAudienceError:
        raise TokenRefused(
            "it has a claim “aud”, which says that it is for another server; leave it out"
        ) from None
    except jwt.InvalidSignatureError:
        raise TokenRefused("its signature is not of this server’s key") from None
    except jwt.InvalidAlgorithmError:
        raise TokenRefused("only the algorithm HS256 is taken") from None
    except jwt.MissingRequiredClaimError as error:
        raise TokenRefused(_NO_CLAIM.format(error.claim)) from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenRefused("it is no JWT that this server can read") from None
    return _grants(claims)


def _grants(claims: Mapping[str, Any]) -> Grants:
    """Return what the claims of a signed token allow; raises `TokenRefused`."""
    try:
        peer_id = names.normalise(claims["sub"], "sub", NAME_LENGTH)
        room = room_patterns.parse(claims.get("room"))
    except InvalidField as error:
        raise TokenRefused(_NO_CLAIM.format(error.extra["field"])) from None
    given = claims.get("grants")
    if not isinstance(given, list) or not all(isinstance(grant, str) for grant in given):
        raise TokenRefused(_NO_CLAIM.format("grants"))
    return grants_of(claims, peer_id, room, given)


def grants_of(
    claims: Mapping[str, Any],
    peer_id: str,
    room: RoomPattern | RoomPatterns,
    given: Iterable[str],
) -> Grants:
    """Return what a signed token allows that is for a peer, in some rooms, for what it is given.

    Raises `TokenRefused` or `TokenExpired` for its time.
    """
    expires_at = _end_of(claims)
    given = frozenset(given)
    # What this server does not know it cannot allow, and does not mind.
    allowed = frozenset(GRANTS) if ADMIN in given else given & frozenset(GRANTS)
    jti, issued_at = claims.get("jti"), claims.get("iat")
    return Grants(
        peer_id,
        room,
        allowed,
        min(expires_at, _END_OF_TIME),
        jti if isinstance(jti, str) else None,
        float(issued_at) if isinstance(issued_at, (int, float)) else 0.0,
    )


def _end_of(claims: Mapping[str, Any]) -> float:
    """Return the Unix time at which a token ends; raises `TokenRefused` or `TokenExpired`."""
    ends = claims["exp"]
    if not isinstance(ends, (int, float)):
        raise TokenRefused(_NO_CLAIM.format("exp"))
    if ends >= _MILLISECONDS:
        raise TokenRefused(
            "its “exp” is so far away that it can only be in milliseconds; it counts seconds since "
            "1970"
        )
    if not ends > time.time():
        raise TokenExpired
    return float(ends)


# The same number would be a time in 1973 as milliseconds, and one after the year 5100 as seconds.
_MILLISECONDS = 10**11
# A time that every part of the server can still write down as a date.
_END_OF_TIME = math.floor(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
