"""Whether a file is text: UTF-8, or UTF-16 that says so."""

from __future__ import annotations

import codecs
from typing import IO

from presence.domain.files.allowance import Damaged

_CHUNK = 64 * 1024
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def check(file: IO[bytes]) -> None:
    """Raise `Damaged` unless a file is text without a NUL, which most binary files have."""
    file.seek(0)
    encoding = _MARKS.get(file.read(2))
    if encoding is None:
        encoding = "utf-8"
        file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(_CHUNK):
            if "\0" in decoder.decode(chunk):
                raise Damaged
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Damaged from None
