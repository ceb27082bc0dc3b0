"""Uploads made at random from samples, disguises and noise: all are answered, and leave no harm."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from presence.domain.files import file_types
from tests.keeping.conftest import Keeper
from tests.keeping.disguises import ACCEPTED, REFUSED
from tests.support.paths import SAMPLES

# How many uploads; PRESENCE_TEST_UPLOADS makes it a campaign, and PRESENCE_TEST_SEED repeats one.
UPLOADS = int(os.environ.get("PRESENCE_TEST_UPLOADS", "150"))
SEED = int(os.environ.get("PRESENCE_TEST_SEED", "1"))
MAX_BYTES = 400_000

CONTENTS = [
    *(path.read_bytes() for path in sorted(SAMPLES.iterdir())),
    *(content for content, *_ in ACCEPTED.values()),
    *(content for content, *_ in REFUSED.values() if len(content) < MAX_BYTES),
]
EXTENSIONS = ["jpg", "jpeg", "JPG", "png", "gif", "webp", "pdf", "doc", "docx", "txt"]
STEMS = [
    b"../../../etc/cron.d/x",
    b"..\\..\\windows\\x",
    b"/absolute/x",
    b"C:\\x",
    b"a\0b",
    b"a\r\nSet-Cookie: x=1\r\n",
    b"a\r\n\r\n<script>alert(1)</script>",
    "\u202egpj.exe".encode(),
    "\u2066x\u2069".encode(),
    "é日本🎉".encode(),
    b"\xff\xfe\xc3",
    b'a"; filename="b',
    b"a%00b%2e%2e%2f",
    b"<img src=x onerror=alert(1)>",
    b"CON",
    b"nul",
    b"LPT1",
    b"x" * 4096,
    b"." * 300,
    b" ",
    b"",
    b".htaccess",
    b".pending/x",
]


@dataclass
class Upload:
    """What is sent: a body made by hand, so that nothing about it is tidied on the way."""

    body: bytes
    content: bytes
    boundary: bytes = b"b0undary"


def content(rng: random.Random) -> bytes:
    """A file: as it is, changed here and there, cut, joined with another one, or noise."""
    base = bytearray(rng.choice(CONTENTS))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
        at, length = rng.randrange(len(base) + 1), rng.randrange(1, 200)
        how = rng.randrange(7)
        if how == 0 and base:
            base[at % len(base)] = rng.randrange(256)
        elif how == 1:
            base[at : at + length] = rng.randbytes(length)
        elif how == 2:
            del base[at:]
        elif how == 3:
            base += rng.choice(CONTENTS)[:MAX_BYTES]
        elif how == 4:
            base[:0] = rng.choice((b"\0", b"<script>", b"MZ", b"#!/bin/sh\n", b"%!PS"))
        elif how == 5:
            base[at:at] = base[at : at + length] * rng.randrange(1, 50)
        else:
            base = bytearray(rng.randbytes(rng.choice((0, 1, 100, 100_000))))
    return bytes(base[:MAX_BYTES])


def filename(rng: random.Random) -> bytes:
    stem = rng.choice(STEMS) if rng.random() < 0.5 else b"file"
    extension = rng.choice([*EXTENSIONS * 3, "html", "svg", "php", "exe", "txt.php", ""])
    return stem + (b"." + extension.encode() if extension else b"")


def upload(rng: random.Random) -> Upload:
    """A form with a file in it, most often a whole and proper one."""
    made = Upload(b"", content(rng))
    parts = [
        b'Content-Disposition: form-data; name="room_name"\r\n\r\nr',
        b'Content-Disposition: form-data; name="peer_id"\r\n\r\nada',
        b'Content-Disposition: form-data; name="file"; filename="%b"\r\nContent-Type: %b\r\n\r\n%b'
        % (
            filename(rng),
            rng.choice((b"image/png", b"text/html", b"application/x-sh", b"x")),
            made.content,
        ),
    ]
    rng.shuffle(parts)
    if rng.random() < 0.05:
        parts.pop(rng.randrange(3))
    if rng.random() < 0.05:
        parts.append(rng.choice(parts))
    made.body = b"".join(b"--%b\r\n%b\r\n" % (made.boundary, part) for part in parts)
    made.body += b"--%b--\r\n" % made.boundary
    if rng.random() < 0.05:
        made.body = made.body[: rng.randrange(len(made.body))]
    return made


def is_harmless(name: str) -> bool:
    """Tell whether a name can be shown and saved anywhere."""
    return (
        not set(name) & set("/\\")
        and not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name)
        and not re.search("[\u202a-\u202e\u2066-\u2069]", name)
        and len(name) <= 255
        and name not in {"", ".", ".."}
    )


def send(server: LiveServer, made: Upload) -> requests.Response:
    kind = f"multipart/form-data; boundary={made.boundary.decode()}"
    return requests.post(
        f"{server.url}/api/webrtc/upload",
        data=made.body,
        headers={"Content-Type": kind},
        timeout=60,
    )


def check_served(server: LiveServer, body: dict[str, Any], sent: bytes) -> None:
    """Check that an accepted file comes back byte by byte, and as something harmless."""
    assert re.fullmatch(r"[0-9a-f]{32}\.(jpg|png|gif|webp|pdf|docx?|txt)", body["filename"])
    assert is_harmless(body["original_filename"]), body["original_filename"]
    served = requests.get(server.url + body["file_url"], timeout=30)
    assert served.content == sent
    kind = served.headers["Content-Type"].split(";")[0]
    assert kind == body["content_type"]
    assert kind in file_types.CONTENT_TYPES
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in served.headers
    inline = kind in file_types.IMAGE_TYPES
    assert served.headers["Content-Disposition"].startswith("inline" if inline else "attachment")


@pytest.mark.timeout(120 + UPLOADS)
def test_uploads_at_random_are_answered_and_leave_no_harm(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(
        PRESENCE_UPLOADS_PER_MINUTE=0,
        PRESENCE_REQUESTS_PER_MINUTE=0,
        PRESENCE_MAX_FILES_PER_PEER=0,
        PRESENCE_MAX_BYTES_PER_PEER=0,
        PRESENCE_MAX_BYTES_PER_ROOM=0,
    )
    Keeper(server).join("r", "ada")
    rng = random.Random(SEED)
    kept: dict[str, int] = {}
    answers: dict[int, int] = {}
    memory = 0
    for number in range(UPLOADS):
        made = upload(rng)
        response = send(server, made)
        assert response.status_code < 500, f"upload {number} of seed {SEED}: {response.text}"
        answers[response.status_code] = answers.get(response.status_code, 0) + 1
        body = response.json()
        if response.ok:
            check_served(server, body, made.content)
            kept[body["filename"]] = len(made.content)
        else:
            assert body["code"]
            assert body["detail"].endswith(".")
        if number == UPLOADS // 3:
            memory = server.memory()
    assert server.memory() - memory < 30_000_000, "memory stays flat"
    assert answers.keys() >= {200, 415, 422}, f"a mixture was sent: {answers}"
    assert server.stored_files() == sorted(kept), "not a byte more than what was accepted"
    assert {path.name for path in server.folder.iterdir()} == {
        "presence.db",
        "presence.db-wal",
        "presence.db-shm",
        "presence.db.lock",
        "server.log",
        "uploads",
    }
    assert "Traceback" not in server.log_text()
    listed = Keeper(server).get("/rooms/r").json()["peers"][0]["uploaded_files"]
    assert sorted(listed) == sorted(f"uploads/{name}" for name in kept)
