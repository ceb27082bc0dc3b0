"""Whether a file is a PDF that readers open."""

from __future__ import annotations

import codecs
import re
from typing import IO, BinaryIO, cast

import pikepdf

from presence.domain.files.allowance import Appended, Damaged, content_of, is_fill

# How far from its beginning readers look for the header (ISO 32000-1, annex H.3.4.1).
_HEADER_WITHIN = 1024
_END = b"%%EOF"


def check(file: IO[bytes]) -> None:
    """Raise unless qpdf opens a file as a PDF, with nothing before its header or behind its end.

    Where its table of objects is broken, which readers repair, it must at least have its end: a
    file that was cut can be repaired as well. One with a password is whole. Raises `Damaged` and
    `Appended`.
    """
    content = content_of(file)
    header = re.search(rb"%PDF-", content[:_HEADER_WITHIN])
    if header is None:
        raise Damaged
    if not is_fill(content[: header.start()].removeprefix(codecs.BOM_UTF8)):
        raise Appended
    end = content.rfind(_END)
    if end >= 0 and not is_fill(content[end + len(_END) :]):
        raise Appended
    if not _opens(file, repaired=False) and (end < 0 or not _opens(file, repaired=True)):
        raise Damaged


def _opens(file: IO[bytes], *, repaired: bool) -> bool:
    file.seek(0)
    try:
        with pikepdf.open(cast(BinaryIO, file), attempt_recovery=repaired) as document:
            return not repaired or len(document.pages) > 0
    except pikepdf.PasswordError:
        return True
    except MemoryError:
        raise
    except Exception:
        # Its reader fails in many ways over a damaged file; all of them mean the same.
        return False
