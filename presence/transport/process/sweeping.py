"""Sweeping: applying the rules of retention, a little at a time, and telling the rooms of it.

The upkeep takes a step every second; ``flask sweep`` walks all the way. Every removal is a short
transaction of its own, which looks again at what it removes, so both may run at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from presence.config import Settings
from presence.domain.files import files
from presence.domain.rooms import broadcasts, retention
from presence.domain.rooms.erasure import ErasedPeers
from presence.domain.rooms.retention import Rules, Window
from presence.errors import RoomNotFound, UploadedFileNotFound
from presence.setting_values import seconds_of
from presence.storage import database, maintenance
from presence.transport.process import erasing
from presence.transport.process.runtime import Runtime
from presence.transport.wire import serializers

log = logging.getLogger(__name__)

# Peers that go in one transaction.
_AT_ONCE = 50

Find = Callable[[Session, Rules, int], Window]
Remove = Callable[[Sequence[Any]], None]


@dataclass
class Swept:
    """What a sweep removed, or would remove."""

    peers: int = 0
    files: int = 0
    rooms: int = 0
    activity: int = 0


def rules_of(settings: Settings) -> Rules:
    """Return the rules of retention that the settings make."""

    def kept(duration: str) -> timedelta | None:
        seconds = seconds_of(duration)
        return None if seconds is None else timedelta(seconds=seconds)

    return Rules(
        inactive_peers=kept(settings.keep_inactive_peers),
        empty_rooms=kept(settings.keep_empty_rooms),
        files=kept(settings.keep_files),
        activity=kept(settings.keep_activity),
        # Where none are kept any more those go that were.
        broadcasts=kept(settings.keep_broadcasts_for) if settings.keep_broadcasts else timedelta(),
        kept_peers=settings.max_kept_peers,
    )


def init_app(run: Runtime) -> None:
    """Have a little of everything looked at every second."""
    sweeper = Sweeper(run)
    run.upkeep.every(0, sweeper.step, "what is overdue could not be removed")


class Sweeper:
    """Walks the tables and removes what is overdue; with `dry_run` it only counts it."""

    def __init__(self, run: Runtime, *, dry_run: bool = False) -> None:
        self.swept = Swept()
        self._run = run
        self._rules = rules_of(run.settings)
        self._dry_run = dry_run
        self._after: dict[Find, int] = {}
        # Peers before rooms, which may be left empty by them.
        self._kinds: tuple[tuple[Find, Remove], ...] = (
            (retention.overdue_peers, self._erase_overdue),
            (retention.crowded_rooms, self._erase_crowds),
            (retention.overdue_files, self._remove_files),
            (retention.overdue_rooms, self._remove_rooms),
            (retention.overdue_activity, self._forget_activity),
            (retention.overdue_broadcasts, self._forget_broadcasts),
        )

    def step(self) -> None:
        """Look at the next few rows of each table, if they may be changed. Needs an app context."""
        if maintenance.known() is not None:
            return
        with database.reading() as session:
            windows = [(remove, self._next(session, find)) for find, remove in self._kinds]
        for remove, window in windows:
            if window.overdue:
                remove(window.overdue)

    def sweep(self) -> Swept:
        """Look at every row, and return what was removed. Needs an app context.

        Raises `presence.storage.maintenance.ReadOnly`, unless it only counts.
        """
        if not self._dry_run:
            maintenance.check()
        self._after.clear()
        for find, remove in self._kinds:
            while self._walk_on(find, remove):
                pass
        return self.swept

    def _walk_on(self, find: Find, remove: Remove) -> bool:
        """Remove what is overdue in the next window; return whether the table goes on."""
        with database.reading() as session:
            window = self._next(session, find)
        if window.overdue:
            remove(window.overdue)
        return window.last is not None

    def _next(self, session: Session, find: Find) -> Window:
        """Look at the next window of a table, and go on behind it."""
        window = find(session, self._rules, self._after.get(find, 0))
        self._after[find] = window.last or 0
        return window

    def _erase_overdue(self, overdue: Sequence[Any]) -> None:
        by_room: dict[str, list[int]] = {}
        for room_name, row_id in overdue:
            by_room.setdefault(room_name, []).append(row_id)
        for room_name, row_ids in by_room.items():
            for start in range(0, len(row_ids), _AT_ONCE):
                some = row_ids[start : start + _AT_ONCE]
                if self._dry_run:
                    self.swept.peers += len(some)
                    continue
                self._erase(
                    room_name,
                    lambda session, name=room_name, ids=some: retention.erase_peers(  # type: ignore[misc]
                        session, self._rules, name, ids
                    ),
                    f"not seen for {self._run.settings.keep_inactive_peers}",
                )

    def _erase_crowds(self, crowded: Sequence[Any]) -> None:
        for room_name, excess, inactive in crowded:
            if self._dry_run:
                self.swept.peers += min(excess, inactive)
                continue
            while self._erase(
                room_name,
                lambda session, name=room_name: retention.erase_crowd(  # type: ignore[misc]
                    session, self._rules, name
                ),
            ):
                pass

    def _erase(
        self, room_name: str, erase: Callable[[Session], ErasedPeers], why: str = ""
    ) -> bool:
        """Erase peers in a transaction, and let their room know; return whether any went."""
        run = self._run
        with run.announcer.in_order(room_name):
            with run.blobs.deletion() as withdraw, database.writing() as session:
                erased = erase(session)
                withdraw(erased.stored_names)
            erasing.note_erased(run, room_name, erased, why)
        if erased.peer_ids:
            self.swept.peers += len(erased.peer_ids)
            self.swept.files += len(erased.stored_names)
            run.announcer.mark(room_name)
        run.socketio.sleep(0)  # let others in between
        return bool(erased.peer_ids)

    def _remove_files(self, overdue: Sequence[Any]) -> None:
        run = self._run
        for room_name, stored_name in overdue:
            if self._dry_run:
                self.swept.files += 1
                continue
            try:
                with run.announcer.in_order(room_name):
                    with run.blobs.deletion() as withdraw, database.writing() as session:
                        change = files.remove(session, room_name, stored_name, by_peer=False)
                        withdraw([stored_name])
                    run.announcer.emit("file_deleted", serializers.file_notice(change), room_name)
            except (RoomNotFound, UploadedFileNotFound):
                continue  # somebody else was faster
            self.swept.files += 1
            run.scrub = True
            log.info("deleted a file of room %r: kept for %s", room_name, run.settings.keep_files)
            run.announcer.mark(room_name)
            run.socketio.sleep(0)

    def _remove_rooms(self, overdue: Sequence[Any]) -> None:
        run = self._run
        for (room_name,) in overdue:
            if self._dry_run:
                self.swept.rooms += 1
                continue
            with run.announcer.in_order(room_name), database.writing() as session:
                version = retention.remove_room(session, self._rules, room_name)
            if version is None:
                continue
            self.swept.rooms += 1
            run.scrub = True
            log.info("removed room %r: empty for %s", room_name, run.settings.keep_empty_rooms)
            run.announcer.removed(room_name, version)
            run.socketio.sleep(0)

    def _forget_broadcasts(self, overdue: Sequence[Any]) -> None:
        if self._dry_run:
            return
        newest: dict[str, int] = {}
        for room_name, number in overdue:
            newest[room_name] = max(newest.get(room_name, 0), number)
        for room_name, number in newest.items():
            with self._run.announcer.in_order(room_name), database.writing() as session:
                broadcasts.forget_up_to(session, room_name, number)
            self._run.socketio.sleep(0)
        self._run.scrub = True

    def _forget_activity(self, overdue: Sequence[Any]) -> None:
        self.swept.activity += len(overdue)
        if not self._dry_run:
            with database.writing() as session:
                retention.forget_activity(session, [row_id for (row_id,) in overdue])
            self._run.scrub = True
