"""Forms as programs write them: without a boundary in their header, and names not in UTF-8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from presence.config import Settings

WITHOUT_BOUNDARY = [
    "multipart/form-data",
    "multipart/form-data;",
    "multipart/form-data; charset=utf-8",
    "Multipart/Form-Data; boundary=",
    'multipart/form-data; boundary=""',
]


def form(boundary: str, room: bytes = b"r", name: bytes = b"n.txt", end: str = "\r\n") -> bytes:
    """Return a form with a file, as programs write it."""
    parts = [
        (b'Content-Disposition: form-data; name="room_name"', room),
        (b'Content-Disposition: form-data; name="peer_id"', b"a"),
        (b'Content-Disposition: form-data; name="file"; filename="' + name + b'"', b"some words\n"),
    ]
    line = end.encode()
    made = b"".join(
        b"--" + boundary.encode() + line + head + line + line + body + line for head, body in parts
    )
    return made + b"--" + boundary.encode() + b"--" + line


@pytest.fixture
def uploads(tmp_path: Path) -> Callable[..., Any]:
    """Return what uploads a body, for a peer that is there."""
    settings = Settings(database_url=f"sqlite:///{tmp_path}/f.db", upload_dir=str(tmp_path / "up"))
    client = create_app(settings).test_client()
    client.post("/api/webrtc/rooms/r/join", json={"peer_id": "a", "username": "A"})

    def upload(body: bytes, content_type: str = "multipart/form-data") -> Any:
        return client.post("/api/webrtc/upload", data=body, content_type=content_type)

    return upload


def test_a_form_whose_content_type_names_no_boundary_is_read_by_its_first_line(
    uploads: Callable[..., Any],
) -> None:
    # Of okhttp and NSURLSession (React Native), browsers, curl, and the longest there may be.
    for boundary in ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "Boundary+0A1B2C3D", "-" * 24 + "1f",
                     "----WebKitFormBoundaryAbC", "a" * 70, "=_a b", "x"):  # fmt: skip
        for content_type in WITHOUT_BOUNDARY:
            answer = uploads(form(boundary), content_type)
            assert (answer.status_code, answer.json["original_filename"]) == (200, "n.txt"), (
                boundary
            )
    assert uploads(b"\r\n" + form("x")).status_code == 200
    assert uploads(form("x", end="\n")).status_code == 200


def test_what_is_no_form_is_answered_with_a_sentence(uploads: Callable[..., Any]) -> None:
    bodies = {
        "no dashes": b"hello",
        "only dashes": b"--",
        "no line": b"--" + b"a" * 60,
        "long": b"--" + b"a" * 71 + b"\r\n",
        "endless": b"--" + b"a" * 100_000,
        "control": b"--\x00\x01\r\n",
        "not ascii": b"--caf\xe9\r\n",
        "space at the end": b"--  \r\n",
        "JSON": b'{"room_name": "r"}',
    }
    for name, body in bodies.items():
        answer = uploads(body)
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_json"), name
        assert "Let the library that makes the form set its Content-Type" in answer.json["detail"]
    cut = form("x")
    for body, content_type in (
        (b"--x\r\n", "multipart/form-data"),
        (cut[: len(cut) // 2], "multipart/form-data"),
        (b"--x--\r\n", "multipart/form-data"),
        (form("x"), "multipart/form-data; boundary=y"),
        (form("x"), "multipart/form-data; boundary=caf\u00e9"),
    ):
        answer = uploads(body, content_type)
        assert answer.status_code in (400, 422), body
        assert answer.json["detail"]


def test_names_in_a_form_are_in_utf_8(uploads: Callable[..., Any]) -> None:
    for bad in (b"caf\xe9.txt", b"\xff.txt", "été.txt".encode("utf-16-le")):
        answer = uploads(form("x", name=bad))
        assert (answer.status_code, answer.json["field"]) == (422, "file"), bad
        assert "rename the file" in answer.json["detail"]
    answer = uploads(form("x", room=b"caf\xe9"))
    assert (answer.status_code, answer.json["field"]) == (422, "room_name")
    assert "UTF-8" in answer.json["detail"]
    assert uploads(form("x", name="été.txt".encode())).json["original_filename"] == "été.txt"
