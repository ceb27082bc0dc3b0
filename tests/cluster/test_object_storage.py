"""Uploads in a bucket: whole or not there, found again, and repaired after a crash."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_s3 import BUCKET, PREFIX, PrivateS3
from local_cluster.waiting import eventually
from tests.support.commands import flask
from tests.support.paths import SAMPLES
from tests.support.rest import Rest, refusal

NewServer = Callable[..., LiveServer]


@pytest.fixture(scope="module")
def s3() -> Generator[PrivateS3]:
    """An S3 server for all tests of this file."""
    private = PrivateS3().start()
    yield private
    private.close()


@pytest.fixture
def bucket(s3: PrivateS3) -> PrivateS3:
    """An S3 server with an empty bucket."""
    s3.signal(signal.SIGCONT)
    s3.empty()
    return s3


@pytest.fixture
def server(bucket: PrivateS3, new_server: NewServer) -> LiveServer:
    """A server that keeps its uploads in the bucket, with alice in a room."""
    made = new_server(**bucket.settings)
    Rest(made).join("r", "alice")
    return made


def upload(server: LiveServer, content: bytes, name: str, peer_id: str = "alice") -> Any:
    return requests.post(
        f"{server.url}/api/webrtc/upload",
        files={"file": (name, content)},
        data={"room_name": "r", "peer_id": peer_id},
        timeout=60,
    )


def pending(server: LiveServer) -> list[str]:
    return server.stored_files()


@pytest.mark.parametrize(
    ("name", "disposition"),
    [("photo.png", "inline"), ("notes.pdf", "attachment"), ("notes.docx", "attachment")],
)
def test_a_file_comes_back_from_the_bucket_with_its_type_and_name(
    server: LiveServer, bucket: PrivateS3, name: str, disposition: str
) -> None:
    content = (SAMPLES / name).read_bytes()
    uploaded = upload(server, content, name).json()
    assert bucket.names() == [uploaded["filename"]]
    assert pending(server) == []
    address = server.url + uploaded["file_url"]
    redirect = requests.get(address, timeout=10, allow_redirects=False)
    assert redirect.status_code == 302
    assert urlsplit(redirect.headers["Location"]).port == bucket.port
    assert redirect.headers["Cache-Control"] == "no-store"
    served = requests.get(address, timeout=10)
    assert served.content == content
    assert served.headers["Content-Type"] == uploaded["content_type"]
    assert served.headers["Content-Disposition"] == f"{disposition}; filename*=UTF-8''{name}"


def test_pages_show_files_of_the_bucket_from_the_server_itself(
    server: LiveServer, bucket: PrivateS3
) -> None:
    content = (SAMPLES / "photo.png").read_bytes()
    address = f"/uploads/{upload(server, content, 'photo.png').json()['filename']}"
    small = requests.get(f"{server.url}{address}/thumbnail", timeout=30)
    assert (small.status_code, small.headers["Content-Type"]) == (200, "image/webp")
    shown = requests.get(f"{server.url}{address}/preview", timeout=10, allow_redirects=False)
    assert shown.content == content
    assert Rest(server).delete(f"/rooms/r/files/{address.rpartition('/')[2]}").ok
    assert pending(server) == bucket.names() == []


def test_a_large_file_goes_in_parts_and_takes_little_memory(
    bucket: PrivateS3, new_server: NewServer
) -> None:
    server = new_server(**bucket.settings, PRESENCE_MAX_UPLOAD_BYTES=100_000_000)
    Rest(server).join("r", "alice")
    upload(server, b"warm up", "a.txt")
    before = server.memory()
    content = b"x" * 60_000_000
    uploaded = upload(server, content, "big.txt").json()
    assert server.memory() - before < 40_000_000
    assert requests.get(server.url + uploaded["file_url"], timeout=60).content == content
    assert bucket.unfinished() == []


def test_what_is_refused_leaves_nothing_in_the_bucket(
    server: LiveServer, bucket: PrivateS3
) -> None:
    assert refusal(upload(server, b"text", "a.txt", peer_id="nobody")) == (404, "peer_not_found")
    assert refusal(upload(server, b"\x00\x01", "a.exe")) == (415, "file_type_refused")
    assert bucket.names() == []
    assert pending(server) == []


@pytest.mark.parametrize("way", ["file", "peer"])
def test_a_deletion_removes_the_object(server: LiveServer, bucket: PrivateS3, way: str) -> None:
    names = [upload(server, b"text", "a.txt").json()["filename"] for _ in range(3)]
    rest = Rest(server)
    if way == "file":
        assert rest.delete(f"/rooms/r/files/{names[0]}").ok
        assert bucket.names() == sorted(names[1:])
        assert refusal(requests.get(f"{server.url}/uploads/{names[0]}", timeout=10))[0] == 404
    else:
        assert rest.delete("/rooms/r/peers/alice").ok
        assert bucket.names() == []
    assert pending(server) == []


@pytest.mark.parametrize("state", ["stopped", "hung"])
def test_without_the_bucket_an_upload_is_answered_and_the_rest_goes_on(
    server: LiveServer, bucket: PrivateS3, state: str
) -> None:
    kept = upload(server, b"text", "kept.txt").json()["filename"]
    if state == "stopped":
        bucket.stop()
    else:
        bucket.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = upload(server, b"text", "a.txt")
        assert refusal(answer) == (503, "storage_unavailable")
        assert time.monotonic() - began < 40
        peer = Rest(server).peer("r", "alice")
        assert [file["filename"] for file in peer["files"]] == [kept]
    finally:
        if state == "hung":
            bucket.signal(signal.SIGCONT)
        else:
            bucket.start()
    assert upload(server, b"text", "b.txt").status_code == 200


def test_what_a_crash_left_is_repaired_at_the_next_start(
    server: LiveServer, bucket: PrivateS3
) -> None:
    names = [upload(server, b"text", "a.txt").json()["filename"] for _ in range(3)]
    folder = next((server.uploads / ".pending").iterdir(), None)
    server.kill()
    assert folder is not None
    stored, lost, unwanted = names[0], names[1], "f" * 32 + ".txt"
    # As a crash would leave them: in the bucket with its row, the pending file not yet gone; a row
    # whose object is missing; an object whose row was not committed; a deletion that was not.
    (folder / stored).write_bytes(b"text")
    (folder / lost).write_bytes(b"text")
    bucket.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{lost}")
    (folder / unwanted).write_bytes(b"text")
    bucket.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{unwanted}", Body=b"text")
    (folder / names[2]).touch()
    (folder / "0123456789abcdef").write_bytes(b"half")
    server.start()
    assert bucket.names() == sorted(names)
    assert pending(server) == []
    assert requests.get(f"{server.url}/uploads/{lost}", timeout=10).content == b"text"


def test_a_server_starts_without_its_bucket_and_repairs_later(
    server: LiveServer, bucket: PrivateS3
) -> None:
    name = upload(server, b"text", "a.txt").json()["filename"]
    folder = next((server.uploads / ".pending").iterdir())
    server.kill()
    bucket.signal(signal.SIGSTOP)
    unwanted = "f" * 32 + ".txt"
    (folder / unwanted).write_bytes(b"text")
    server.start(seconds=60)
    server.kill()
    bucket.signal(signal.SIGCONT)
    bucket.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{unwanted}", Body=b"text")
    server.start()
    eventually(lambda: bucket.names() == [name], "the bucket is as it should be")
    assert pending(server) == []


def test_objects_without_a_row_are_swept_away(server: LiveServer, bucket: PrivateS3) -> None:
    kept = upload(server, b"text", "a.txt").json()["filename"]
    for name in ("0" * 32 + ".txt", "README"):
        bucket.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=b"lost")
    time.sleep(1.1)  # the age of an object is known to the second
    ran = flask("sweep", "--orphans", "1s", **server.settings)
    assert ran.returncode == 0, ran.stderr
    assert "and 1 file without a row" in ran.stdout
    assert bucket.names() == sorted([kept, "README"])
