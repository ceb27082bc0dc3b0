"""Resumable uploads follow the tus protocol, and end as an upload of the form does."""

from __future__ import annotations

import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import hears
from tests.support.paths import SAMPLES
from tests.support.rest import refusal
from tests.support.tus import PIECE, Tus, checksum, join, metadata

TEXT = b"0123456789" * 20_000


def come(server: LiveServer, where: str) -> int | None:
    """Return how many bytes of an upload are on the disk; None for none of its pieces."""
    part = server.uploads / ".partial" / f"{where.rpartition('/')[2]}.part"
    return part.stat().st_size if part.exists() else None


@pytest.fixture
def tus(server: LiveServer, room: str) -> Tus:
    join(server, room)
    return Tus(server, room)


@pytest.mark.cluster
def test_a_file_in_pieces_ends_as_one_from_the_form_does(
    server: LiveServer, room: str, tus: Tus, connect: Callable[..., Any]
) -> None:
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    where = tus.begin(len(TEXT))
    at = 0
    for length in (1, 99_999, 0, 100_000):
        answer = tus.send(where, at, TEXT[at : at + length])
        at += length
        assert answer.status_code == 204, answer.text
        assert answer.headers["Upload-Offset"] == str(at)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert tus.offset(where) == at
    told = hears(bob, "file_uploaded")
    body = requests.get(where, timeout=10).json()
    assert body["success"] is True
    assert (body["original_filename"], body["file_size"]) == ("notes.txt", len(TEXT))
    assert told["filename"] == body["filename"]
    assert requests.get(server.url + body["file_url"], timeout=10).content == TEXT
    assert come(server, where) is None, "the pieces are gone"


def test_the_server_says_what_it_speaks(tus: Tus) -> None:
    answer = requests.options(tus.base, timeout=10)
    assert answer.status_code in {200, 204}
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(16 * 1024 * 1024)
    assert {"creation", "termination", "checksum", "expiration"} <= set(
        answer.headers["Tus-Extension"].split(",")
    )
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


def test_a_page_of_another_origin_may_speak_it_too(tus: Tus) -> None:
    origin = {"Origin": "https://app.example"}
    asked = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "tus-resumable,upload-offset",
    }
    answer = requests.options(tus.base, headers=origin | asked, timeout=10)
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "upload-offset" in answer.headers["Access-Control-Allow-Headers"].lower()
    exposed = tus.create(5, "a.txt", None, **origin).headers["Access-Control-Expose-Headers"]
    assert {"Location", "Upload-Offset"} <= set(exposed.split(", "))


@pytest.mark.parametrize("version", [None, "0.2.2"])
def test_another_version_is_refused_with_the_one_there_is(tus: Tus, version: str | None) -> None:
    answer = tus.create(5, **{"Tus-Resumable": version})  # type: ignore[arg-type]
    assert refusal(answer) == (412, "tus_version_refused")
    assert answer.headers["Tus-Version"] == "1.0.0"


def test_a_piece_from_another_place_is_refused_with_the_right_one(tus: Tus) -> None:
    where = tus.begin(10)
    assert tus.send(where, 0, b"01234").status_code == 204
    answer = tus.send(where, 3, b"34567")
    assert refusal(answer) == (409, "upload_offset_wrong")
    assert answer.json()["offset"] == 5
    assert tus.offset(where) == 5


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Upload-Offset": "-1"}, (422, "invalid_field")),
        ({"Upload-Offset": "x"}, (422, "invalid_field")),
        ({"Upload-Offset": "9" * 400}, (422, "invalid_field")),
        ({"Upload-Offset": None}, (422, "invalid_field")),
        ({"Content-Type": "text/plain"}, (415, "not_a_piece")),
        ({"Upload-Checksum": "crc32 AAAA"}, (422, "invalid_field")),
        ({"Upload-Checksum": "sha1 !"}, (422, "invalid_field")),
    ],
)
def test_a_piece_that_is_not_well_declared_is_answered(
    tus: Tus, headers: dict[str, Any], expected: tuple[int, str]
) -> None:
    where = tus.begin(10)
    assert refusal(tus.send(where, 0, b"01234", **headers)) == expected
    assert tus.offset(where) == 0


def test_more_than_was_announced_is_refused(tus: Tus) -> None:
    where = tus.begin(10)
    assert refusal(tus.send(where, 0, b"x" * 11)) == (422, "invalid_field")
    chunked = tus.send(where, 0, iter([b"x" * 8, b"y" * 8]))
    assert refusal(chunked) == (422, "invalid_field")


