"""Tokens for a locked server: asking for one that is good now, and what one says."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from presence_client.errors import token_failed

# A token, or a function that fetches a fresh one.
Token = str | Callable[[], str]
AsyncToken = Token | Callable[[], Awaitable[str]]


async def ask(token: AsyncToken | None, seconds: float) -> str | None:
    """Return the token to show now; asks the function that fetches one, if it is one.

    Raises `PresenceError` (``token_failed``) whose cause is what the function raised; an async one
    has so many seconds.
    """
    if token is None or isinstance(token, str):
        return token
    try:
        fetched = token()
        if inspect.isawaitable(fetched):
            async with asyncio.timeout(seconds):
                fetched = await fetched
    except TimeoutError as error:
        raise token_failed("the function did not return in time") from error
    except Exception as error:
        raise token_failed(str(error) or type(error).__name__) from error
    if not isinstance(fetched, str):
        raise token_failed(f"the function gave a {type(fetched).__name__} for one")
    return fetched


def claims(token: object) -> dict[str, Any]:
    """Return what a JSON Web Token (RFC 7519) says, unchecked; nothing where that is not one."""
    if not isinstance(token, str) or token.count(".") != 2:
        return {}
    payload = token.split(".")[1]
    try:
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def said(token: object, claim: str) -> str | None:
    """Return what a token says of its holder: ``sub``, the peer_id, or ``name``."""
    value = claims(token).get(claim)
    return value if isinstance(value, str) and value else None
