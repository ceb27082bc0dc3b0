"""Rates that several processes count together, and what they do when Redis is gone."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest

from local_cluster.private_redis import PrivateRedis
from presence.config import Settings
from presence.errors import TooManyRequests
from presence.transport.admission import rates as rates_module
from presence.transport.admission.rates import Rates

LIMIT = 10


@pytest.fixture
def redis() -> Generator[PrivateRedis]:
    private = PrivateRedis().start()
    yield private
    private.close()


def allowed(rates: Rates, tries: int) -> int:
    """Return how many of so many tries are allowed."""
    count = 0
    for _ in range(tries):
        try:
            rates.count(TooManyRequests, "192.0.2.1")
        except TooManyRequests:
            continue
        count += 1
    return count


def test_processes_count_together_and_alone_while_redis_is_gone(
    redis: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    settings = Settings(redis_url=redis.url, requests_per_minute=LIMIT)
    one, other = (Rates(settings, clock=lambda: now[0]) for _ in range(2))
    assert allowed(one, 6) == 6
    # A minute of the clock may begin meanwhile, and lets one or two more pass.
    assert allowed(other, 10) <= LIMIT - 6 + 2
    redis.stop()
    with caplog.at_level(logging.WARNING):
        assert allowed(one, LIMIT) == LIMIT
        assert allowed(one, 10) <= 2
    assert caplog.text.count("counted in memory for now") == 1
    redis.start()
    now[0] += rates_module._REDIS_PAUSE + 1
    with caplog.at_level(logging.WARNING):
        allowed(one, 1)
    assert caplog.text.count("Redis is back") == 1