def test_a_piece_is_held_against_its_checksum(server: LiveServer, tus: Tus) -> None:
    where = tus.begin(10)
    for algorithm in ("sha1", "sha256", "md5"):
        wrong = tus.send(where, 0, b"01234", **{"Upload-Checksum": checksum(b"0123x", algorithm)})
        assert refusal(wrong) == (460, "checksum_mismatch")
        assert tus.offset(where) == 0, "the piece was thrown away"
    right = tus.send(where, 0, b"01234", **{"Upload-Checksum": checksum(b"01234")})
    assert right.headers["Upload-Offset"] == "5"
    assert tus.send(where, 5, b"56789", **{"Upload-Checksum": checksum(b"56789")}).ok
    body = requests.get(where, timeout=10).json()
    assert requests.get(server.url + body["file_url"], timeout=10).content == b"0123456789"


def test_an_upload_that_is_ended_leaves_nothing(server: LiveServer, tus: Tus) -> None:
    before = server.stored_files()
    where = tus.begin(10)
    tus.send(where, 0, b"01234")
    assert tus.call("DELETE", where).status_code == 204
    assert tus.call("HEAD", where).status_code == 404
    assert refusal(tus.send(where, 5, b"56789")) == (404, "upload_not_found")
    assert server.stored_files() == before


def test_the_first_bytes_may_come_with_the_beginning(tus: Tus) -> None:
    answer = tus.create(10, data=b"01234")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "5")
    where = tus.url + answer.headers["Location"]
    assert tus.send(where, 5, b"56789").ok
    whole = tus.create(4, data=b"text")
    body = requests.get(tus.url + whole.headers["Location"], timeout=10).json()
    assert body["file_size"] == 4


def test_clients_that_can_only_post_say_what_they_mean(tus: Tus) -> None:
    where = tus.begin(10)
    how = {"Upload-Offset": "0", "Content-Type": PIECE}
    patch = tus.call(
        "POST", where, headers={**how, "X-HTTP-Method-Override": "PATCH"}, data=b"01234"
    )
    assert (patch.status_code, patch.headers["Upload-Offset"]) == (204, "5")
    assert tus.call("POST", where, headers={"X-HTTP-Method-Override": "DELETE"}).ok
    assert refusal(tus.call("POST", where)) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("length", "told", "expected"),
    [
        ("x", {}, (422, "invalid_field")),
        ("", {}, (422, "invalid_field")),
        (16 * 1024 * 1024 + 1, {}, (413, "file_too_large")),
        ("9" * 15, {}, (413, "file_too_large")),
        (5, {"room_name": "nowhere"}, (404, "room_not_found")),
        (5, {"peer_id": "nobody"}, (404, "peer_not_found")),
        (5, {"peer_id": "a/b"}, (422, "invalid_field")),
        (5, {"filename": ""}, (422, "invalid_field")),
        (0, {}, (415, "file_type_refused")),
    ],
)
def test_what_cannot_be_stored_is_refused_before_it_comes(
    server: LiveServer, tus: Tus, length: Any, told: dict[str, str], expected: tuple[int, str]
) -> None:
    before = server.stored_files()
    values = {"filename": "a.txt", "room_name": tus.room, "peer_id": "alice", **told}
    sent = {"Upload-Length": str(length), "Upload-Metadata": metadata(**values)}
    assert refusal(tus.call("POST", headers=sent)) == expected
    assert server.stored_files() == before


@pytest.mark.parametrize("header", ["", "filename", "filename !!!", "filename /w==", "x" * 5000])
def test_metadata_that_cannot_be_read_is_answered(tus: Tus, header: str) -> None:
    sent = {"Upload-Length": "5", "Upload-Metadata": header}
    assert refusal(tus.call("POST", headers=sent)) == (422, "invalid_field")


def test_a_file_that_is_refused_is_answered_like_in_the_form_and_stays_refused(
    server: LiveServer, tus: Tus
) -> None:
    content = (SAMPLES / "photo.png").read_bytes()
    where = tus.begin(len(content), "photo.jpg")
    answer = tus.send(where, 0, content)
    assert refusal(answer) == (415, "file_type_refused")
    assert "name it .png" in answer.json()["detail"]
    assert refusal(requests.get(where, timeout=10)) == (415, "file_type_refused")
    assert tus.call("HEAD", where).status_code == 415
    assert come(server, where) is None


