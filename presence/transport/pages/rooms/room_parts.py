"""The parts of a room's page that change by themselves, and what of them a page does not have yet.

A page says with every question what it has, as the last answer told it to: the room's version, and
a short hash of each part. It gets what is different, of the people only those who changed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from flask import render_template
from markupsafe import Markup

from presence.domain.rooms.rooms import PeerView
from presence.transport.pages.text_filters import slug

# The parts that are swapped whole; the people are looked at one by one.
_WHOLE = ("summary", "closed", "data", "files", "activity")
# For how many kinds of readers what was rendered of one reading is kept.
_MOST_RENDERED = 40
# Times are worded anew by the page itself.
_TIMES = re.compile(r">[^<]*</time>")
_HAVE = re.compile(rf"(\d{{1,18}})\.([0-9a-f]{{10}})((?:\.[0-9a-f]{{10}}){{{len(_WHOLE)}}})")


@dataclass(frozen=True)
class Have:
    """What a page has: the room's version, who is shown in which order, and its parts by hash."""

    version: int
    order: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as the page keeps it."""
        return ".".join((str(self.version), self.order, *self.parts))


def parse(text: str) -> Have | None:
    """Return what a page says it has; None for nothing, and for what this server never said."""
    match = _HAVE.fullmatch(text)
    if match is None:
        return None
    return Have(int(match[1]), match[2], tuple(match[3].strip(".").split(".")))


def have_of(seen: dict[str, Any]) -> Have:
    """Return what a page has that shows everything of what was read of a room."""
    return _have(seen, {name: _part(name, seen) for name in _WHOLE})


def changes(seen: dict[str, Any], before: Have | None, opened: set[str]) -> str | None:
    """Return the parts of a room that are not as a page has them; None where all are.

    `opened` are the peers, by the slugs of their ids, whose data somebody looks at; that of the
    others is asked for when it is opened.
    """
    parts = {name: _part(name, seen) for name in _WHOLE}
    now = _have(seen, parts)
    shown = [*seen["active"], *seen["inactive"]]
    people: list[PeerView] | None = None
    if before is not None and before.order == now.order:
        # A server that lost its database may count from the beginning.
        is_older = before.version > now.version
        people = [
            peer
            for peer in shown
            if is_older or peer.changed_version > before.version or slug(peer.peer_id) in opened
        ]
    known = before.parts if before is not None else (None,) * len(_WHOLE)
    news = {
        name: Markup(parts[name])  # noqa: S704 (rendered by a template just now)
        for name, had, has in zip(_WHOLE, known, now.parts, strict=True)
        if had != has
    }
    if now == before and not people:
        return None
    return render_template(
        "room_live.html", **seen, parts=news, changed=people, have=now, opened=opened
    )


def _have(seen: dict[str, Any], parts: dict[str, str]) -> Have:
    order = [[peer.peer_id, peer.is_active] for peer in (*seen["active"], *seen["inactive"])]
    about = repr((order, seen["more_inactive"], seen["me"]))
    return Have(seen["room"].version, _hash(about), tuple(_hash(parts[name]) for name in _WHOLE))


def _part(name: str, seen: dict[str, Any]) -> str:
    """Return a part that is swapped whole, as it was rendered for another page if that was so."""
    rendered: dict[Any, str] = seen["rendered"]
    depends_on = name, seen["me"], seen["may_join"], seen["server_url"]
    part = rendered.get(depends_on)
    if part is None:
        part = render_template(f"room_{name}.html", **seen)
        if len(rendered) < _MOST_RENDERED:
            rendered[depends_on] = part
    return part


def _hash(text: str) -> str:
    plain = _TIMES.sub("></time>", text)
    return hashlib.blake2b(plain.encode(), digest_size=5).hexdigest()
