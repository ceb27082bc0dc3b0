"""What a look at an installation finds: one thing, and whether it is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

WELL: Literal["well"] = "well"
WARNING: Literal["warning"] = "warning"
FAULT: Literal["fault"] = "fault"


class Finding(NamedTuple):
    """What was found of one thing; `detail` is a sentence, with what to do where it is not well.

    With a fault the server cannot serve, or not do what its settings promise.
    """

    name: str
    state: Literal["well", "warning", "fault"]
    detail: str


def well(name: str, detail: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(name, WELL, detail)


def warning(name: str, detail: str) -> Finding:
    """Return that something works but should be looked at."""
    return Finding(name, WARNING, detail)


def fault(name: str, detail: str) -> Finding:
    """Return that something does not work."""
    return Finding(name, FAULT, detail)


def looked(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what a look finds; where the system does not allow it, that is a fault."""
    try:
        yield from findings
    except OSError as error:
        yield fault(name, f"cannot be looked at: {error}")
