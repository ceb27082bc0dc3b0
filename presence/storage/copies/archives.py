"""A backup as it lies on a disk: a folder, or the same packed as a tar.

``backup.json`` names everything else with its SHA-256, and is written last: without it a folder is
no backup. ``rows/<table>.jsonl.gz`` has the rows, ``files.jsonl`` the names, sizes and SHA-256 of
the uploaded files, ``files/`` their bytes. Nothing but Python is needed to read it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import orjson

from presence.storage.copies.engines import CannotCopy

FORMAT = 1
MANIFEST = "backup.json"
FILES = "files.jsonl"
_SAFE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,100}")
_CHUNK = 1024 * 1024


def rows_of(table: str) -> str:
    """Return where the rows of a table are."""
    return f"rows/{table}.jsonl.gz"


def bytes_of(stored_name: str) -> str:
    """Return where the bytes of a file are; raises `CannotCopy` for what is no name of a file."""
    if not _SAFE.fullmatch(stored_name):
        raise CannotCopy(f"{stored_name!r} is no name of a stored file.")
    return f"files/{stored_name}"


def copy(source: IO[bytes], target: Callable[[bytes], Any]) -> tuple[int, str]:
    """Hand over all bytes; return how many there were, and their SHA-256."""
    size, sha256 = 0, hashlib.sha256()
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        sha256.update(chunk)
        target(chunk)
    return size, sha256.hexdigest()


class NewArchive:
    """A backup that is being made, in a folder beside its place; `finish` moves it there."""

    def __init__(self, place: Path) -> None:
        if place.exists():
            raise CannotCopy(f"{place} is there already, and a backup overwrites nothing.")
        self.place = place
        self.folder = place.with_name(f".{place.name}.unfinished")
        # Of one that was ended by force.
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self.folder.mkdir(parents=True, mode=0o700)
            for part in ("rows", "files"):
                (self.folder / part).mkdir(mode=0o700)
        except OSError:
            self.discard()
            raise

    def create(self, name: str) -> IO[bytes]:
        """Open one of its files, to be written."""
        return cast(
            IO[bytes],
            os.fdopen(
                os.open(self.folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
            ),
        )

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of one of its files."""
        with (self.folder / name).open("rb") as file:
            return copy(file, lambda _: None)[1]

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write what makes it a backup, and move it to its place, packed if that ends in .tar."""
        with self.create(MANIFEST) as file:
            file.write(orjson.dumps({"format": FORMAT, **manifest}, option=orjson.OPT_INDENT_2))
        done = self._pack() if self.place.suffix == ".tar" else self.folder
        for path in [done] if done.is_file() else [*done.rglob("*"), done]:
            _sync(path)
        if self.place.exists():
            raise CannotCopy(f"{self.place} was made meanwhile, and a backup overwrites nothing.")
        os.rename(done, self.place)
        _sync(self.place.absolute().parent)

    def discard(self) -> None:
        """Remove what has not become a backup. Safe to call after `finish`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._packed.unlink(missing_ok=True)

    @property
    def _packed(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.tar")

    def _pack(self) -> Path:
        """Make a tar of the folder, whose files go as they are packed: they may be large."""
        descriptor = os.open(self._packed, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for name in [MANIFEST, FILES, *self._rest()]:
                tar.add(self.folder / name, name)
                (self.folder / name).unlink()
        shutil.rmtree(self.folder)
        return self._packed

    def _rest(self) -> Iterator[str]:
        for part in ("rows", "files"):
            for path in sorted((self.folder / part).iterdir()):
                yield f"{part}/{path.name}"


class Archive:
    """A backup that is read; raises `CannotCopy` where it is none."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._tar: tarfile.TarFile | None = None
        if place.is_file():
            try:
                self._tar = tarfile.open(place)  # noqa: SIM115
                self._members = {member.name: member for member in self._tar if member.isreg()}
            except (tarfile.TarError, EOFError) as error:
                raise CannotCopy(f"{place} is no backup, or only a part of one: {error}.") from None
        try:
            with self.open(MANIFEST) as file:
                self.manifest: dict[str, Any] = orjson.loads(file.read())
            known = self.manifest["format"] == FORMAT
        except (ValueError, TypeError, KeyError):
            raise CannotCopy(f"{place} is no backup: {MANIFEST} in it cannot be read.") from None
        if not known:
            raise CannotCopy(
                f"{place} was made by a version that this one does not know. Restore it with that."
            )

    def open(self, name: str) -> IO[bytes]:
        """Open one of its files."""
        missing = CannotCopy(f"{self.place} is no whole backup: {name} is missing in it.")
        if self._tar is None:
            try:
                return (self.place / name).open("rb")
            except (FileNotFoundError, NotADirectoryError):
                raise missing from None
        if name not in self._members:
            raise missing
        return cast(IO[bytes], self._tar.extractfile(self._members[name]))

    def check(self, name: str, sha256: str, size: int | None = None) -> None:
        """Read one of its files; raises `CannotCopy` if it is not what was written."""
        with self.open(name) as file:
            try:
                found = copy(file, lambda _: None)
            except (tarfile.TarError, EOFError):
                found = (-1, "")
        if found[1] != sha256 or size not in (None, found[0]):
            raise CannotCopy(f"{self.place} is damaged: {name} is not as it was written.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
