"""Uploading and serving files: what is accepted, what is refused, and that nothing is left over."""

from __future__ import annotations

import io
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_cluster import PrivateCluster
from local_cluster.waiting import eventually
from tests.support.clients import hears, shows
from tests.support.paths import SAMPLES
from tests.support.rest import refusal

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TYPES = {
    "photo.jpg": "image/jpeg",
    "photo.png": "image/png",
    "photo.gif": "image/gif",
    "photo.webp": "image/webp",
    "notes.pdf": "application/pdf",
    "notes.doc": "application/msword",
    "notes.docx": DOCX,
    "notes.txt": "text/plain",
}


@pytest.fixture
def send(server: LiveServer, room: str) -> Callable[..., requests.Response]:
    """Upload bytes as alice, who has joined the room."""
    join(server, room)

    def upload(content: bytes, name: str, **form: str) -> requests.Response:
        return requests.post(
            f"{server.url}/api/webrtc/upload",
            files={"file": (name, content)},
            data={"room_name": room, "peer_id": "alice", **form},
            timeout=30,
        )

    return upload


def join(server: LiveServer, room: str) -> None:
    body = {"peer_id": "alice", "username": "Alice"}
    requests.post(f"{server.url}/api/webrtc/rooms/{room}/join", json=body, timeout=10)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def archive(*names: str) -> bytes:
    """A ZIP archive with files of these names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name in names:
            made.writestr(name, "<x/>")
    return content.getvalue()


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.cluster
def test_every_accepted_type_is_stored_and_comes_back_unchanged(
    server: LiveServer, room: str, send: Callable[..., requests.Response], name: str
) -> None:
    response = send(sample(name), name)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"] is True
    assert body["original_filename"] == name
    assert body["filename"] != name
    assert body["filename"].endswith(Path(name).suffix)
    assert body["file_path"] == f"uploads/{body['filename']}"
    assert body["file_url"] == f"/uploads/{body['filename']}"
    assert body["file_size"] == len(sample(name))
    assert body["content_type"] == TYPES[name]
    assert (body["room_name"], body["peer_id"]) == (room, "alice")

    served = requests.get(server.url + body["file_url"], timeout=10)
    assert served.content == sample(name)
    assert served.headers["Content-Type"].split(";")[0] == TYPES[name]
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served.headers["Content-Security-Policy"]
    disposition = served.headers["Content-Disposition"]
    if TYPES[name].startswith("image/"):
        assert disposition.startswith("inline")
    else:
        assert disposition.startswith("attachment")
        assert name in disposition

    listed = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()["peers"][0]
    assert listed["uploaded_files"] == [body["file_path"]]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(sample("photo.png"), "photo.jpg", id="a PNG called JPEG"),
        pytest.param(sample("notes.odt"), "notes.odt", id="an ODT"),
        pytest.param(sample("notes.odt"), "notes.docx", id="an ODT called DOCX"),
        pytest.param(sample("notes.docx"), "notes.doc", id="a DOCX called DOC"),
        pytest.param(sample("notes.doc"), "notes.docx", id="a DOC called DOCX"),
        pytest.param(sample("notes.doc")[:600], "notes.doc", id="half a DOC"),
        pytest.param(sample("notes.docx")[:-30], "notes.docx", id="half a DOCX"),
        pytest.param(archive("a.txt"), "a.docx", id="any archive called DOCX"),
        pytest.param(
            archive("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
            "macros.docx",
            id="a document with macros",
        ),
        pytest.param(b"<script>alert(1)</script>", "page.png", id="a page called PNG"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image.svg", id="an SVG"),
        pytest.param(b"<html></html>", "page.html", id="a page"),
        pytest.param(b"MZ\x90\x00", "program.pdf", id="a program called PDF"),
        pytest.param(b"text \x00 more", "text.txt", id="text with a NUL"),
        pytest.param("é".encode("latin-1"), "text.txt", id="text that is not UTF-8"),
        pytest.param(b"", "empty.txt", id="an empty file"),
        pytest.param(b"text", "noextension", id="no extension"),
        pytest.param(b"text", ".txt", id="an extension alone"),
        pytest.param(b"#!/bin/sh", "run.sh", id="a script"),
    ],
)
def test_what_is_not_accepted_is_refused_and_leaves_nothing(
    server: LiveServer, send: Callable[..., requests.Response], content: bytes, name: str
) -> None:
    before = server.stored_files()
    assert refusal(send(content, name)) == (415, "file_type_refused")
    assert server.stored_files() == before


def test_a_file_at_the_limit_is_stored_and_one_byte_more_is_not(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_MAX_UPLOAD_BYTES=100_000)
    join(server, "r")
    for size, status in ((100_000, 200), (100_001, 413), (10_000_000, 413)):
        response = requests.post(
            f"{server.url}/api/webrtc/upload",
            files={"file": ("a.txt", b"x" * size)},
            data={"room_name": "r", "peer_id": "alice"},
            timeout=30,
        )
        assert response.status_code == status
        if status != 200:
            assert refusal(response) == (413, "file_too_large")
            assert response.json()["limit"] == 100_000
    assert len(server.stored_files()) == 1


@pytest.mark.cluster
def test_the_default_limit_is_sixteen_mebibytes_and_a_larger_file_is_answered(
    server: LiveServer, send: Callable[..., requests.Response]
) -> None:
    assert send(b"x" * 16 * 1024 * 1024, "big.txt").status_code == 200
    before = server.stored_files()
    assert refusal(send(b"x" * 40 * 1024 * 1024, "bigger.txt")) == (413, "file_too_large")
    assert server.stored_files() == before


def test_a_file_that_is_too_large_is_refused_without_its_length_being_told(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_MAX_UPLOAD_BYTES=1000)
    join(server, "r")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'

    def chunks() -> Any:
        yield head
        for _ in range(200):
            yield b"x" * 1000

    response = requests.post(
        f"{server.url}/api/webrtc/upload",
        data=chunks(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=30,
    )
    assert refusal(response) == (413, "file_too_large")
    assert server.stored_files() == []


@pytest.mark.parametrize(
    ("form", "code"),
    [({"room_name": "nowhere"}, "room_not_found"), ({"peer_id": "nobody"}, "peer_not_found")],
)
def test_an_upload_for_somebody_unknown_leaves_not_a_byte(
    server: LiveServer, send: Callable[..., requests.Response], form: dict[str, str], code: str
) -> None:
    before = server.stored_files()
    assert refusal(send(sample("photo.jpg"), "photo.jpg", **form)) == (404, code)
    assert server.stored_files() == before


@pytest.mark.parametrize(
    ("files", "data", "field"),
    [
        ({"file": ("a.txt", b"x")}, {"room_name": "r"}, "peer_id"),
        ({"file": ("a.txt", b"x")}, {"peer_id": "p"}, "room_name"),
        ({"other": ("a.txt", b"x")}, {"room_name": "r", "peer_id": "p"}, "file"),
        ({"file": ("", b"x")}, {"room_name": "r", "peer_id": "p"}, "file"),
        ({"file": ("a.txt", b"x")}, {"room_name": "r", "peer_id": "a/b"}, "peer_id"),
    ],
)
def test_an_incomplete_form_is_answered_with_the_field(
    server: LiveServer, files: Any, data: dict[str, str], field: str
) -> None:
    before = server.stored_files()
    response = requests.post(f"{server.url}/api/webrtc/upload", files=files, data=data, timeout=10)
    assert refusal(response) == (422, "invalid_field")
    assert response.json()["field"] == field
    assert server.stored_files() == before


def test_two_files_at_once_are_refused(server: LiveServer, room: str) -> None:
    join(server, room)
    before = server.stored_files()
    response = requests.post(
        f"{server.url}/api/webrtc/upload",
        files=[("file", ("a.txt", b"x")), ("file", ("b.txt", b"y"))],
        data={"room_name": room, "peer_id": "alice"},
        timeout=10,
    )
    assert refusal(response) == (422, "invalid_field")
    assert server.stored_files() == before


@pytest.mark.parametrize("body", [b"", b"not a form", b"--b\r\nbroken"])
def test_a_body_that_is_no_form_is_answered(server: LiveServer, body: bytes) -> None:
    response = requests.post(
        f"{server.url}/api/webrtc/upload",
        data=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=10,
    )
    assert refusal(response)[0] in {400, 422}


@pytest.mark.cluster
def test_a_connection_that_breaks_leaves_nothing(server: LiveServer, room: str) -> None:
    join(server, room)
    before = server.stored_files()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /api/webrtc/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            + b"x"
            * 200_000
        )
        eventually(lambda: len(server.stored_files()) > len(before), "the file is being received")
    eventually(lambda: server.stored_files() == before, "nothing is left of it")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("Überblick 日本 🎉.txt", "Überblick 日本 🎉.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_the_original_name_is_kept_without_its_folders(
    send: Callable[..., requests.Response], name: str, shown: str
) -> None:
    body = send(b"text", name).json()
    assert body["original_filename"] == shown


def test_a_document_is_offered_under_its_original_name(
    server: LiveServer, send: Callable[..., requests.Response]
) -> None:
    body = send(b"text", "Überblick “1”; a=b.txt").json()
    served = requests.get(server.url + body["file_url"], timeout=10)
    assert served.headers["Content-Disposition"].startswith("attachment; filename")
    assert "filename*=UTF-8''%C3%9Cberblick" in served.headers["Content-Disposition"]


def test_parts_of_a_file_can_be_asked_for(
    server: LiveServer, send: Callable[..., requests.Response]
) -> None:
    url = server.url + send(b"0123456789", "digits.txt").json()["file_url"]
    part = requests.get(url, headers={"Range": "bytes=2-4"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"234")
    etag = requests.get(url, timeout=10).headers["ETag"]
    assert requests.get(url, headers={"If-None-Match": etag}, timeout=10).status_code == 304


@pytest.mark.parametrize("name", ["nothing.txt", "..%2F..%2Fapp.py", ".pending", "%00"])
def test_an_unknown_file_is_answered(server: LiveServer, name: str) -> None:
    response = requests.get(f"{server.url}/uploads/{name}", timeout=10)
    # nginx passes on no address that leads out of its root.
    expected = 400 if isinstance(server, PrivateCluster) and "%" in name else 404
    assert refusal(response)[0] == expected


def test_deleting_a_file_removes_row_and_bytes_and_tells_the_room(
    server: LiveServer,
    room: str,
    send: Callable[..., requests.Response],
    connect: Callable[..., Any],
) -> None:
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    uploaded = send(b"text", "a.txt").json()
    hears(bob, "file_uploaded")
    path = f"{server.url}/api/webrtc/rooms/{room}/files/{uploaded['filename']}"
    assert requests.delete(path, timeout=10).json()["success"] is True
    assert hears(bob, "file_deleted")["filename"] == uploaded["filename"]
    eventually(lambda: shows(bob, "alice", True)["uploaded_files"] == [], "the list shows none")
    assert requests.get(server.url + uploaded["file_url"], timeout=10).status_code == 404
    assert uploaded["filename"] not in "".join(server.stored_files())
    assert refusal(requests.delete(path, timeout=10)) == (404, "file_not_found")


def test_a_file_cannot_be_deleted_through_another_room(
    server: LiveServer, room: str, send: Callable[..., requests.Response]
) -> None:
    uploaded = send(b"text", "a.txt").json()
    join(server, f"{room} other")
    path = f"{server.url}/api/webrtc/rooms/{room} other/files/{uploaded['filename']}"
    assert refusal(requests.delete(path, timeout=10)) == (404, "file_not_found")
    assert requests.get(server.url + uploaded["file_url"], timeout=10).status_code == 200


def test_an_inactive_peer_may_still_get_files(
    server: LiveServer, room: str, send: Callable[..., requests.Response]
) -> None:
    leave = f"{server.url}/api/webrtc/rooms/{room}/leave"
    requests.post(leave, params={"peer_id": "alice"}, timeout=10)
    assert send(b"text", "a.txt").status_code == 200
    peer = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()["peers"][0]
    assert (peer["is_active"], len(peer["uploaded_files"])) == (False, 1)
