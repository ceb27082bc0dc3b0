"""How much of a file is looked at: what it may have of anything that costs work."""

from __future__ import annotations

import mmap
from typing import IO

from presence.errors import FileTooComplex

Content = bytes | mmap.mmap

# What programs leave before or behind the content of a file: zeros, white space, the end mark of
# DOS, and what memory holds that nothing was written to.
_FILL = b"\0\t\n\x0b\x0c\r \x1a\xff"
_CHUNK = 1024 * 1024


class Damaged(Exception):
    """The content of a file is not what its readers need."""


class Appended(Exception):
    """Something stands before or behind the content of a file that is no part of it.

    One rule for all types: nothing but fill may stand there, as `is_fill` tells. A JPEG may have
    more behind it, because cameras put films and further pictures there; a PDF may have lines of
    plain text before it, because printers and servers put them there.
    """


class Allowance:
    """How many of something a file may still have; `what` names them in the refusal."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        self.limit = limit
        self._left = limit

    def take(self, number: int = 1) -> None:
        """Take some; raises `FileTooComplex` when there are not so many left."""
        self._left -= number
        if self._left < 0:
            raise FileTooComplex(self.what, self.limit)


def check_rest(content: Content, end: int) -> None:
    """Raise `Appended` if anything but fill stands behind `end`, `Damaged` if that is not there."""
    if end > len(content):
        raise Damaged
    for at in range(end, len(content), _CHUNK):
        if not is_fill(content[at : at + _CHUNK]):
            raise Appended


def is_fill(part: bytes) -> bool:
    """Tell whether a part of a file says nothing."""
    return not part.strip(_FILL)


def content_of(file: IO[bytes]) -> Content:
    """Return all that is in a file, without reading what nobody looks at."""
    try:
        descriptor = file.fileno()
    except OSError:
        file.seek(0)
        return file.read()
    file.flush()
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
