"""How the pages put times, sizes, people and user data into words and shapes: Jinja's filters."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Blueprint, request, url_for

from presence.domain.files import file_types
from presence.domain.values import clock
from presence.transport.pages import pictures
from presence.transport.wire.wording import plural

# A few hundred peers may each have 16 KiB of small values: a page shows the first of them.
TREE_VALUES = 40
TREE_TEXT = 300
GIST_VALUES = 4
GIST_TEXT = 32
# What the page shows of a person beside its user data.
_SHOWN_OTHERWISE = {"role", "avatar"}

_HUES = 12
_JSON_WORDS: dict[object, str] = {None: "null", True: "true", False: "false"}
# Pictures from other hosts would tell those hosts who is looking, so only our own are shown. What
# signs an address is for a while, and made anew for whoever looks.
_SIGNED = r"(?:\?expires=\d+&signature=[\w-]+)?"
_OWN_PICTURE = re.compile(rf"/?uploads/([0-9a-f]{{32}}\.(?:jpg|png|gif|webp)){_SIGNED}")
_INLINE_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+=*")


@dataclass(slots=True)
class TreeNode:
    """A value of user data: text for a single one, children for an object or a list."""

    key: str
    kind: str
    text: str = ""
    children: list[TreeNode] = field(default_factory=list)
    left_out: int = 0


def init_app(bp: Blueprint) -> None:
    """Give the pages' templates these filters."""
    filters: dict[str, Callable[..., Any]] = {
        "ago": ago,
        "iso": iso,
        "initials": initials,
        "hue": hue,
        "slug": slug,
        "file_size": file_size,
        "avatar": avatar,
        "is_picture": is_picture,
        "below_root": below_root,
        "tree": tree,
        "plural": plural,
        "steps": steps,
        "gist": gist,
    }
    for name, function in filters.items():
        bp.add_app_template_filter(function, name)


def ago(instant: datetime) -> str:
    """Say how long ago an instant was, as static/js/times.js does in the browser."""
    seconds = max(0, int((clock.now() - instant).total_seconds()))
    if seconds < 5:
        return "just now"
    for unit, length in (("s", 60), ("min", 60), ("h", 24)):
        if seconds < length:
            return f"{seconds} {unit} ago"
        seconds //= length
    return "yesterday" if seconds == 1 else f"{seconds} days ago"


def iso(instant: datetime) -> str:
    """Return an instant for a ``datetime`` attribute."""
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def initials(name: str) -> str:
    """Return one or two letters that stand for a name where there is no picture."""
    words = [word for word in re.split(r"[\W_]+", name) if word]
    letters = [word[0] for word in (words[:1] + words[1:][-1:])]
    return "".join(letters).upper() or "?"


def hue(key: str) -> int:
    """Return the number of a colour that stays the same for the same key."""
    return zlib.crc32(key.encode()) % _HUES


def slug(key: str) -> str:
    """Return what can stand in an ``id`` for a key of any characters."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def file_size(size: int) -> str:
    """Say how large a file is."""
    if size < 1024:
        return f"{size} B"
    value, units = float(size), ["KiB", "MiB", "GiB", "TiB"]
    unit = ""
    while units and value >= 999.5:
        value, unit = value / 1024, units.pop(0)
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def avatar(
    user_data: dict[str, Any], room_files: Container[str] | None, room_name: str, peer_id: str
) -> str | None:
    """Return the address of a small picture of a peer, if it is one that this server may show.

    Where files have signed addresses, `room_files` are those of the room: to name one of another
    room must not be enough to have its address signed. None where there is nothing to sign.
    """
    address = user_data.get("avatar")
    if not isinstance(address, str):
        return None
    own = _OWN_PICTURE.fullmatch(address)
    if own and (room_files is None or own[1] in room_files):
        return url_for("pictures.thumbnail", filename=own[1])
    inline = pictures.inline_name(address)
    if inline is None:
        return None
    # Not in the page itself, which would have it again with each change of the peer.
    return url_for("pictures.avatar", room_name=room_name, peer_id=peer_id, filename=inline)


def below_root(address: str) -> str:
    """Return an address of this server relative to a page that stands at its top."""
    return address.removeprefix(request.script_root).lstrip("/")


def is_picture(stored_name: str) -> bool:
    """Tell whether a stored file is one that browsers show rather than download."""
    kind = file_types.BY_STORED_EXTENSION.get(file_types.extension_of(stored_name))
    return kind is not None and kind.is_image


def steps(levels: Sequence[float]) -> str:
    """Return an SVG path through `levels`, one unit wide each, in a box that is 1 unit high."""
    top = max(*levels, 1)
    path = f"M0 {1 - levels[0] / top:.3f}"
    for index, level in enumerate(levels[1:], start=1):
        if level != levels[index - 1]:
            path += f"H{index}V{1 - level / top:.3f}"
    return f"{path}H{len(levels)}"


def gist(user_data: dict[str, Any]) -> str:
    """Return user data in a line: its first values, those inside of others only counted."""
    parts: list[str] = []
    for key, value in user_data.items():
        if key in _SHOWN_OTHERWISE:
            continue
        if len(parts) == GIST_VALUES:
            parts.append("…")
            break
        if isinstance(value, dict):
            shown = f"{{{len(value)}}}"
        elif isinstance(value, list):
            shown = f"[{len(value)}]"
        elif isinstance(value, str):
            shown = value if len(value) <= GIST_TEXT else value[:GIST_TEXT] + "…"
        else:
            shown = _word(value)
        parts.append(f"{key[:GIST_TEXT]} {shown}")
    return " · ".join(parts)


def tree(value: dict[str, Any]) -> TreeNode:
    """Return user data as nodes to show, at most `TREE_VALUES` of them."""
    budget = [TREE_VALUES]
    return _node("", value, budget)


def _node(key: str, value: Any, budget: list[int]) -> TreeNode:
    if isinstance(value, (dict, list)):
        node = TreeNode(key, "object" if isinstance(value, dict) else "list")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for child_key, child in items:
            if budget[0] <= 0:
                node.left_out = len(value) - len(node.children)
                break
            budget[0] -= 1
            node.children.append(_node(str(child_key), child, budget))
        if not value:
            node.text = "{}" if node.kind == "object" else "[]"
        return node
    if isinstance(value, str):
        if _INLINE_PICTURE.fullmatch(value):
            return TreeNode(key, "word", f"a picture of {file_size(len(value) * 3 // 4)}")
        text = value if len(value) <= TREE_TEXT else value[:TREE_TEXT] + "…"
        return TreeNode(key, "text", text)
    return TreeNode(key, "number" if _is_number(value) else "word", _word(value))


def _word(value: float | bool | None) -> str:
    """Return a single value as JSON has it."""
    return str(value) if _is_number(value) else _JSON_WORDS[value]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
