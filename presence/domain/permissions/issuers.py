"""Tokens of identity providers: which are taken, and what they allow here.

An issuer is described by a table of the file that PRESENCE_TOKEN_ISSUERS names. Its tokens are
signed with keys of its own (`public_keys`), and say who somebody is; which of their claims is the
peer_id, which the rooms and which the grants, the table says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

import jwt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from presence.domain.permissions import public_keys, room_patterns, tokens
from presence.domain.permissions.public_keys import PublicKey
from presence.domain.permissions.room_patterns import RoomPatterns
from presence.domain.permissions.tokens import Grants
from presence.domain.values import names
from presence.errors import InvalidField, IssuerUnavailable, TokenRefused
from presence.storage.models import NAME_LENGTH

# As many rooms, roles or groups of one token are looked at.
_MOST_VALUES = 200
# A container's name in a network of its own, where nobody needs TLS.
_LOCAL = re.compile(r"localhost|127(\.\d{1,3}){3}|::1|[^.:]+")


def _path(value: object) -> object:
    """Return a claim's name, or the names that lead to it from the outside in, as a list."""
    return [value] if isinstance(value, str) else value


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _pattern(value: str) -> str:
    try:
        return room_patterns.parse(value).text
    except InvalidField as error:
        raise ValueError(error.detail) from None


def _grant(value: str) -> str:
    if value not in tokens.GRANTS:
        raise ValueError(f"“{value}” is no grant; there are {', '.join(tokens.GRANTS)}")
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    try:
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and _LOCAL.fullmatch(parts.hostname or "")
    )
    if not is_safe or not parts.hostname or "@" in parts.netloc or re.search(r"[^!-~]", value):
        raise ValueError(
            "must begin with https:// and have a host (http:// is for this machine and names "
            "without a dot)"
        )
    return value


Text = Annotated[str, Field(min_length=1, max_length=2048)]
Claim = Annotated[list[Text], BeforeValidator(_path), Field(min_length=1, max_length=8)]
Patterns = Annotated[list[Annotated[Text, AfterValidator(_pattern)]], BeforeValidator(_several)]
GrantNames = Annotated[list[Annotated[Text, AfterValidator(_grant)]], BeforeValidator(_several)]


