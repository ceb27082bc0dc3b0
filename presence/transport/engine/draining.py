"""Reading and throwing away what a client is still sending, when it has been refused already.

A client that is still sending when the connection closes sees a broken connection instead of the
answer.
"""

from __future__ import annotations

import time
from typing import Any

from presence.transport.engine.yielding import give_way

_BYTES = 256 * 1024 * 1024
_SECONDS = 20.0


def drain(stream: Any, length: int | None) -> None:
    """Read up to `length` bytes of a request's body (None: until it ends), within bounds."""
    left = _BYTES if length is None else min(length, _BYTES)
    until = time.monotonic() + _SECONDS
    while left > 0 and time.monotonic() < until:
        chunk = stream.read(min(left, 65_536))
        if not chunk:
            return
        left -= len(chunk)
        give_way()
