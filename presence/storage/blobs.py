"""The bytes of uploaded files, in a folder.

Files and their rows cannot change in one transaction, so every file on its way in or out stands
in a pending folder, and one rule repairs whatever a crash left there (`recover`): *a pending file
belongs in place exactly if its row exists.*

* An upload is written to the pending folder, its row is committed, then it is moved into place.
* A deletion moves the file to the pending folder, commits without the row, then removes it.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, cast

log = logging.getLogger(__name__)

PENDING = ".pending"
# After how many bytes of a file the disk is asked again.
_ASK_EVERY = 1024 * 1024
# Stands between the id of the worker that repairs a folder and that of the one it belonged to.
_CLAIMS = "+"


class BlobTooLarge(Exception):
    """More bytes were written to a pending file than its limit."""


class DiskNearlyFull(Exception):
    """Writing would leave less of the disk free than must stay free."""


class ObjectStoreError(OSError):
    """The bucket cannot be used just now; `reason` is what it answered.

    `is_lasting` where that will not change by itself: no such bucket, or no right to it.
    """

    def __init__(self, reason: str, *, is_lasting: bool = False) -> None:
        super().__init__(errno.EIO, f"the bucket cannot be used: {reason}")
        self.reason = reason
        self.is_lasting = is_lasting


# Where thumbnails are, and what stands in the name of one that is being made.
THUMBNAILS, _MAKING = ".thumbnails", "+"


class Thumbnails:
    """Small pictures of uploaded ones that this machine has made: each once, and again if need be.

    They go with their files. What is left of one that another machine deleted, `strays` tells.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / THUMBNAILS
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._locking = threading.Lock()

    def find(self, stored_name: str, make: Callable[[Path], bool]) -> Path | None:
        """Return where the thumbnail of a picture is; None where there can be none.

        `make` is called once for whoever asks at the same time: it writes one to a path, and tells
        whether it could, which is remembered. What it raises is raised here, and not remembered.
        """
        path = self.folder / stored_name
        if not path.exists():
            with self._alone(stored_name):
                if not path.exists():
                    self._make(path, make)
        return path if path.stat().st_size else None

    def forget(self, stored_names: Iterable[str]) -> None:
        """Remove the thumbnails of files that are gone."""
        for name in stored_names:
            (self.folder / name).unlink(missing_ok=True)

    def strays(self, known: Callable[[set[str]], set[str]]) -> set[str]:
        """Return the names here that no file has any more; `known` returns those that have one."""
        if not self.folder.is_dir():
            return set()
        names = {path.name for path in self.folder.iterdir() if _MAKING not in path.name}
        return names - known(names) if names else set()

    def _make(self, path: Path, make: Callable[[Path], bool]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}{_MAKING}{secrets.token_hex(4)}")
        try:
            if not make(made):
                made.write_bytes(b"")
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, stored_name: str) -> Generator[None]:
        """Let one at a time be busy with a name, and keep no lock that nobody waits for."""
        with self._locking:
            lock, count = self._locks.get(stored_name, (threading.Lock(), 0))
            self._locks[stored_name] = (lock, count + 1)
        try:
            with lock:
                yield
        finally:
            with self._locking:
                count = self._locks[stored_name][1] - 1
                if count:
                    self._locks[stored_name] = (lock, count)
                else:
                    del self._locks[stored_name]


class PendingBlob:
    """A file that is being received; ``file`` is what was written so far, to read it again.

    ``has_space`` tells whether the disk still takes so many bytes.
    """

    def __init__(self, path: Path, limit: int, has_space: Callable[[int], bool]) -> None:
        self._has_space = has_space
        # None once it was moved into place, where it is no longer ours to remove.
        self.path: Path | None = path
        self.limit = limit
        self.size = 0
        # What takes back what giving it a name has done elsewhere.
        self.undo: Callable[[], None] | None = None
        self.file = cast(IO[bytes], path.open("x+b"))

    def write(self, data: bytes) -> int:
        """Append `data`; raises `BlobTooLarge`, `DiskNearlyFull`, and `OSError` from the disk."""
        before = self.size
        self.size += len(data)
        if self.size > self.limit:
            raise BlobTooLarge
        # Many uploads at once may each have found room when they began.
        if before // _ASK_EVERY != self.size // _ASK_EVERY and not self._has_space(_ASK_EVERY):
            raise DiskNearlyFull
        return self.file.write(data)

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position; returns it."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self.file.tell()

    def flush(self) -> None:
        """Hand what was written to the operating system; raises `OSError` on a full disk."""
        self.file.flush()

    def replace(self, path: Path) -> None:
        """Take the content of another file, which goes, instead of what was written."""
        assert self.path is not None
        os.replace(path, self.path)
        self.file.close()
        self.file = cast(IO[bytes], self.path.open("r+b"))
        self.size = self.path.stat().st_size

    def discard(self) -> None:
        """Close the file and remove it if it was not moved into place. Safe to call twice."""
        with suppress(OSError):  # closing writes what is buffered, which a full disk refuses
            self.file.close()
        if self.path is None:
            return
        try:
            if self.undo is not None:
                self.undo()
        except OSError:
            # Its name stays in the pending folder, and `recover` goes by it.
            log.exception("the refused file %s could not be taken back yet", self.path.name)
        else:
            self.path.unlink(missing_ok=True)
        self.path = self.undo = None


