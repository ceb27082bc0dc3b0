"""What peers changed of their user data, for the rooms' diaries: written a second late, together.

A diary is looked at now and then, and clients that send their state all the time would write two
rows for every change. So these entries are gathered, and a crash loses those of the last second.
Whoever looks at a diary here has what was gathered here written first, or waits for a write that
has begun.
"""

from __future__ import annotations

import logging
import threading

from presence.domain.peers.results import Updated
from presence.domain.rooms import activity
from presence.domain.rooms.activity import MAX_KEYS, SAME_UPDATE, Updates
from presence.storage import database

log = logging.getLogger(__name__)

# How many peers' entries are written in one transaction.
_AT_ONCE = 200


class Diary:
    """The entries that wait to be written."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # Held from taking entries to their commit: who looks meanwhile would find them nowhere.
        self._one_write = threading.Lock()
        self._gathered: dict[tuple[int, str], list[Updates]] = {}

    def note(self, updated: Updated) -> None:
        """Note an update that was committed, if it changed anything."""
        if not updated.changed:
            return
        key = updated.change.room_id, updated.peer_id
        with self._guard:
            entries = self._gathered.setdefault(key, [])
            if not entries or updated.at - entries[-1].at > SAME_UPDATE:
                entries.append(Updates(*key, updated.username, updated.at, 0, []))
            entry = entries[-1]
            entry.times += 1
            entry.username = updated.username
            new = [key for key in updated.changed[:MAX_KEYS] if key not in entry.keys]
            entry.keys = [*entry.keys, *new][:MAX_KEYS]

    def write(self) -> None:
        """Write what has been gathered until now. Needs an app context."""
        with self._one_write:
            with self._guard:
                waiting = list(self._gathered)
            # Not what comes meanwhile, or a busy server would never have written everything.
            for first in range(0, len(waiting), _AT_ONCE):
                self._write(waiting[first : first + _AT_ONCE])

    def _write(self, keys: list[tuple[int, str]]) -> None:
        with self._guard:
            taken = {key: self._gathered.pop(key) for key in keys if key in self._gathered}
        if not taken:
            return
        try:
            with database.writing(upkeep=True) as session:
                entries = [entry for own in taken.values() for entry in own]
                activity.record_updates(session, entries)
        except Exception:
            with self._guard:
                for key, own in taken.items():
                    self._gathered[key] = own + self._gathered.get(key, [])
            raise

    def catch_up(self) -> None:
        """Write it before somebody looks, if that can be done now. Needs an app context."""
        try:
            self.write()
        except Exception:
            log.exception("the newest changes could not be written to the rooms' activity")
