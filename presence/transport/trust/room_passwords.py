"""Passwords of rooms: hashed and checked beside the event loop, and not guessed quickly.

A check takes some 50 ms and 32 MiB on purpose (scrypt, RFC 7914, as Werkzeug has it), so few are
made at once, and whoever was wrong too often waits before the next one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

from werkzeug.security import check_password_hash, generate_password_hash

from presence.domain.peers.passwords import Unchecked
from presence.errors import (
    PasswordWanted,
    RateExceeded,
    TooManyGuesses,
    TooManyWrongPasswords,
    WrongPassword,
)
from presence.storage import system_threads

Result = TypeVar("Result")

# How many are computed at once; more would only take the processor from everybody else.
_AT_ONCE = 1
# How many that were right are known again at once: a room whose people all reconnect.
_MOST_KNOWN = 4096


class Counts(Protocol):
    """What counts how often somebody did something (`presence.transport.admission.rates`)."""

    def count(self, condition: type[RateExceeded], *who: str) -> None:
        """Count one more; raises `condition` if that is one too many."""

    def check(self, condition: type[RateExceeded], *who: str) -> None:
        """Raise what `count` would raise."""


class RoomPasswords:
    """What this process knows of passwords: who was wrong, and which were right."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._places = threading.Semaphore(_AT_ONCE)
        # What was right, as a digest that is of no use to anybody outside this process.
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def hashed(self, password: str) -> str:
        """Return what is kept of a password, with a salt of its own."""
        with self._places:
            return system_threads.compute(lambda: generate_password_hash(password))

    def passing(
        self,
        given: str | None,
        address: str,
        act: Callable[[str | None], Result],
        passed: str | None = None,
    ) -> Result:
        """Do what a room's password may stand before; `act` gets what was `passed`.

        Raises `PasswordWanted` or `WrongPassword`, or `TooManyWrongPasswords` or `TooManyGuesses`
        before anything is computed, besides what `act` does.
        """
        while True:
            try:
                return act(passed)
            except Unchecked as asked:
                # Again, where it was changed meanwhile.
                passed = self._checked(asked.room_name, asked.password_hash, given, address)

    def _checked(self, room_name: str, kept: str, given: str | None, address: str) -> str:
        """Return the hash that a password was found to be right for."""
        if given is None:
            raise PasswordWanted(room_name)
        digest = hashlib.blake2b(f"{kept}\n{given}".encode(), key=self._key).digest()
        if digest in self._known:
            return kept
        with self._places:
            # Here, so that many at once are not more than one after the other.
            self._counts.check(TooManyWrongPasswords, address)
            self._counts.check(TooManyGuesses, room_name)
            if not system_threads.compute(lambda: check_password_hash(kept, given)):
                self._counts.count(TooManyWrongPasswords, address)
                self._counts.count(TooManyGuesses, room_name)
                raise WrongPassword(room_name)
        self._known[digest] = None
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return kept
