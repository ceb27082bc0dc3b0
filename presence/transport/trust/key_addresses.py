"""The keys at an issuer's address, as this process knows them.

They are asked for again now and then, and when a token has a key that is not among them, but never
twice within a while, whatever tokens come. While the address is away the last ones hold. Who has a
token of a known key waits for nothing; whoever has to wait does so in its own thread or greenlet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from presence.domain.permissions import public_keys
from presence.domain.permissions.issuers import Issuer
from presence.domain.permissions.public_keys import PublicKey
from presence.errors import IssuerUnavailable
from presence.transport.trust.fetching import SECONDS, CannotFetch, Fetch

log = logging.getLogger(__name__)


class KeyAddress:
    """The keys of an issuer that come from its address."""

    def __init__(
        self,
        name: str,
        rules: Issuer,
        spawn: Callable[[Callable[[], None]], Any],
        fetch: Callable[[], Fetch],
    ) -> None:
        self.rules = rules
        self._name = name
        self._spawn = spawn
        self._make = fetch
        self._keys: Sequence[PublicKey] = ()
        self._guard = threading.Lock()
        # The request that is on its way, and what is set when it has ended.
        self._fetch: Fetch | None = None
        self._ended = threading.Event()
        # When a request last began, when the keys came that are here, and whether they still come.
        self._began = -float("inf")
        self._came = -float("inf")
        self._is_away = False

    def matching(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """Return the keys that may have signed a token, after one more look where there are none.

        Raises `IssuerUnavailable` where that look cannot be taken now or has failed.
        """
        found = public_keys.matching(self._keys, kid, algorithm)
        if found:
            return found
        asked = time.monotonic()
        ended = self._begin()
        if ended is not None:
            ended.wait(SECONDS + 1)
            found = public_keys.matching(self._keys, kid, algorithm)
        if not found and self._came < asked:
            left = self._began + self.rules.retry_seconds - time.monotonic()
            raise IssuerUnavailable(left)
        return found

    def look(self) -> None:
        """Begin a request that is due, and end one that takes too long. To be called every second.

        The first one is due at once, a failed one as soon as another may be made.
        """
        fetch = self._fetch
        if fetch is not None:
            if fetch.is_overdue:
                fetch.cut()
            return
        if self._is_away or time.monotonic() - self._came >= self.rules.refresh_seconds:
            self._begin()

    def _begin(self) -> threading.Event | None:
        """Begin a request, unless one is on its way; return what is set when that has ended.

        None if none may be made yet.
        """
        with self._guard:
            if self._fetch is not None:
                return self._ended
            now = time.monotonic()
            if now - self._began < self.rules.retry_seconds:
                return None
            self._began = now
            self._fetch = self._make()
            ended = self._ended = threading.Event()
        self._spawn(self._ask)
        return ended

    def _ask(self) -> None:
        """Fetch the keys; what cannot be fetched leaves those that are here."""
        fetch, keys = self._fetch, None
        assert fetch is not None
        reason = "of an error of this server"
        try:
            keys = fetch.keys()
        except CannotFetch as error:
            reason = str(error)
        finally:
            self._settle(keys, reason)

    def _settle(self, keys: Sequence[PublicKey] | None, reason: str) -> None:
        with self._guard:
            if keys is not None:
                self._keys, self._came = keys, time.monotonic()
            was_away, self._is_away = self._is_away, keys is None
            self._fetch = None
            self._ended.set()
        if keys is None and not was_away:
            log.warning(
                "the keys of the issuer %s cannot be had: %s; those that are known hold, and %s "
                "is asked again",
                self._name,
                reason,
                self.rules.keys_url,
            )
        elif keys is not None and was_away:
            log.warning("the keys of the issuer %s are to be had again", self._name)
        if keys is not None and not keys:
            log.warning(
                "the issuer %s has no key that can be used: its tokens are refused", self._name
            )