class Issuer(BaseModel):
    """What the tokens of one identity provider have to be, and what they allow. See docs/access.md.

    A claim is its name, or a list of names that lead to it. Durations are in seconds.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    issuer: Text | None = None
    audience: Annotated[list[Text], BeforeValidator(_several)] = []
    keys_url: Annotated[Text, AfterValidator(_address)] | None = None
    keys_file: Text | None = None
    peer_id_claim: Claim = ["sub"]
    peer_id_prefix: Annotated[str, Field(max_length=64)] = ""
    rooms: Patterns = []
    rooms_claim: Claim | None = None
    rooms_prefix: Annotated[str, Field(max_length=64)] = ""
    grants: GrantNames | None = None
    grants_claim: Claim | None = None
    grants_of: dict[str, GrantNames] | None = None
    refresh_seconds: Annotated[float, Field(ge=1, le=86_400, strict=False)] = 600
    retry_seconds: Annotated[float, Field(ge=1, le=3600, strict=False)] = 30

    @model_validator(mode="after")
    def _check_together(self) -> Issuer:
        if (self.keys_url is None) == (self.keys_file is None):
            raise ValueError("must have keys_url or keys_file, and not both")
        if not self.rooms and self.rooms_claim is None:
            raise ValueError('must have rooms or rooms_claim; rooms = "*" is for all of them')
        if self.grants and tokens.ADMIN in self.grants:
            raise ValueError("may not make everybody an admin: take grants_claim and grants_of")
        if self.grants_of is not None and self.grants_claim is None:
            raise ValueError("must have grants_claim, whose values grants_of is about")
        return self


class Provider(Protocol):
    """An issuer and its keys, wherever they come from."""

    @property
    def rules(self) -> Issuer:
        """What its tokens have to be."""

    def matching(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """Return the keys that may have signed a token; raises `IssuerUnavailable`."""


def parse(tables: Mapping[str, Any]) -> dict[str, Issuer]:
    """Return the issuers that a file describes, by their names.

    Raises `ValueError` with a sentence that names the table and the key.
    """
    found = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"has “{name}” outside of a table: begin with a line such as [main].")
        try:
            found[name] = Issuer.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}." for part in first["loc"]).rstrip(".")
            reason = first["msg"].removeprefix("Value error, ").rstrip(".")
            place = f"[{name}] {where}:" if where else f"[{name}]"
            raise ValueError(f"{place} {reason}.") from None
    if not found:
        raise ValueError("describes no issuer: begin with a line such as [main].")
    return found


def verify(providers: Sequence[Provider], token: str, header: Mapping[str, Any]) -> Grants:
    """Return what a token of an identity provider allows; `header` is its own, not yet verified.

    Raises `TokenRefused`, `TokenExpired` or `IssuerUnavailable`. What the header says besides its
    ``kid`` and ``alg`` (keys, and addresses of keys) is not looked at.
    """
    kid, algorithm = header.get("kid"), header.get("alg")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= public_keys.MAX_KID_LENGTH):
        raise TokenRefused("its “kid” is none that a key could have")
    if algorithm not in public_keys.ALGORITHMS:
        raise TokenRefused(
            f"only the algorithms HS256, {', '.join(public_keys.ALGORITHMS)} are taken"
        )
    if "crit" in header:
        raise TokenRefused("its header “crit” asks for what this server does not know")
    said = jwt.decode(token, options={"verify_signature": False}).get("iss")
    of_it = [provider for provider in providers if provider.rules.issuer in (None, said)]
    if not of_it:
        raise TokenRefused("its “iss” is none of this server’s issuers")
    away: IssuerUnavailable | None = None
    for provider in of_it:
        try:
            keys = provider.matching(kid, algorithm)
        except IssuerUnavailable as error:
            away = away or error
            continue
        for key in keys:
            try:
                claims = _verified(provider.rules, token, key)
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidAudienceError:
                raise TokenRefused("its “aud” says that it is for somebody else") from None
            return _grants(provider.rules, claims)
    if away is not None:
        raise away
    raise TokenRefused("none of the keys of its issuer has signed it")


def _verified(rules: Issuer, token: str, key: PublicKey) -> dict[str, Any]:
    """Return the claims of a token, if this key signed it and they are for this server."""
    return jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm],
        issuer=rules.issuer,
        audience=rules.audience or None,
        leeway=tokens.LEEWAY,
        options={
            "require": ["exp"],
            "verify_exp": False,
            "verify_sub": False,
            "verify_jti": False,
            "verify_aud": bool(rules.audience),
            "verify_iss": rules.issuer is not None,
        },
    )


def _grants(rules: Issuer, claims: Mapping[str, Any]) -> Grants:
    """Return what the claims of a verified token allow; raises `TokenRefused`."""
    try:
        who = _at(claims, rules.peer_id_claim)
        if not isinstance(who, str):
            raise InvalidField("peer_id", "must be a string.")
        peer_id = names.normalise(rules.peer_id_prefix + who, "peer_id", NAME_LENGTH)
    except InvalidField as error:
        name = ".".join(rules.peer_id_claim)
        raise TokenRefused(
            f"its claim “{name}” can be no peer_id, which {error.reason.rstrip('.')}"
        ) from None
    rooms = list(rules.rooms)
    if rules.rooms_claim is not None:
        rooms += [rules.rooms_prefix + value for value in _values(claims, rules.rooms_claim)]
    return tokens.grants_of(claims, peer_id, _patterns(rooms), _allowed(rules, claims))


def _allowed(rules: Issuer, claims: Mapping[str, Any]) -> set[str]:
    """Return the grants of a token: those of everybody, and those of its own claim."""
    if rules.grants_claim is None:
        return set(tokens.USUAL_GRANTS if rules.grants is None else rules.grants)
    allowed = set(rules.grants or ())
    for value in _values(claims, rules.grants_claim, are_words=True):
        allowed |= {value} if rules.grants_of is None else set(rules.grants_of.get(value, ()))
    return allowed


def _patterns(rooms: Sequence[str]) -> RoomPatterns:
    """Return the rooms of a token; what can be no room's name is for none."""
    found = []
    for text in rooms:
        try:
            found.append(room_patterns.parse(text))
        except InvalidField:
            continue
    return RoomPatterns(tuple(found))


def _at(claims: Any, path: Sequence[str]) -> Any:
    for name in path:
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims


def _values(
    claims: Mapping[str, Any], path: Sequence[str], *, are_words: bool = False
) -> list[str]:
    """Return the texts of a claim: of a list, or of one text.

    That may be words with spaces between, as in a claim “scope” (RFC 8693, section 4.2).
    """
    found = _at(claims, path)
    if isinstance(found, str):
        found = found.split() if are_words else [found]
    if not isinstance(found, list):
        return []
    return [value for value in found[:_MOST_VALUES] if isinstance(value, str)]
