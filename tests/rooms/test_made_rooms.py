"""Rooms that somebody makes, and their pages, on each kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from presence.domain.peers import made_rooms
from presence.domain.peers.limits import Limits
from presence.domain.rooms import lists

LIMITS = Limits(max_peers=9, max_user_data_bytes=1000)
NAMES = ["A", "B", "_a", "a", "a%b", "a_b", "ab", "b", "ä", "日本"]


def put(session: Session, name: str, **terms: int | None) -> made_rooms.MadeRoom:
    return made_rooms.put(session, name, terms, closed=None, limits=LIMITS, maker=None)


def test_a_room_is_made_once_and_keeps_what_is_left_out(session: Session) -> None:
    made = put(session, "studio", max_peers=2, keep_inactive=60)
    assert (made.is_new, made.max_peers, made.keep_inactive) == (True, 2, 60)
    again = put(session, "studio")
    assert (again.is_new, again.max_peers, again.keep_inactive) == (False, 2, 60)
    assert again.version == made.version
    changed = put(session, "studio", max_peers=None, keep_inactive=None)
    assert (changed.max_peers, changed.keep_inactive) == (9, None)
    assert changed.version > made.version


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_of_rooms_have_each_once_and_in_order(session: Session, limit: int) -> None:
    for name in reversed(NAMES):
        put(session, name)
    for prefix in ("", "a", "a_", "a%", "ä", "日", "none"):
        found: list[str] = []
        while page := lists.page(
            session,
            prefix=prefix,
            active=None,
            after=found[-1] if found else None,
            limit=limit,
            only=None,
        ):
            found += [head.name for head in page]
        assert sorted(found) == [name for name in NAMES if name.startswith(prefix)], prefix
        assert len(set(found)) == len(found), prefix
        assert lists.page(session, prefix=prefix, active=True, after=None, limit=9, only=None) == []
