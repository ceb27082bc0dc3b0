"""Uploads that come in pieces: what has come of each, on this machine's disk.

Of an upload there are ``<id>.json``, which says what it is and how it ended, and ``<id>.part``,
whose length is how much has come. So it survives the process, and whoever shares the folder may go
on with it. It is forgotten so long after it last got something.

With a bucket the pieces wait here all the same. Its own multipart uploads would not help: what a
file is shows in its content, which would have to be fetched back, and their pieces have at least
5 MiB.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

FOLDER = ".partial"
_ID = re.compile(r"[\w.-]{1,80}")
_INFO, _PART, _CHUNK = ".json", ".part", ".chunk"


class Locked(Exception):
    """Another process is receiving a piece of the upload."""


class Superseded(Exception):
    """A later request has taken the upload over."""


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """What an upload is; ``length`` is in bytes, ``outcome`` how it ended, once it has."""

    id: str
    length: int
    room_name: str
    peer_id: str
    filename: str
    metadata: str
    outcome: dict[str, Any] | None = None


class PartialUploads:
    """The uploads of a folder; `worker_name` is what the ids of new ones begin with."""

    def __init__(self, folder: Path, keep_seconds: float, worker_name: str = "") -> None:
        self._folder = folder / FOLDER
        self._keep_seconds = keep_seconds
        self._prefix = f"{worker_name}." if worker_name else ""
        # Which request receives for an upload, of all that have: the last one.
        self._turns: dict[str, int] = {}
        # Which of them this process holds the lock of, and which are about to end.
        self._held: set[str] = set()
        self._ending: set[str] = set()
        # Between a look at whose turn it is and the write that it allows nobody takes over.
        self._guard = threading.Lock()

    def create(self, **what: Any) -> PartialUpload:
        """Begin an upload; raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        upload = PartialUpload(id=self._prefix + secrets.token_hex(16), **what)
        self.path(upload).touch()
        self._write(upload)
        return upload

    def find(self, upload_id: str) -> PartialUpload:
        """Return an upload; raises `LookupError` for one that is unknown or forgotten."""
        if not _ID.fullmatch(upload_id) or upload_id.startswith("."):
            raise LookupError(upload_id)
        try:
            upload = PartialUpload(**json.loads((self._folder / (upload_id + _INFO)).read_bytes()))
            if self.expires_at(upload) <= time.time():
                raise LookupError(upload_id)
        except FileNotFoundError:
            raise LookupError(upload_id) from None
        return upload

    def unfinished(self) -> Iterator[PartialUpload]:
        """Yield the uploads that have not ended."""
        for info in self._infos():
            with suppress(LookupError):
                upload = self.find(info.name.removesuffix(_INFO))
                if upload.outcome is None:
                    yield upload

    def path(self, upload: PartialUpload) -> Path:
        """Return where the bytes of an upload are."""
        return self._folder / (upload.id + _PART)

    def offset(self, upload: PartialUpload) -> int:
        """Return how many bytes have come."""
        if upload.outcome is not None:
            return upload.length
        return self.path(upload).stat().st_size

    def expires_at(self, upload: PartialUpload) -> float:
        """Return when an upload is forgotten, in seconds since 1970."""
        return (self._folder / (upload.id + _INFO)).stat().st_mtime + self._keep_seconds

    def take_over(self, upload: PartialUpload) -> int:
        """Let no earlier request of this process receive for an upload; return the turn."""
        with self._guard:
            turn = self._turns[upload.id] = self._turns.get(upload.id, 0) + 1
        return turn

    @contextmanager
    def receiving(self, upload: PartialUpload, turn: int, *, apart: bool) -> Generator[Piece]:
        """Give what takes a piece of an upload; with `apart` it counts only once it is accepted.

        Raises `Locked` while another process receives. An earlier request of this one stops before
        it writes again.
        """
        with self.path(upload).open("ab") as part, self._locked(upload, part):
            os.utime(self._folder / (upload.id + _INFO))
            if not apart:
                yield Piece(self, upload, turn, part, None)
                return
            chunk_path = self._folder / f"{upload.id}.{turn}{_CHUNK}"
            try:
                with chunk_path.open("w+b") as chunk:
                    yield Piece(self, upload, turn, part, chunk)
            finally:
                chunk_path.unlink(missing_ok=True)

    @contextmanager
    def ending(self, upload: PartialUpload) -> Generator[None]:
        """Let nobody else end an upload meanwhile; raises `Locked`."""
        with self._guard:
            if upload.id in self._ending:
                raise Locked
            self._ending.add(upload.id)
        try:
            yield
        finally:
            self._ending.discard(upload.id)

    def write(self, upload: PartialUpload, turn: int, file: IO[bytes], data: bytes) -> None:
        """Write a piece to a file; raises `Superseded` if a later request has taken over."""
        with self._guard:
            if self._turns.get(upload.id) != turn:
                raise Superseded
            file.write(data)
            # Whoever asks how much has come sees all that has.
            file.flush()

    def finish(self, upload: PartialUpload, outcome: dict[str, Any]) -> None:
        """Note how an upload ended, and remove its bytes."""
        self._write(replace(upload, outcome=outcome))
        self.path(upload).unlink(missing_ok=True)
        self._turns.pop(upload.id, None)

    def remove(self, upload: PartialUpload) -> None:
        """Forget an upload and what has come of it."""
        self._forget(upload.id)

    def sweep(self) -> None:
        """Forget what is kept long enough; raises `OSError`."""
        now = time.time()
        for info in self._infos():
            with suppress(FileNotFoundError):
                if info.stat().st_mtime + self._keep_seconds <= now:
                    self._forget(info.name.removesuffix(_INFO))

    @contextmanager
    def _locked(self, upload: PartialUpload, part: IO[bytes]) -> Generator[None]:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if upload.id not in self._held:
                raise Locked from None
            yield
            return
        self._held.add(upload.id)
        try:
            yield
        finally:
            self._held.discard(upload.id)

    def _infos(self) -> list[os.DirEntry[str]]:
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as entries:
            return [entry for entry in entries if entry.name.endswith(_INFO)]

    def _write(self, upload: PartialUpload) -> None:
        path = self._folder / (upload.id + _INFO)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(upload)))
        os.replace(draft, path)

    def _forget(self, upload_id: str) -> None:
        for suffix in (_PART, _INFO):
            (self._folder / (upload_id + suffix)).unlink(missing_ok=True)
        self._turns.pop(upload_id, None)


class Piece:
    """What takes a piece of an upload: onto its end, or apart until it is accepted."""

    def __init__(
        self,
        uploads: PartialUploads,
        upload: PartialUpload,
        turn: int,
        part: IO[bytes],
        chunk: IO[bytes] | None,
    ) -> None:
        self._uploads = uploads
        self._upload = upload
        self._turn = turn
        self._part = part
        self._chunk = chunk

    def write(self, data: bytes) -> None:
        """Take some bytes; raises `Superseded` and `OSError`."""
        self._uploads.write(self._upload, self._turn, self._chunk or self._part, data)

    def accept(self) -> None:
        """Let what was taken apart count; raises `Superseded` and `OSError`."""
        if self._chunk is not None:
            self._chunk.seek(0)
            self._uploads.write(self._upload, self._turn, self._part, self._chunk.read())
