"""What a route or an event needs of a token: declared in the line above its function.

One that declares nothing is refused on a locked server. An open server asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask

from presence.domain.permissions import tokens
from presence.errors import (
    Banned,
    IssuerUnavailable,
    LinkRefused,
    NoAdmins,
    NotAdmitted,
    NotGranted,
    PresenceError,
    TokenExpired,
    TokenRefused,
    TokenRequired,
    TokenRevoked,
    TooManyFailedTokens,
    WrongPeer,
)

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Need:
    """What a route or an event needs of a token.

    `grant` is None where it needs no token at all. With `acts` the peer that the call names is the
    one who acts, and must be the token's own. An event that names a room besides the one that the
    socket has joined says so with `names_room`. With `locked_only` a route does nothing in open
    mode; with `by_link` a signed address does instead of a token. With `any_token` there must be
    one, whatever it allows.
    """

    grant: str | None
    acts: bool = False
    names_room: bool = False
    locked_only: bool = False
    by_link: bool = False
    any_token: bool = False


PUBLIC = Need(None)


def needs(
    grant: str, *, acts: bool = False, locked_only: bool = False, by_link: bool = False
) -> Callable[[View], View]:
    """Declare what a route needs; the room and peer in its address are checked with it.

    A route that is told of them in another way calls `request_access.require` besides.
    """
    return _declare(Need(grant, acts, locked_only=locked_only, by_link=by_link))


def public(view: View) -> View:
    """Declare that a route may be called by anybody, because it tells and does nothing."""
    return _declare(PUBLIC)(view)


def needs_token(view: View) -> View:
    """Declare that a route needs a token, and asks itself what that allows."""
    return _declare(Need(None, any_token=True))(view)


def need_of(app: Flask, endpoint: str) -> Need | None:
    """Return what the route of an endpoint declared, or None if it forgot to."""
    if endpoint == "static":
        return PUBLIC
    need: Need | None = getattr(app.view_functions[endpoint], "presence_need", None)
    return need


def refusals(need: Need) -> set[type[PresenceError]]:
    """Return the conditions in which a caller does not get what needs this."""
    if need.grant is None and not need.any_token:
        return set()
    found: set[type[PresenceError]] = {
        TokenRequired,
        TokenRefused,
        TokenExpired,
        TokenRevoked,
        IssuerUnavailable,
        TooManyFailedTokens,
    }
    if need.grant is None:
        return found
    found.add(NotGranted)
    if need.acts:
        found.add(WrongPeer)
    if need.grant != tokens.ADMIN:
        found |= {Banned, NotAdmitted}
    if need.locked_only:
        found.add(NoAdmins)
    if need.by_link:
        found.add(LinkRefused)
    return found


def _declare(need: Need) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.presence_need = need  # type: ignore[attr-defined]
        return view

    return mark
