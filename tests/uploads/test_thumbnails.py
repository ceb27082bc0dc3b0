"""Thumbnails: small, made once and beside the server, gone with their files, and shut like them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from PIL import Image

from local_cluster.live_server import LiveServer
from presence.storage.blobs import THUMBNAILS, Thumbnails
from tests.support.paths import SAMPLES
from tests.uploads.makers import png_header


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = LiveServer(tmp_path_factory.mktemp("thumbnails")).start()
    body = {"peer_id": "ada", "username": "Ada"}
    requests.post(f"{server.url}/api/webrtc/rooms/r/join", json=body, timeout=10).raise_for_status()
    yield server
    server.kill()


def upload(live: LiveServer, name: str, content: bytes) -> str:
    answer = requests.post(
        f"{live.url}/api/webrtc/upload",
        data={"room_name": "r", "peer_id": "ada"},
        files={"file": (name, content)},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["filename"])


def thumbnail(live: LiveServer, filename: str) -> requests.Response:
    return requests.get(f"{live.url}/uploads/{filename}/thumbnail", timeout=60)


def picture(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 64).convert("RGB").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_thumbnail_is_small_and_upright_and_made_once(live: LiveServer, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    given = picture(kind, (1600, 800), **({"exif": exif} if kind == "JPEG" else {}))
    filename = upload(live, f"p.{kind.lower().replace('jpeg', 'jpg')}", given)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: thumbnail(live, filename), range(4)))
    assert len({answer.content for answer in answers}) == 1
    made = live.uploads / THUMBNAILS / filename
    before = made.stat().st_mtime_ns
    answer = thumbnail(live, filename)
    assert made.stat().st_mtime_ns == before
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    assert "private" in answer.headers["Cache-Control"]
    with Image.open(io.BytesIO(answer.content)) as small:
        assert small.size == ((160, 320) if kind == "JPEG" else (320, 160))
        assert not small.getexif()
    assert len(answer.content) < min(30_000, len(given))


def test_it_goes_with_its_file_and_is_asked_for_of_pictures_alone(live: LiveServer) -> None:
    filename = upload(live, "photo.png", (SAMPLES / "photo.png").read_bytes())
    assert thumbnail(live, filename).status_code == 200
    address = f"{live.url}/api/webrtc/rooms/r/files/{filename}"
    requests.delete(address, timeout=10).raise_for_status()
    assert not [name for name in live.stored_files() if filename in name]
    for name in (filename, "nothing.png", "..%2Fapp.py"):
        assert thumbnail(live, name).status_code == 404
    text = upload(live, "a.txt", b"words\n")
    assert thumbnail(live, text).status_code == 404


def test_a_pdf_is_shown_within_pages_and_nothing_in_it_runs(live: LiveServer) -> None:
    content = (SAMPLES / "notes.pdf").read_bytes()
    filename = upload(live, "notes.pdf", content)
    answer = requests.get(f"{live.url}/uploads/{filename}/preview", timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (content, "application/pdf")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["Content-Disposition"] == "inline; filename*=UTF-8''notes.pdf"
    text = upload(live, "notes.txt", (SAMPLES / "notes.txt").read_bytes())
    (live.uploads / filename).unlink()
    for name in (text, filename, "nothing.pdf"):
        assert requests.get(f"{live.url}/uploads/{name}/preview", timeout=10).status_code == 404


def test_what_would_unfold_to_too_much_is_refused_before_it_is_and_keeps_nobody_waiting(
    live: LiveServer,
) -> None:
    # Accepted as a file, whose structure is sound: 100 million pixels in a few kilobytes.
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, "PNG")
    filename = upload(live, "bomb.png", bomb.getvalue())
    slowest, stop = [0.0], threading.Event()

    def look() -> None:
        session = requests.Session()
        while not stop.is_set():
            began = time.monotonic()
            session.get(f"{live.url}/healthz", timeout=30)
            slowest[0] = max(slowest[0], time.monotonic() - began)

    looking = threading.Thread(target=look)
    looking.start()
    answers = [thumbnail(live, filename).status_code for _ in range(3)]
    stop.set()
    looking.join()
    assert answers == [404] * 3
    assert slowest[0] < 1
    # That there is none is remembered.
    assert (live.uploads / THUMBNAILS / filename).stat().st_size == 0


def test_a_file_that_was_changed_on_the_disk_stalls_nothing(live: LiveServer) -> None:
    for head in (png_header(60_000, 60_000), b"", b"\xff\xd8\xff\xe0junk"):
        filename = upload(live, "photo.png", (SAMPLES / "photo.png").read_bytes())
        (live.uploads / filename).write_bytes(head)
        assert thumbnail(live, filename).status_code == 404


def test_thumbnails_of_files_that_another_machine_deleted_are_strays(
    tmp_path: Any,
) -> None:
    def draw(path: Any) -> bool:
        path.write_bytes(b"x")
        return True

    def draw_not(_path: Any) -> bool:
        raise TimeoutError

    kept = Thumbnails(tmp_path)
    for name in ("a.png", "b.png"):
        assert kept.find(name, draw) == tmp_path / THUMBNAILS / name
    with pytest.raises(TimeoutError):
        kept.find("c.png", draw_not)
    known: Callable[[set[str]], set[str]] = {"a.png"}.intersection
    assert kept.strays(known) == {"b.png"}
    kept.forget(["b.png", "never.png"])
    assert kept.strays(known) == set()
    assert [path.name for path in kept.folder.iterdir()] == ["a.png"]
