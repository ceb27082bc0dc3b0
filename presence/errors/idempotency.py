"""Requests with a key that says they are the same one, sent again."""

from __future__ import annotations

import math

from presence.errors.base import PresenceError


class IdempotencyKeyReused(PresenceError):
    """The key of a request was sent before with another body."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key came with another body before. Send the same bytes again, or a "
            "new key for what is another request."
        )


class IdempotencyKeyInUse(PresenceError):
    """A request with the same key is still being done."""

    code = "idempotency_key_in_use"
    retry_after: int

    def __init__(self, seconds: float) -> None:
        wait = max(1, math.ceil(seconds))
        super().__init__(
            "The first request with this Idempotency-Key is still being done. Send it again after "
            f"{wait} s, and you get its answer.",
            retry_after=wait,
        )


class AnswerNotKept(PresenceError):
    """A request with this key was done, and its answer was too large to be kept."""

    code = "answer_not_kept"
    status: int

    def __init__(self, status: int) -> None:
        super().__init__(
            f"The first request with this Idempotency-Key was answered with {status}, too long to "
            "be kept. Nothing was done again: look at the room as it is.",
            status=status,
        )


class TooManyIdempotencyKeys(PresenceError):
    """A caller has sent as many keys within a day as are kept."""

    code = "too_many_idempotency_keys"
    limit: int
    retry_after: int

    def __init__(self, limit: int, seconds: float) -> None:
        wait = max(1, math.ceil(seconds))
        super().__init__(
            f"You sent {limit} keys within a day, and no more are kept. Send requests without "
            f"Idempotency-Key, several in one batch, or wait {wait} s.",
            limit=limit,
            retry_after=wait,
        )
