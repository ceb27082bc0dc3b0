"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(
    condition: Callable[[], Value], what: str, seconds: float = 10.0, interval: float = 0.01
) -> Value:
    """Return the condition's value as soon as it is true; fail with `what` after the deadline."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what} (last seen: {value!r})")
        time.sleep(interval)
