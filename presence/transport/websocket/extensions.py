"""Which of a client's offers to compress messages this server can grant (RFC 7692)."""

from __future__ import annotations

import re

_NAME = "permessage-deflate"
# One parameter of an offer: a name, and a value that may stand in quotes (RFC 6455, section 9.1).
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf"\s*({_WORD})\s*(?:=\s*(?:({_WORD})|\"({_WORD})\")\s*)?")
# Sizes of windows, as logarithms; without leading zeros.
_WINDOW_BITS = frozenset(map(str, range(8, 16)))
# Ours, in which messages are compressed once for everybody.
_SERVER_WINDOW = "server_max_window_bits"
_SERVER_BITS = "15"

# Nothing is remembered from one message to the next: it would cost hundreds of kilobytes per
# connection, and a broadcast would have to be compressed for each recipient.
_GRANTED = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"


def granted(header: str) -> str | None:
    """Return what is answered to the offers of ``Sec-WebSocket-Extensions``; None if none will do.

    One that is not written as it should be is declined, and so is one with a parameter that is
    unknown, comes twice or has a wrong value (section 7.1).
    """
    for offer in header.split(","):
        parameters = _parameters(offer)
        if parameters is not None and all(_is_granted(*item) for item in parameters.items()):
            # Who asks for a limit of the window has to be answered (section 7.1.2.1).
            limited = _SERVER_WINDOW in parameters
            return f"{_GRANTED}; {_SERVER_WINDOW}={_SERVER_BITS}" if limited else _GRANTED
    return None


def _parameters(offer: str) -> dict[str, str | None] | None:
    """Return the parameters of an offer to compress by name; None for what is none."""
    found = [_PARAMETER.fullmatch(part) for part in offer.split(";")]
    parts = [(part[1].lower(), part[2] or part[3]) for part in found if part is not None]
    if len(parts) < len(found) or parts[0] != (_NAME, None):
        return None
    parameters = dict(parts[1:])
    return parameters if len(parameters) == len(parts) - 1 else None


def _is_granted(name: str, value: str | None) -> bool:
    if name in ("server_no_context_takeover", "client_no_context_takeover"):
        return value is None
    if name == _SERVER_WINDOW:
        # A smaller one would have to be kept to.
        return value == _SERVER_BITS
    # It only permits to ask for a smaller window, which is not done.
    return name == "client_max_window_bits" and (value is None or value in _WINDOW_BITS)
