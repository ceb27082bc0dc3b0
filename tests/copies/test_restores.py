"""``flask restore`` gives all or nothing, into either database, a folder or a bucket."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.private_s3 import BUCKET, CREDENTIALS, PREFIX, PrivateS3
from presence.storage import schema
from presence.storage.blobs import LocalBlobs
from presence.storage.copies import archives, backing_up, engines, moving, restoring, rows
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy
from presence.storage.s3_blobs import S3Blobs
from tests.copies.filled import fill, sums
from tests.copies.kept import WORKER, Kept, dies_at, restore
from tests.support.commands import flask


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


# Of what rooms have kept.
NUMBERS = {"data_version", "last_broadcast", "gone_broadcast"}


def test_a_backup_of_an_older_version_is_brought_up_to_date(
    kept: Kept, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(kept.place, old)
    manifest = orjson.loads((old / archives.MANIFEST).read_bytes())
    manifest["revision"] = "0009"
    later = {"maintenance", "outbox", "events", "event_log", "webhook_queue", "webhook_failures"}
    later |= {"revocations", "knocks", "idempotency_keys", "room_data", "broadcasts"}
    manifest["tables"] = [table for table in manifest["tables"] if table["name"] not in later]
    for name in later:
        (old / archives.rows_of(name)).unlink()
    new = archives.NewArchive(tmp_path / "rows")
    for name, columns in {
        "peers": {"away_reason", "grants"},
        "recoveries": {"states", "data_notices"},
        "rooms": {
            "is_made",
            "keep_inactive",
            "password_hash",
            "has_lobby",
            *NUMBERS,
        },
    }.items():
        (body,) = [table for table in manifest["tables"] if table["name"] == name]
        described = rows.Described.of(body)
        kept_places = [
            place for place, column in enumerate(described.columns) if column[0] not in columns
        ]
        every = [
            [row[place] for place in kept_places]
            for page in restoring._pages(Archive(old), described)
            for row in page
        ]
        body["columns"] = [body["columns"][place] for place in kept_places]
        digest = rows.Digest()
        digest.add(every)
        with new.create(name) as raw, gzip.GzipFile(fileobj=raw, mode="wb") as packed:
            packed.write(b"".join(map(rows.line, every)))
        shutil.copy(new.folder / name, old / archives.rows_of(name))
        body |= {**digest.body(), "sha256": new.sha256(name)}
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
