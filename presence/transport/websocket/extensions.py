"""Which of a client's offers to compress messages this server can grant (RFC 7692)."""

from __future__ import annotations

import re

_NAME = "permessage-deflate"
# One parameter of an offer: a name, and a value that may stand in quotes (RFC 6455, section 9.1).
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf"\s*({_WORD})\s*(?:=\s*(?:({_WORD})|\"({_WORD})\")\s*)?")
# Sizes of windows, as logarithms; without leading zeros.
_WINDOW_BITS = frozenset(map(str, range(8, 16)))


def can_compress(header: str) -> bool:
    """Tell whether the offers of ``Sec-WebSocket-Extensions`` hold one that can be granted.

    One that is not written as it should be is declined, and so is one with a parameter that is
    unknown, comes twice or has a wrong value (section 7.1).
    """
    return any(_can_grant(offer) for offer in header.split(","))


def _can_grant(offer: str) -> bool:
    found = [_PARAMETER.fullmatch(part) for part in offer.split(";")]
    parts = [(part[1].lower(), part[2] or part[3]) for part in found if part is not None]
    if len(parts) < len(found) or parts[0] != (_NAME, None):
        return False
    parameters = parts[1:]
    return len(dict(parameters)) == len(parameters) and all(
        _is_granted(name, value) for name, value in parameters
    )


def _is_granted(name: str, value: str | None) -> bool:
    if name in ("server_no_context_takeover", "client_no_context_takeover"):
        return value is None
    # It only permits to ask for a smaller window, which is not done. A smaller one of the server's
    # would have to be kept to, and a message to many is compressed once.
    return name == "client_max_window_bits" and (value is None or value in _WINDOW_BITS)
