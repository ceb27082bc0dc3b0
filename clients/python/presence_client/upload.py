"""A file on its way to the server: a form (RFC 7578) that tells how much of it is gone."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from presence_client.errors import PresenceError

Progress = Callable[[int, int], Awaitable[None]]
Source = str | os.PathLike[str] | bytes | IO[bytes]

_CHUNK_BYTES = 64 * 1024


class Flag(Protocol):
    """Something that may be set, such as an Event of `threading` or of `asyncio`."""

    def is_set(self) -> bool:
        """Tell whether it is."""


class Form:
    """A form with some fields and then a file; a large one is never in memory as a whole."""

    def __init__(self, fields: dict[str, str], name: str, file: IO[bytes]) -> None:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{_quoted(name)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file if _is_seekable(file) else io.BytesIO(file.read())
        self._start = self._file.tell()
        self.size = len(self._head) + self._file_size() + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(self.size),
        }

    async def read(self, progress: Progress, abort: Flag | None) -> AsyncIterator[bytes]:
        """Yield the form's bytes, telling of them; raises `PresenceError` (``aborted``)."""
        sent = 0
        for part in self._parts():
            if abort is not None and abort.is_set():
                raise PresenceError("aborted", "The upload was aborted; nothing was stored.")
            yield part
            sent += len(part)
            await progress(sent, self.size)

    def _parts(self) -> Iterator[bytes]:
        yield self._head
        self._file.seek(self._start)
        while part := self._file.read(_CHUNK_BYTES):
            yield part
        yield self._tail

    def _file_size(self) -> int:
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(self._start)
        return end - self._start


def name_of(source: Source) -> str:
    """Return what a file is called where nobody says it."""
    name = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", "file")
    return Path(name).name if isinstance(name, (str, os.PathLike)) else "file"


def _is_seekable(file: IO[bytes]) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable is not None and seekable())


def _quoted(name: str) -> str:
    """Return a file's name as browsers write it into a form (HTML, “multipart form data”)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
