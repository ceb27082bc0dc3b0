"""What every condition has."""

from __future__ import annotations

from typing import Any


class PresenceError(Exception):
    """Base of every condition that is reported to a client.

    ``extra`` holds further keys of the answer, such as ``field`` or ``max_peers``; a condition
    declares those it may have, with their types, below its ``code``.
    """

    code = "error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        self.__dict__.update(extra)

    def body(self) -> dict[str, Any]:
        """Return the answer's body: ``code``, ``detail`` and the extra keys."""
        return {"code": self.code, "detail": self.detail, **self.extra}


class QuotaExceeded(PresenceError):
    """Base of the conditions in which more would be kept than a setting allows.

    ``sentence`` says what is wrong and what to do about it, with ``limit``, or ``size`` for bytes.
    """

    limit: int
    sentence = ""

    def __init__(self, limit: int) -> None:
        sentence = self.sentence.format(limit=limit, size=sized(limit))
        super().__init__(sentence, limit=limit)


def sized(size: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
