"""``flask backup`` beside a busy server is whole, and one that is damaged or unfinished is none."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from sqlalchemy import text

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.waiting import eventually
from presence.storage.copies import archives, backing_up, engines, restoring, rows
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy
from tests.copies.filled import sums
from tests.copies.kept import Kept, dies_at, is_whole
from tests.support.commands import flask

WRITERS = 10


class Writer:
    """Joins, updates, uploads and deletes, and knows what it was told is done."""

    def __init__(self, server: LiveServer, number: int) -> None:
        self.rooms = f"{server.url}/api/webrtc/rooms"
        self.upload_url = f"{server.url}/api/webrtc/upload"
        self.room, self.peer = f"room {number % 3}", f"peer {number}"
        self.count = 0
        self.files: list[str] = []
        self.http = requests.Session()

    def write(self) -> None:
        """Do a little of everything; a deleted file is forgotten before it goes."""
        data = {"username": "Ada", "user_data": {"count": self.count + 1}}
        self._post(f"{self.rooms}/{self.room}/join", json={"peer_id": self.peer, **data})
        self.count += 1
        form = {"room_name": self.room, "peer_id": self.peer}
        content = {"file": ("a.txt", f"{self.peer} {self.count}".encode())}
        self.files.append(self._post(self.upload_url, data=form, files=content)["filename"])
        if self.count % 2:
            gone = self.files.pop()
            assert self.http.delete(f"{self.rooms}/{self.room}/files/{gone}", timeout=30).ok

    def _post(self, url: str, **body: Any) -> Any:
        answer = self.http.post(url, timeout=30, **body)
        assert answer.ok, answer.text
        return answer.json()


@contextlib.contextmanager
def busy(writers: list[Writer]) -> Any:
    """Let all write, again and again, for as long as the block lasts."""
    over = threading.Event()

    def go_on(writer: Writer) -> None:
        while not over.is_set():
            writer.write()

    threads = [threading.Thread(target=go_on, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_of_a_busy_server_has_what_was_acknowledged_and_every_file(
    kind: str,
    postgresql: PrivatePostgresql,
    new_server: Callable[..., LiveServer],
    tmp_path: Path,
) -> None:
    limits = {"PRESENCE_UPLOADS_PER_MINUTE": 0, "PRESENCE_MAX_FILES_PER_PEER": 0}
    other = {"DATABASE_URL": postgresql.new_database()} if kind == "postgresql" else {}
    server = new_server(**limits, **other)
    writers = [Writer(server, number) for number in range(WRITERS)]
    with busy(writers):
        eventually(lambda: all(writer.count > 2 for writer in writers), "all have written", 60)
        # One that is deleted while the backup runs is the last: it may be in it or not.
        before = {w.peer: (w.count, list(w.files)[:-1]) for w in writers}
        place = tmp_path / "backups" / "first.tar"
        made = flask("backup", str(place), **server.settings)
        assert made.returncode == 0, made.stderr
        after = {writer.peer: writer.count for writer in writers}
    # A quick backup of a slow machine is not time enough for each of them.
    assert any(after[peer] > count for peer, (count, _) in before.items()), "it was busy"
    assert "no bytes" not in made.stderr
    assert place.stat().st_mode & 0o077 == 0
    server.kill()

    url = postgresql.new_database() if kind == "sqlite" else f"sqlite:///{tmp_path}/restored.db"
    uploads = tmp_path / "restored"
    done = flask("restore", str(place), DATABASE_URL=url, UPLOAD_DIR=uploads)
    assert done.returncode == 0, done.stderr
    kept = {table["name"]: table for table in Archive(place).manifest["tables"]}
    for name, found in sums(url).items():
        assert found == {"rows": kept[name]["rows"], "sum": kept[name]["sum"]}, name
    with engines.snapshot(engines.open_database(url)) as connection:
        counts: dict[str, Any] = dict(
            connection.execute(text("SELECT peer_id, user_data FROM peers")).all()
        )
        names = set(connection.execute(text("SELECT stored_name FROM files")).scalars())
    for peer, (count, files) in before.items():
        data = counts[peer]
        data = orjson.loads(data) if isinstance(data, str) else data
        assert data["count"] >= count, peer
        assert set(files) <= names, peer
    stored = {path.name for path in uploads.iterdir() if path.is_file()}
    assert stored == names
    assert all((uploads / name).read_text().startswith("peer ") for name in names)


def test_any_damage_is_found_before_anything_is_touched(kept: Kept, tmp_path: Path) -> None:
    def damaged(name: str, change: Callable[[Path], Any]) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(kept.place, copy)
        change(copy / name)
        assert not is_whole(copy), f"{name} is damaged, and nobody sees it"
        shutil.rmtree(copy)

    def flipped(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    every = [str(p.relative_to(kept.place)) for p in kept.place.rglob("*") if p.is_file()]
    assert len(every) > 20
    for name in every:
        damaged(name, Path.unlink)
        damaged(name, lambda path: path.write_bytes(path.read_bytes()[:-1]))
        if name != archives.MANIFEST:
            damaged(name, flipped)
    packed = tmp_path / "b.tar"
    backing_up.back_up(engines.open_database(kept.url), kept.blobs, packed, print)
    whole = packed.read_bytes()
    assert is_whole(packed)
    for eighths in range(6):  # at its end is only padding
        packed.write_bytes(whole[: len(whole) * eighths // 8])
        assert not is_whole(packed), eighths


def test_names_that_lead_elsewhere_are_refused(kept: Kept, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(kept.place, copy)
    entry = {"name": "../../evil", "size": 1, "sha256": "x"}
    (copy / archives.FILES).write_bytes(orjson.dumps(entry))
    manifest = orjson.loads((copy / archives.MANIFEST).read_bytes())
    with (copy / archives.FILES).open("rb") as file:
        manifest["files"]["sha256"] = archives.copy(file, lambda _: None)[1]
    (copy / archives.MANIFEST).write_bytes(orjson.dumps(manifest))
    with pytest.raises(CannotCopy, match="no name of a stored file"):
        restoring.check(Archive(copy), print)


def test_a_backup_that_is_killed_anywhere_is_none(kept: Kept, tmp_path: Path) -> None:
    place = tmp_path / "b.tar"
    engine = engines.open_database(kept.url)
    for target, name, calls in ((archives, "copy", 3), (rows, "line", 5), (os, "rename", 0)):
        died = dies_at(
            target, name, calls, lambda: backing_up.back_up(engine, kept.blobs, place, print)
        )
        assert died, name
        assert not place.exists()
    backing_up.back_up(engine, kept.blobs, place, print)
    restoring.check(Archive(place), print)
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_a_file_that_is_deleted_meanwhile_takes_its_row_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)
    engine = engines.open_database(kept.url)
    whole, gone = backing_up._stored_names, f"{3:032x}.txt"
    calls = itertools.count()

    def deleted_after_it_was_seen(connection: Any) -> list[str]:
        names = whole(connection)
        number = next(calls)
        if number == 1:  # the rows are frozen, and its bytes were not copied before
            (kept.blobs.folder / gone).unlink()
            with engines.changing(engine) as other:
                other.execute(text(f"DELETE FROM files WHERE stored_name = '{gone}'"))
        return names if number else [name for name in names if name != gone]

    monkeypatch.setattr(backing_up, "_stored_names", deleted_after_it_was_seen)
    made = backing_up.back_up(engine, kept.blobs, tmp_path / "second", print)
    assert made.files == 9
    assert not made.lost
    lost = f"{4:032x}.txt"
    (kept.blobs.folder / lost).unlink()
    monkeypatch.undo()
    monkeypatch.setattr(backing_up, "_PAUSE_SECONDS", 0)
    assert backing_up.back_up(engine, kept.blobs, tmp_path / "third", print).lost == [lost]
