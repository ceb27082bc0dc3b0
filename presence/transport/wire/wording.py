"""Numbers with their nouns, for logs, commands and pages."""

from __future__ import annotations


def plural(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"