def test_until_its_end_an_upload_has_no_file(tus: Tus) -> None:
    where = tus.begin(10)
    assert refusal(requests.get(where, timeout=10)) == (409, "upload_unfinished")


@pytest.mark.parametrize(
    "name",
    ["nothing", "..%2F..%2Fapp.py", "%00", "." * 60, "x" * 300],
    ids=["a word", "a path", "a zero", "dots", "a long one"],
)
def test_an_unknown_upload_is_answered(tus: Tus, name: str) -> None:
    assert tus.call("HEAD", f"/{name}").status_code == 404
    assert refusal(tus.send(f"{tus.base}/{name}", 0, b"x"))[0] == 404


def broken_off(tus: Tus, where: str, offset: int, data: bytes, whole: int) -> socket.socket:
    """Send the first bytes of a piece and return the connection, which is still open."""
    host, port = tus.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    path = where.removeprefix(tus.url)
    connection.sendall(
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: {PIECE}\r\nContent-Length: {whole}\r\n\r\n".encode()
        + data
    )
    return connection


def test_what_came_before_a_connection_broke_is_kept(server: LiveServer, tus: Tus) -> None:
    where = tus.begin(len(TEXT))
    at = 0
    while at < len(TEXT) - 50_000:
        connection = broken_off(tus, where, at, TEXT[at : at + 50_000], len(TEXT) - at)
        enough = at + 30_000
        wait_for(server, where, enough)
        connection.close()
        assert tus.offset(where) >= enough
        at = tus.offset(where)
    assert tus.send(where, at, TEXT[at:]).ok
    body = requests.get(where, timeout=10).json()
    assert requests.get(server.url + body["file_url"], timeout=10).content == TEXT


def wait_for(server: LiveServer, where: str, size: int) -> None:
    eventually(lambda: (come(server, where) or 0) >= size, "enough of the piece has come")


def test_whoever_asks_last_goes_on_though_the_server_still_waits_for_another(
    server: LiveServer, tus: Tus
) -> None:
    """A telephone's old connection is gone, and only the telephone knows."""
    where = tus.begin(len(TEXT))
    old = broken_off(tus, where, 0, TEXT[:70_000], len(TEXT))
    wait_for(server, where, 50_000)
    at = tus.offset(where)
    assert tus.send(where, at, TEXT[at : at + 10_000]).ok
    old.sendall(b"x" * 50_000)  # what was on its way all the time
    at += 10_000
    assert tus.send(where, at, TEXT[at:]).ok
    old.close()
    body = requests.get(where, timeout=10).json()
    assert requests.get(server.url + body["file_url"], timeout=10).content == TEXT


def test_an_upload_survives_the_process(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    join(server, "r")
    tus = Tus(server, "r")
    where = tus.begin(10)
    tus.send(where, 0, b"01234")
    server.kill()
    server.start()
    assert tus.offset(where) == 5
    assert tus.send(where, 5, b"56789").ok


def test_what_gets_nothing_more_is_forgotten(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(PRESENCE_RESUME_SECONDS=2)
    join(server, "r")
    before = server.stored_files()
    tus = Tus(server, "r")
    created = tus.create(10)
    told = parsedate_to_datetime(created.headers["Upload-Expires"])
    now = parsedate_to_datetime(created.headers["Date"])
    assert 0 <= (told - now).total_seconds() <= 3
    where = tus.url + created.headers["Location"]
    tus.send(where, 0, b"01234")
    eventually(lambda: server.stored_files() == before, "nothing is left of it")
    assert tus.call("HEAD", where).status_code == 404


def test_unfinished_uploads_are_bounded_and_count_as_what_they_will_be(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_MAX_BYTES_PER_PEER=1000)
    join(server, "r")
    tus = Tus(server, "r")
    where = tus.begin(600)
    assert refusal(tus.create(600)) == (409, "peer_storage_full")
    assert tus.call("DELETE", where).ok
    for _ in range(10):
        tus.begin(60)
    assert refusal(tus.create(1)) == (409, "too_many_unfinished")


def test_the_end_of_an_upload_comes_once(server: LiveServer, room: str, tus: Tus) -> None:
    """Its last answer may be lost, and the client sends an empty piece to hear it again."""
    where = tus.begin(4)
    assert tus.send(where, 0, b"text").ok
    for _ in range(3):
        again = tus.send(where, 4, b"")
        assert (again.status_code, again.headers["Upload-Offset"]) == (204, "4")
    peer = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10).json()["peers"][0]
    assert len(peer["uploaded_files"]) == 1
