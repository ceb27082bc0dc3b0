"""What was read of a room to be shown on its page, perhaps for several pages at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import current_app

from presence.domain.data import room_data
from presence.domain.files import files
from presence.domain.permissions import bans
from presence.domain.permissions.bans import Bar
from presence.domain.rooms import activity, occupancy, rooms
from presence.domain.rooms.rooms import RoomView
from presence.domain.values import clock
from presence.errors import RoomNotFound
from presence.storage import database
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire.room_list import RoomList

# A room keeps many files, and a long diary; a page shows so many of them.
SHOWN_FILES = 60
SHOWN_ACTIVITY = 30
# For how long, and of how many rooms, what was read for one page is shown on others.
_SHARED_SECONDS = 0.5
_MOST_READ = 32
_EXTENSION = "presence-page-readings"


@dataclass(frozen=True)
class Reading:
    """What there is to be shown of a room, whoever asks; of one that nobody has joined, nothing."""

    exists: bool
    view: RoomView
    data: room_data.Kept
    files: Sequence[Any]
    entries: Sequence[Any]
    hour: list[int]
    closing: Bar | None
    # What pages show of it, for `room_parts`.
    rendered: dict[Any, str] = field(default_factory=dict)


def read(name: str) -> Reading:
    """Read a room now."""
    runtime().diary.catch_up()
    with database.reading() as session:
        try:
            room_id, _ = rooms.identify(session, name)
            view = rooms.view(session, name)
            data = room_data.of(session, name)
            exists = True
        except RoomNotFound:
            room_id, exists, data = 0, False, room_data.NOTHING
            view = RoomView(name, runtime().settings.max_peers, clock.now(), 0)
        stored = files.of_room(session, name, SHOWN_FILES)
        entries = activity.recent(session, room_id, SHOWN_ACTIVITY)
        hour = occupancy.last_hour(session, [room_id])[room_id]
        closing = bans.closing_of(session, name)
    return Reading(exists, view, data, stored, entries, hour, closing)


def shared(name: str) -> Reading:
    """Return what was read of a room since its last announcement; read it if nothing was."""
    return _readings().of(name)


class _Readings:
    """What was read for pages since their rooms were last announced, which is when pages ask.

    So ten pages that watch a busy room read it once. Not where others change rooms as well: a page
    may have heard of a change from another worker that this one has not heard of yet.
    """

    def __init__(self, run: Runtime) -> None:
        self._is_alone = not run.settings.has_shared_database
        self._kept: dict[str, tuple[float, Reading]] = {}
        self._announcements = 0
        # Before those that have pages ask.
        run.announcer.listeners.insert(0, self._forget)

    def of(self, name: str) -> Reading:
        """Return what there is to be shown of a room."""
        until, kept = self._kept.get(name, (0.0, None))
        if kept is not None and time.monotonic() < until:
            return kept
        before = self._announcements
        reading = read(name)
        if self._is_alone and self._announcements == before:
            if len(self._kept) >= _MOST_READ:
                self._kept.clear()
            self._kept[name] = time.monotonic() + _SHARED_SECONDS, reading
        return reading

    def _forget(self, view: RoomList) -> None:
        self._announcements += 1
        self._kept.pop(view.name, None)


def _readings() -> _Readings:
    extensions = current_app.extensions
    found: _Readings | None = extensions.get(_EXTENSION)
    if found is None:
        found = extensions[_EXTENSION] = _Readings(runtime())
    return found
