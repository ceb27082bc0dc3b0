"""Requests with a key, by which one is done once however often it comes."""

from __future__ import annotations

import requests

HEADER = "Idempotency-Key"


def check_one_was_done(answers: list[requests.Response]) -> None:
    """All are the answer of the one that was done, or say that it is being done."""
    done = [one for one in answers if one.status_code == 201]
    assert done
    assert len({one.content for one in done}) == 1
    for one in answers:
        if one.status_code != 201:
            assert (one.status_code, one.json()["code"]) == (409, "idempotency_key_in_use")
            assert int(one.headers["Retry-After"]) >= 1
    assert sum("Idempotent-Replayed" not in one.headers for one in done) == 1