class LocalBlobs:
    """Uploaded files in a folder of this machine.

    Every worker has a pending folder of its own below it, so that one worker never touches what
    another is still receiving. `min_free` bytes of the disk are left free.
    """

    def __init__(self, folder: Path, worker_id: str, min_free: int = 0) -> None:
        self.folder = folder
        self._min_free = min_free
        self._pending = folder / PENDING / worker_id
        self.thumbnails = Thumbnails(folder)

    def has_space(self, size: int) -> bool:
        """Tell whether `size` bytes more would leave enough of the disk free."""
        if not self._min_free:
            return True
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize - size >= self._min_free

    def receive(self, limit: int) -> PendingBlob:
        """Open a pending file of at most `limit` bytes; raises `OSError`."""
        self._pending.mkdir(parents=True, exist_ok=True)
        return PendingBlob(self._pending / secrets.token_hex(16), limit, self.has_space)

    def adopt(self, path: Path, limit: int) -> PendingBlob:
        """Return a pending file with the content of another one, which stays; raises `OSError`."""
        blob = self.receive(limit)
        assert blob.path is not None
        copied = blob.path.with_name(f"{blob.path.name}+")
        try:
            os.link(path, copied)
        except OSError:  # not every file system has links
            shutil.copyfile(path, copied)
        blob.replace(copied)
        return blob

    def name(self, blob: PendingBlob, stored_name: str) -> None:
        """Give a pending file its final name, still in the pending folder.

        Called before the row is committed, so that `recover` can find the row.
        """
        assert blob.path is not None
        blob.flush()
        named = self._pending / stored_name
        os.rename(blob.path, named)
        blob.path = named

    def keep(self, blob: PendingBlob, stored_name: str) -> None:
        """Move a received file into place; raises `OSError`."""
        os.rename(self._pending / stored_name, self.folder / stored_name)
        blob.path = None

    @contextmanager
    def deletion(self) -> Generator[Callable[[Iterable[str]], None]]:
        """Give a function that takes files out of place, to be called before their rows go.

        Wrap the transaction in it: when that fails, the files are put back, else they are removed.
        A missing file is no error.
        """
        withdrawn: list[str] = []

        def withdraw(stored_names: Iterable[str]) -> None:
            for name in stored_names:
                self._pending.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    os.rename(self.folder / name, self._pending / name)
                    withdrawn.append(name)

        try:
            yield withdraw
        except BaseException:
            for name in withdrawn:
                os.rename(self._pending / name, self.folder / name)
            raise
        for name in withdrawn:
            try:
                (self._pending / name).unlink(missing_ok=True)
            except OSError:
                # It is out of place and has no row; the next start removes it.
                log.exception("the deleted file %s could not be removed yet", name)
        self.thumbnails.forget(withdrawn)

    def try_writing(self) -> None:
        """Write and remove a file; raises `OSError` where no upload could be received."""
        blob = self.receive(1)
        try:
            blob.write(b"?")
            blob.flush()
        finally:
            blob.discard()

    def check_bucket(self) -> None:
        """Do nothing: there is no bucket."""

    def path(self, stored_name: str) -> Path:
        """Return where the bytes of a stored file are."""
        return self.folder / stored_name

    @contextmanager
    def at_hand(self, stored_name: str) -> Generator[Path]:
        """Give a path at which a stored file can be read, for as long as one is in it.

        Raises `FileNotFoundError` where it is gone, and `OSError`.
        """
        yield self.path(stored_name)

    @contextmanager
    def reading(self, stored_name: str) -> Generator[BinaryIO]:
        """Open the bytes of a stored file, also while it is on its way in or out.

        Raises `FileNotFoundError` where they are gone, and `OSError`.
        """
        file = self._open_anywhere(stored_name)
        try:
            yield file
        finally:
            file.close()

    def _open_anywhere(self, stored_name: str) -> BinaryIO:
        place = self.path(stored_name)
        pending = (self.folder / PENDING).glob(f"*/{stored_name}")
        for path in (place, *pending, place):
            with suppress(FileNotFoundError):
                return path.open("rb")
        raise FileNotFoundError(stored_name)

    def stored_before(self, instant: datetime) -> Iterator[str]:
        """Yield the names of the files in place that were written before an instant."""
        if not self.folder.is_dir():
            return
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        if entry.stat(follow_symlinks=False).st_mtime < instant.timestamp():
                            yield entry.name

    def remove(self, stored_name: str) -> None:
        """Remove a file that has no row; a missing one is no error."""
        self.path(stored_name).unlink(missing_ok=True)

    def recover(
        self, is_dead: Callable[[str], bool], known: Callable[[Iterable[str]], set[str]]
    ) -> None:
        """Repair what workers that died left pending.

        `is_dead` tells whether the worker of an id is dead; `known` returns which of some stored
        names have a row.
        """
        root = self.folder / PENDING
        folders = list(root.iterdir()) if root.is_dir() else []
        for folder in folders:
            if not folder.is_dir() or not is_dead(folder.name.split(_CLAIMS)[0]):
                continue
            # Several processes may start at once: the folder is the one's that renames it first.
            claimed = root / f"{self._pending.name}{_CLAIMS}{folder.name.split(_CLAIMS)[-1]}"
            try:
                os.rename(folder, claimed)
            except FileNotFoundError:
                continue
            names = {entry.name for entry in claimed.iterdir()}
            try:
                self._repair(claimed, known(names) & names)
                shutil.rmtree(claimed)
            except OSError:
                log.exception("pending files could not be repaired; the next start tries again")
                return

    def link(
        self, stored_name: str, content_type: str, download_name: str, inline: bool
    ) -> str | None:
        """Return None: files in a folder are served by this server itself."""
        return None

    def _repair(self, folder: Path, known: set[str]) -> None:
        """Move the pending files that have a row into place."""
        for name in known:
            os.rename(folder / name, self.folder / name)
