"""``flask backup`` beside a busy server is whole, and ``flask restore`` gives all or nothing."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import shutil
import signal
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
from local_cluster.private_s3 import BUCKET, CREDENTIALS, PREFIX, PrivateS3
from local_cluster.waiting import eventually
from presence.storage import schema
from presence.storage.blobs import LocalBlobs
from presence.storage.copies import archives, backing_up, engines, moving, restoring, rows
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy
from presence.storage.s3_blobs import S3Blobs
from tests.copies.filled import fill, sums
from tests.support.commands import flask

WRITERS = 10
WORKER = "w" * 32


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
    assert all(after[peer] > count for peer, (count, _) in before.items()), "it was busy"
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


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"))


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


def test_a_restore_that_is_killed_anywhere_leaves_the_old_database_or_the_new(
    kept: Kept, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    new = sums(kept.url)
    for number, url in enumerate((f"sqlite:///{tmp_path}/a.db", postgresql.new_database())):
        fill(url, 3)
        old = sums(url)
        uploads = tmp_path / f"uploads{number}"
        stages: list[tuple[Any, str, int]] = [(moving, "insert_page", n) for n in (0, 4)] + [
            (moving, "count_on", 0)
        ]
        stages += [(archives, "copy", 30), (LocalBlobs, "name", 2), (LocalBlobs, "keep", 2)]
        stages += [(schema, "migrate", 0)]
        if url.startswith("sqlite"):
            stages += [(os, "replace", 0), (os, "link", 0)]
        for target, name, calls in stages:
            died = dies_at(target, name, calls, lambda: restore(kept.place, url, uploads, True))  # noqa: B023
            assert died, (url, name)
            assert sums(url) == old, (url, name)
        restore(kept.place, url, uploads, True)
        assert sums(url) == new
        assert len([path for path in uploads.iterdir() if path.is_file()]) == 10
    assert not list(tmp_path.glob("*.restoring*"))


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


def test_what_is_there_is_replaced_only_when_told(
    kept: Kept, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    for url in (f"sqlite:///{tmp_path}/a.db", postgresql.new_database()):
        fill(url, 3)
        old = sums(url)
        with pytest.raises(CannotCopy, match="--replace"):
            restore(kept.place, url, tmp_path / "uploads")
        assert sums(url) == old
        restore(kept.place, url, tmp_path / "uploads", replace=True)
        assert sums(url) == sums(kept.url)
    aside = min(tmp_path.glob("a.db.before-*"))  # and what its log has
    assert sums(f"sqlite:///{aside}")["peers"]["rows"] == 3
    strange = postgresql.new_database()
    with engines.changing(engines.open_database(strange)) as connection:
        connection.execute(text("CREATE TABLE invoices (id int)"))
    with pytest.raises(CannotCopy, match="invoices"):
        restore(kept.place, strange, tmp_path / "uploads", replace=True)


def test_a_full_disk_leaves_everything_as_it_was(
    kept: Kept, small_disk: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{small_disk}/a.db"
    fill(url, 3)
    old = sums(url)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    refused = flask(
        "restore", "--replace", str(kept.place), DATABASE_URL=url, UPLOAD_DIR=tmp_path / "up"
    )
    assert refused.returncode != 0
    assert "full" in refused.stderr or "No space" in refused.stderr
    with pytest.raises(OSError, match="No space"):
        backing_up.back_up(
            engines.open_database(kept.url), kept.blobs, small_disk / "backup", print
        )
    assert not [path for path in small_disk.iterdir() if "backup" in path.name]
    filler.unlink()
    assert sums(url) == old
    restore(kept.place, url, tmp_path / "up", replace=True)
    assert sums(url) == sums(kept.url)


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    kept: Kept, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(kept.place, old)
    manifest = orjson.loads((old / archives.MANIFEST).read_bytes())
    manifest["revision"] = "0009"
    later = {"maintenance", "outbox", "events", "event_log", "webhook_queue", "webhook_failures"}
    manifest["tables"] = [table for table in manifest["tables"] if table["name"] not in later]
    for name in later:
        (old / archives.rows_of(name)).unlink()
    (body,) = [table for table in manifest["tables"] if table["name"] == "peers"]
    described = rows.Described.of(body)
    place = [name for name, _, _ in described.columns].index("away_reason")
    every = [
        [*row[:place], *row[place + 1 :]]
        for page in restoring._pages(Archive(old), described)
        for row in page
    ]
    del body["columns"][place]
    digest = rows.Digest()
    digest.add(every)
    new = archives.NewArchive(tmp_path / "rows")
    with new.create("peers") as raw, gzip.GzipFile(fileobj=raw, mode="wb") as packed:
        packed.write(b"".join(map(rows.line, every)))
    shutil.copy(new.folder / "peers", old / archives.rows_of("peers"))
    body |= {**digest.body(), "sha256": new.sha256("peers")}
    (old / archives.MANIFEST).write_bytes(orjson.dumps(manifest))
    for url in (f"sqlite:///{tmp_path}/a.db", postgresql.new_database()):
        restore(old, url, tmp_path / "uploads")
        found, whole = sums(url), sums(kept.url)
        assert found.pop("peers")["rows"] == whole.pop("peers")["rows"]
        assert {name: found[name] for name in found.keys() - later} == {
            name: whole[name] for name in whole.keys() - later
        }
        assert found["event_log"]["rows"] == 1
        with engines.snapshot(engines.open_database(url)) as connection:
            assert schema.revision(connection) == schema.HEAD
    manifest["revision"] = "9999"
    (old / archives.MANIFEST).write_bytes(orjson.dumps(manifest))
    with pytest.raises(CannotCopy, match="version"):
        restoring.check(Archive(old), print)


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


def test_files_in_a_bucket_are_kept_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = PrivateS3().start()
    try:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        url, client = f"sqlite:///{tmp_path}/a.db", s3.client()
        fill(url, 5)
        names = {f"{PREFIX}/{n:032x}.txt" for n in range(5)}
        for name in names:
            client.put_object(Bucket=BUCKET, Key=name, Body=b"x")
        address = s3.settings["UPLOAD_URL"]
        blobs = S3Blobs(address, tmp_path / "uploads", WORKER, endpoint=s3.endpoint)
        place = tmp_path / "b.tar"
        made = backing_up.back_up(engines.open_database(url), blobs, place, print)
        assert (made.files, made.lost) == (5, [])
        s3.empty()
        archive, other = Archive(place), f"sqlite:///{tmp_path}/b.db"
        restoring.check(archive, print)
        restoring.restore(archive, engines.open_database(other), blobs, print, replace=False)
        found = client.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert {item["Key"] for item in found} == names
        assert not [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
        assert sums(other) == sums(url)
    finally:
        s3.close()
