"""OLE compound files, which hold Word 97–2003 documents and the objects that documents embed.

[MS-CFB]; the objects as in [MS-OLEDS]. olefile reads them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import olefile

from presence.domain.files.allowance import Appended, Content, Damaged, content_of, is_fill
from presence.errors import FileTooComplex

MAGIC: bytes = olefile.MAGIC
_MAX_ENTRIES = 20_000
_FREE = 0xFFFFFFFF
_FREE_AT_END = 8
# Of objects that are packages: any file, a program too, which starts when it is clicked.
_PACKAGES = {
    "0003000C-0000-0000-C000-000000000046",
    "F20DA720-C02F-11CE-927B-0800095AE340",
}
_MACRO_STORAGES = {"macros", "vba", "_vba_project", "_vba_project_cur"}
_NATIVE = "\x01ole10native"


class CompoundFile:
    """An opened compound file, all of whose streams are whole."""

    def __init__(self, ole: Any, content: Content) -> None:
        self._ole = ole
        self._content = content
        self.paths: list[list[str]] = ole.listdir(streams=True, storages=True)
        self._streams = {tuple(path) for path in ole.listdir()}
        self.names = {name.lower() for path in self.paths for name in path}

    def check_end(self) -> None:
        """Raise `Appended` if anything stands behind the last sector that is in use.

        Free sectors that the file has whole are its own, as many as Word may leave there. Raises
        `Damaged` if that last sector is cut, but for one of a stream, which some programs do not
        fill up.
        """
        size = self._ole.sector_size
        used = max((at for at, to in enumerate(self._ole.fat) if to != _FREE), default=0)
        end = (used + 2) * size
        free = len(self._content) - end
        if free < 0 and used not in self._last_sectors():
            raise Damaged
        if free % size == 0 and free <= _FREE_AT_END * size:
            return
        if not is_fill(self._content[end:]):
            raise Appended

    def _last_sectors(self) -> set[int]:
        """Return in which sectors the streams end that have sectors of their own."""
        ends = set()
        for entry in self._ole.direntries:
            if _is_stream(entry) and entry.size >= self._ole.minisectorcutoff:
                sector = entry.isectStart
                for _ in range(-(-entry.size // self._ole.sector_size) - 1):
                    sector = self._ole.fat[sector]
                ends.add(sector)
        return ends

    def has(self, name: str) -> bool:
        """Tell whether there is a stream of this name at the top."""
        return any(len(path) == 1 and path[0].lower() == name.lower() for path in self._streams)

    def read(self, path: tuple[str, ...]) -> bytes:
        """Return what is in a stream; raises `Damaged` where it is shorter than it says."""
        self._ole.parsing_issues.clear()
        content: bytes = self._ole.openstream(list(path)).read()
        if self._ole.parsing_issues:
            raise Damaged
        return content

    def streams(self) -> Iterator[tuple[tuple[str, ...], bytes]]:
        """Yield every stream with its path."""
        for path in sorted(self._streams):
            yield path, self.read(path)

    def has_macros(self) -> bool:
        """Tell whether a document in the file carries macros."""
        return bool(self.names & _MACRO_STORAGES)

    def is_package(self, path: tuple[str, ...], content: bytes) -> bool:
        """Tell whether a stream is that of an object that holds a file of any kind."""
        if path[-1].lower() != _NATIVE:
            return False
        storage = list(path[:-1])
        class_id = str(self._ole.getclsid(storage) if storage else self._ole.root.clsid).upper()
        return class_id in _PACKAGES or _looks_like_package(content)


@contextmanager
def opened(file: IO[bytes]) -> Iterator[CompoundFile]:
    """Open a compound file; raises `Damaged` and `FileTooComplex`, also while it is read."""
    content = content_of(file)
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as ole:
            if len(ole.direntries) > _MAX_ENTRIES:
                raise FileTooComplex("directory entries", _MAX_ENTRIES)
            sizes = (entry.size for entry in ole.direntries if _is_stream(entry))
            # In a bomb the streams share their sectors.
            if sum(sizes) > len(content):
                raise Damaged
            yield CompoundFile(ole, content)
    except (Damaged, Appended, FileTooComplex, MemoryError):
        raise
    except (OSError, ValueError, struct.error, RecursionError) as error:
        raise Damaged from error
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        # olefile fails in these ways too over a damaged directory.
        raise Damaged from error


def opened_bytes(content: bytes) -> Any:
    """Open a compound file that is a part of another one, as `opened` does."""
    return opened(io.BytesIO(content))


def _is_stream(entry: Any) -> bool:
    return entry is not None and entry.entry_type == olefile.STGTY_STREAM


def _looks_like_package(content: bytes) -> bool:
    """Tell whether the data of an object is a package, whatever its class says.

    [MS-OLEDS] has no word on it: a size, 2, a label, a path, and the file with its size.
    """
    if len(content) < 6 or content[4:6] != b"\2\0":
        return False
    label, _, rest = content[6:].partition(b"\0")
    path, _, rest = rest.partition(b"\0")
    if not label or not path or len(rest) < 8:
        return False
    (kind, length) = struct.unpack_from("<LL", rest)
    at = 8 + length
    if kind not in (0x30000, 0x10000) or len(rest) < at + 4:
        return False
    (size,) = struct.unpack_from("<L", rest, at)
    return bool(at + 4 + size <= len(rest))
