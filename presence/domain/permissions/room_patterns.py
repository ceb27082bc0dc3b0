"""Which rooms a token is good for: one by its name, or all whose name fits a pattern."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from presence.domain.values import names
from presence.errors import InvalidField
from presence.storage.models import NAME_LENGTH

# A pattern may need a backslash before every character that a name of its length may have.
_MAX_LENGTH = 2 * NAME_LENGTH
# Stands for “anything” where one pattern is compared with another; no room's name contains it.
_ANYTHING = "\0"


@dataclass(frozen=True, slots=True)
class RoomPattern:
    r"""A room's name in which ``*`` stands for any characters, or none; ``\*`` is an asterisk.

    ``parts`` are the texts between the asterisks, so one part alone is a room's exact name.
    """

    text: str
    parts: tuple[str, ...]

    @property
    def patterns(self) -> tuple[RoomPattern, ...]:
        """This one, as one of several."""
        return (self,)

    @property
    def is_exact(self) -> bool:
        """Whether this is the name of one room."""
        return len(self.parts) == 1

    def matches(self, room_name: str) -> bool:
        """Tell whether a room of this name (in NFC) is among those meant. Case matters."""
        return _matches(self.parts, room_name)

    def covers(self, other: RoomPattern) -> bool:
        """Tell whether every name that `other` matches is matched by this pattern too."""
        return _matches(self.parts, _ANYTHING.join(other.parts))


@dataclass(frozen=True, slots=True)
class RoomPatterns:
    """Several patterns, of which any is enough; with none it is no room."""

    patterns: tuple[RoomPattern, ...]

    @property
    def text(self) -> str:
        """The patterns as people read them."""
        return ", ".join(pattern.text for pattern in self.patterns)

    @property
    def is_exact(self) -> bool:
        """Whether these are the names of rooms, one by one."""
        return all(pattern.is_exact for pattern in self.patterns)

    def matches(self, room_name: str) -> bool:
        """Tell whether a room of this name (in NFC) is among those meant. Case matters."""
        return any(pattern.matches(room_name) for pattern in self.patterns)

    def covers(self, other: RoomPattern) -> bool:
        """Tell whether one of the patterns matches every name that `other` does."""
        return any(pattern.covers(other) for pattern in self.patterns)


def parse(text: object, field: str = "room") -> RoomPattern:
    """Return the pattern that a text stands for; raises `InvalidField` naming `field`."""
    if not isinstance(text, str):
        raise InvalidField(field, "must be a string: a room's name, or a pattern such as team-*.")
    if len(text) > _MAX_LENGTH:
        raise InvalidField(field, f"must have at most {_MAX_LENGTH} characters.")
    parts = [""]
    characters = iter(unicodedata.normalize("NFC", text))
    for character in characters:
        if character == "*":
            parts.append("")
        elif character == "\\":
            if next(characters, None) != "*":
                raise InvalidField(field, r"may have a backslash only before an asterisk: \*.")
            parts[-1] += "*"
        else:
            parts[-1] += character
    if len(parts) == 1:
        names.normalise(parts[0], field, NAME_LENGTH)
    elif any(names.forbidden_in(part) for part in parts):
        raise InvalidField(field, "contains a character that no room's name may have.")
    return RoomPattern(text, tuple(parts))


def _matches(parts: tuple[str, ...], text: str) -> bool:
    """Tell whether a text begins and ends with the outer parts, the others in between in order.

    Takes each part at its first place, which is always a right one, so that no pattern makes this
    slow.
    """
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
