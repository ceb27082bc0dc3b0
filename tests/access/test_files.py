"""The addresses of files: plain when open, signed and short-lived when locked."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join, joined, upload
from tests.support.clients import Body, hears
from tests.support.keys import LOCKED, token


@pytest.fixture
def stored(locked: LiveServer, room: str) -> Body:
    """A file of the peer ada in the test's room."""
    made = token("ada", room)
    assert ask(locked, "POST", f"{ROOMS}/{room}/join", made, json=join(room, "ada")).ok
    return upload(locked, made, room, "ada")


def test_a_signed_address_opens_without_a_token(
    locked: LiveServer, stored: Body, room: str
) -> None:
    assert ask(locked, "GET", stored["file_url"]).text == "some words"
    peer = ask(locked, "GET", f"{ROOMS}/{room}/peers/ada", admin(room)).json()
    assert peer["uploaded_files"] == [f"uploads/{stored['filename']}"]
    assert ask(locked, "GET", peer["files"][0]["file_url"]).ok
    page = ask(locked, "GET", f"/rooms/{room}/live", admin(room)).text
    assert "signature=" in page


def test_a_plain_path_opens_with_a_token_that_may_read_the_room(
    locked: LiveServer, stored: Body, room: str
) -> None:
    path = f"/uploads/{stored['filename']}"
    assert ask(locked, "GET", path, token("bob", room, "list")).text == "some words"
    assert ask(locked, "GET", path).json()["code"] == "token_required"
    assert ask(locked, "GET", path, token("bob", room, "join")).json()["code"] == "not_granted"
    other = ask(locked, "GET", path, token("bob", "elsewhere", "list"))
    assert other.json()["code"] == "not_granted"


def test_a_signed_address_goes_only_to_who_may_open_files(locked: LiveServer, room: str) -> None:
    reader = joined(locked, "bob", room)
    hearer = joined(locked, "eve", room, ["join", "update"])
    made = token("ada", room)
    assert ask(locked, "POST", f"{ROOMS}/{room}/join", made, json=join(room, "ada")).ok
    stored = upload(locked, made, room, "ada")
    assert "signature=" in stored["file_url"]
    assert hears(reader, "file_uploaded")["file_url"] == stored["file_url"]
    plain = f"/uploads/{stored['filename']}"
    assert hears(hearer, "file_uploaded") == {**hears(reader, "file_uploaded"), "file_url": plain}
    blind = token("ada", room, ["join", "upload"])
    assert upload(locked, blind, room, "ada")["file_url"].startswith("/uploads/")
    assert "signature" not in upload(locked, blind, room, "ada")["file_url"]
    reader.disconnect()
    hearer.disconnect()


def test_no_file_is_kept_by_what_others_share(locked: LiveServer, stored: Body) -> None:
    answer = ask(locked, "GET", stored["file_url"])
    kept = answer.headers["Cache-Control"]
    assert "private" in kept
    assert "public" not in kept
    unchanged = ask(
        locked, "GET", stored["file_url"], headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert unchanged.status_code == 304
    assert "public" not in unchanged.headers["Cache-Control"]


def forge(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return parts.path + "?" + "&".join(f"{name}={value}" for name, value in query.items())


def test_a_forged_address_is_refused(locked: LiveServer, stored: Body, room: str) -> None:
    url = stored["file_url"]
    later = str(int(parse_qs(urlsplit(url).query)["expires"][0]) + 1)
    another = upload(locked, token("ada", room), room, "ada")["filename"]
    forged = [
        forge(url, signature="x"),
        forge(url, signature=""),
        forge(url, signature="%C3%A9"),
        forge(url, expires=later),
        forge(url, expires="-1"),
        forge(url, expires="9" * 400),
        forge(url, expires="%D9%A1"),
        url.replace(stored["filename"], another),
        f"/uploads/{stored['filename']}?signature=x",
        # What the key signs for another purpose is no signature of a file.
        forge(url, signature=token("ada", "*", "admin")),
    ]
    for address in forged:
        answer = ask(locked, "GET", address)
        assert (answer.status_code, answer.json()["code"]) == (403, "link_refused"), address


def test_an_address_that_is_over_is_refused_and_the_next_one_works(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(**{**LOCKED, "PRESENCE_FILE_URL_SECONDS": 1})
    made = token("ada", "studio")
    assert ask(server, "POST", f"{ROOMS}/studio/join", made, json=join("studio", "ada")).ok
    url = upload(server, made, "studio", "ada")["file_url"]
    assert ask(server, "GET", url).ok

    def refusal() -> Body | None:
        answer = ask(server, "GET", url)
        return None if answer.ok else dict(answer.json())

    refused = eventually(refusal, "the address is over", 5)
    assert refused is not None
    assert refused["code"] == "link_refused"
    assert "which is over" in refused["detail"]
    fresh = ask(server, "GET", f"{ROOMS}/studio/peers/ada", made).json()["files"][0]["file_url"]
    assert ask(server, "GET", fresh).ok


def test_addresses_of_an_open_server_stay_as_they_are(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    assert ask(server, "POST", f"{ROOMS}/studio/join", json=join("studio", "ada")).ok
    answer = ask(
        server,
        "POST",
        "/api/webrtc/upload",
        data={"room_name": "studio", "peer_id": "ada"},
        files={"file": ("a.txt", b"a")},
    ).json()
    assert answer["file_url"] == f"/uploads/{answer['filename']}"
    assert ask(server, "GET", answer["file_url"]).ok
