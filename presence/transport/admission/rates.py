"""How often an address or a peer did something within the last minute, and whether it may again.

Counted in Redis where there is one, so that all workers count together, else in memory. Events of
a socket are not counted here but by `presence.transport.engine.throttle`, which asks nobody.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, SlidingWindowCounterSupport, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from presence.config import Settings
from presence.errors import (
    RateExceeded,
    TooManyConnects,
    TooManyFailedTokens,
    TooManyGuesses,
    TooManyRequests,
    TooManyUploads,
    TooManyWrongPasswords,
)

log = logging.getLogger(__name__)

_NAMESPACE = "presence"
# From how many addresses at once a room's password may be guessed as fast as one may.
_PLACES = 10
# How many counts are looked at with each that is added: one may be over, so there are ever fewer.
_LOOKS = 4
# A Redis that does not answer within this time holds up everybody who is counted.
_REDIS_TIMEOUT = 0.5
# How long a Redis that failed is left alone.
_REDIS_PAUSE = 5.0


# Returns None if one more is allowed, else in how many seconds it will be.
_Question = Callable[
    [SlidingWindowCounterRateLimiter, RateLimitItem, tuple[str, ...]], float | None
]


class Rates:
    """The counts that this process keeps, or shares with others."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute: dict[type[RateExceeded], RateLimitItem] = {
            condition: RateLimitItemPerMinute(amount, namespace=_NAMESPACE)
            for condition, amount in (
                (TooManyRequests, settings.requests_per_minute),
                (TooManyConnects, settings.connects_per_minute),
                (TooManyFailedTokens, settings.failed_tokens_per_minute),
                (TooManyUploads, settings.uploads_per_minute),
                (TooManyWrongPasswords, settings.wrong_passwords_per_minute),
                (TooManyGuesses, settings.wrong_passwords_per_minute * _PLACES),
            )
            if amount > 0
        }
        self._redis_url = settings.redis_url
        self._clock = clock
        self._making = threading.Lock()
        self._memory: SlidingWindowCounterRateLimiter | None = None
        self._counts: _Counts
        self._redis: SlidingWindowCounterRateLimiter | None = None
        self._redis_failed: float | None = None

    def count(self, condition: type[RateExceeded], *who: str) -> None:
        """Count one more of what `condition` limits; raises it if that is one too many.

        `who` is an address, or a room's name and a peer_id.
        """
        self._ask(_take, condition, who)

    def check(self, condition: type[RateExceeded], *who: str) -> None:
        """Raise what `count` would raise, without counting one more."""
        self._ask(_look, condition, who)

    def _ask(self, ask: _Question, condition: type[RateExceeded], who: tuple[str, ...]) -> None:
        item = self._per_minute.get(condition)
        if item is None:
            return
        retry_after = self._waiting(ask, item, (condition.code, *who))
        if retry_after is not None:
            raise condition(item.amount, retry_after)

    def _waiting(self, ask: _Question, item: RateLimitItem, keys: tuple[str, ...]) -> float | None:
        """Return None if one more was allowed, else in how many seconds it will be."""
        if self._may_ask_redis():
            try:
                if self._redis is None:
                    self._redis = _limiter_in_redis(self._redis_url)
                waiting = ask(self._redis, item, keys)
            except Exception as error:  # whatever its driver raises
                if self._redis_failed is None:
                    log.warning("Redis fails, so rates are counted in memory for now: %s", error)
                self._redis_failed = self._clock()
            else:
                if self._redis_failed is not None:
                    log.warning("Redis is back, and rates are counted there again")
                    self._redis_failed = None
                return waiting
        return ask(self._in_memory(), item, keys)

    def _may_ask_redis(self) -> bool:
        if not self._redis_url:
            return False
        return self._redis_failed is None or self._clock() - self._redis_failed > _REDIS_PAUSE

    def _in_memory(self) -> SlidingWindowCounterRateLimiter:
        with self._making:
            if self._memory is None:
                # Not before it is needed: the library starts a thread.
                self._counts = _Counts()
                self._memory = SlidingWindowCounterRateLimiter(self._counts)
            self._counts.tidy()
            return self._memory


class _Counts(MemoryStorage):
    """Counts in memory, of which those that are over are forgotten bit by bit.

    Left to itself the library looks through all of them a hundred times a second, each time in a
    thread that it starts: the more addresses there are, the more each of them costs everybody.
    """

    def __init__(self) -> None:
        super().__init__()
        self.timer.cancel()
        self.timer = _AlwaysRunning(0, self.tidy)
        self._unseen: list[str] = []

    def tidy(self) -> None:
        """Look at some of the counts, and forget those whose time is over."""
        if not self._unseen:
            self._unseen = list(self.expirations)
        for _ in range(min(_LOOKS, len(self._unseen))):
            key = self._unseen.pop()
            if self.expirations.get(key, math.inf) <= time.time():
                self.clear(key)


class _AlwaysRunning(threading.Timer):
    """Stands where the library would start a timer unless one runs."""

    def is_alive(self) -> bool:
        """Tell it that one does."""
        return True


def _limiter_in_redis(url: str) -> SlidingWindowCounterRateLimiter:
    storage = storage_from_string(
        url, socket_timeout=_REDIS_TIMEOUT, socket_connect_timeout=_REDIS_TIMEOUT
    )
    return SlidingWindowCounterRateLimiter(storage)


def _take(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, keys: tuple[str, ...]
) -> float | None:
    if limiter.hit(item, *keys):
        return None
    return _seconds_until_free(limiter, item, keys)


def _look(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, keys: tuple[str, ...]
) -> float | None:
    if limiter.test(item, *keys):
        return None
    return _seconds_until_free(limiter, item, keys)


def _seconds_until_free(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, keys: tuple[str, ...]
) -> float:
    """Return in how many seconds one more would be allowed.

    What counts is the number in this minute and, of that in the last one, the share that is less
    than a minute ago. The library's own figure is up to a second short, and would have a client
    come back too early.
    """
    minute = item.get_expiry()
    storage = limiter.storage
    assert isinstance(storage, SlidingWindowCounterSupport)
    last, last_ends_in, now, now_ends_in = storage.get_sliding_window(item.key_for(*keys), minute)
    if now < item.amount and last:
        return last_ends_in - (item.amount - now) * minute / last
    return now_ends_in % minute + minute * (1 - item.amount / max(now, item.amount))
