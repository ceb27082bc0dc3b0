"""A small database with files and a backup of it, and ways to put it back or to die of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from presence.storage.blobs import LocalBlobs
from presence.storage.copies import backing_up, engines, restoring
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy
from tests.copies.filled import fill

WORKER = "w" * 32


class Kept:
    """A small database with files, and a backup of it."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/a.db"
        fill(self.url, 10)
        self.blobs = LocalBlobs(folder / "uploads", WORKER)
        self.blobs.folder.mkdir()
        for n in range(10):
            (self.blobs.folder / f"{n:032x}.txt").write_text("x")
        self.place = folder / "backup"
        backing_up.back_up(engines.open_database(self.url), self.blobs, self.place, print)


def restore(place: Path, url: str, uploads: Path, replace: bool = False) -> None:
    archive = Archive(place)
    restoring.check(archive, print)
    blobs = LocalBlobs(uploads, WORKER)
    restoring.restore(archive, engines.open_database(url), blobs, print, replace)


def is_whole(place: Path) -> bool:
    try:
        restoring.check(Archive(place), print)
    except CannotCopy:
        return False
    return True


def dies_at(target: Any, name: str, calls: int, act: Callable[[], Any]) -> bool:
    """Do something in a process of its own that is killed before the so-manieth call of a function.

    Returns whether it came so far.
    """
    child = os.fork()
    if not child:
        whole, left = getattr(target, name), itertools.count(calls, -1)

        def dying(*arguments: Any, **more: Any) -> Any:
            if not next(left):
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*arguments, **more)

        setattr(target, name, dying)
        with contextlib.suppress(BaseException):
            act()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL
