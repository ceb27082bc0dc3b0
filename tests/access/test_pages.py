"""The pages of a locked server, as people with and without a token see them."""

from __future__ import annotations

import base64
import time
from typing import Any

import jwt
import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.access.conftest import Visit
from tests.support.axe import findings
from tests.support.callers import ROOMS, admin, ask, join, joined, upload
from tests.support.clients import hears
from tests.support.keys import EVERYTHING, KEY, token
from tests.support.paths import SAMPLES
from tests.support.visitors import Visitor, room_path


@pytest.fixture
def secret(locked: LiveServer, room: str) -> str:
    """A room of which nobody without a token may know: who is in it, and what."""
    made = token("mata-hari", room)
    body = {**join(room, "mata-hari"), "user_data": {"cover": "dancer"}}
    assert ask(locked, "POST", f"{ROOMS}/{room}/join", made, json=body).ok
    upload(locked, made, room, "mata-hari")
    return room


SECRETS = ("mata-hari", "Mata-Hari", "dancer", "notes.txt", "signature=")


def test_no_page_tells_anything_without_a_token(locked: LiveServer, secret: str) -> None:
    for path in ("/", "/?search=", "/rooms?name=..", "/doctor", f"/rooms/{secret}"):
        page = ask(locked, "GET", path).text
        assert "This server is locked" in page
        assert not [word for word in SECRETS if word in page], path
        assert secret not in page or path.endswith(secret)
    # A room that was never joined looks the same, but for its name.
    known, unknown = (ask(locked, "GET", f"/rooms/{name}").text for name in (secret, f"{secret}x"))
    assert _timeless(unknown.replace(f"{secret}x", secret)) == _timeless(known)


def _timeless(page: str) -> str:
    return page.split('data-now="', maxsplit=1)[0] + page.split('data-now="')[1].split('"', 1)[1]


def test_fragments_want_a_token_and_show_what_it_is_for(locked: LiveServer, secret: str) -> None:
    for path in ("/fragments/rooms", f"/rooms/{secret}/live"):
        refused = ask(locked, "GET", path)
        assert refused.status_code == 401
        assert not any(word in refused.text for word in SECRETS)
    assert secret in ask(locked, "GET", "/fragments/rooms", admin(secret)).text
    other = ask(locked, "GET", "/fragments/rooms", token("eve", "elsewhere", "list"))
    assert secret not in other.text
    searched = ask(
        locked, "GET", "/fragments/rooms?search=t", token("eve", f"{secret[:8]}*", "list")
    )
    assert secret in searched.text


def test_a_link_with_a_token_opens_a_room(visit: Visit, locked: LiveServer, secret: str) -> None:
    made = token("ada", secret)
    visitor = visit(f"{room_path(secret)}#token={made}")
    visitor.is_live()
    visitor.sees_here("Mata-Hari")
    visitor.sees("#pass-line", "ada")
    assert visitor.page.url.endswith(room_path(secret))
    assert visitor.page.input_value("#peer-id") == "ada"
    assert not visitor.page.is_visible("#pass")

    visitor.join("Ada")
    visitor.sees_here("Ada")
    visitor.page.set_input_files(
        "#file-input", {"name": "own.txt", "mimeType": "text/plain", "buffer": b"mine"}
    )
    visitor.sees("#files .file", "own.txt")
    visitor.page.click("#files [data-delete]")
    visitor.sees_no("#files .file", "own.txt")
    # Nothing was ever asked with the token in the address.
    assert not any(made in address for address in visitor.requests)

    visitor.page.reload()
    visitor.is_in()
    answer = ask(locked, "POST", f"{ROOMS}/{secret}/peers/ada/kick", admin(secret))
    assert answer.ok
    visitor.sees("#you-news", "An admin has put you out.")


def test_the_field_for_a_name_knows_who_has_the_token(
    visit: Visit, locked: LiveServer, secret: str
) -> None:
    def offers(visitor: Visitor, name: str) -> None:
        field = visitor.page.locator("#username")
        eventually(lambda: field.input_value() == name, f"{name} is offered")

    def come(made: str) -> Visitor:
        return visit(f"{room_path(secret)}#token={made}")

    # By the name that the token says, else by the one that the room knows, else as the token does.
    claims = {"sub": "u-7", "room": secret, "grants": list(EVERYTHING), "name": "Grace Hopper"}
    named = jwt.encode({**claims, "exp": int(time.time()) + 600}, KEY, "HS256")
    offers(visitor := come(named), "Grace Hopper")
    offers(come(token("u-8", secret)), "u-8")
    offers(come(token("mata-hari", secret)), "Mata-Hari")

    # What one has called oneself in this tab is what one is called when one comes back.
    visitor.join("Amazing Grace")
    visitor.page.click("#leave-button")
    visitor.sees("#join-button")
    visitor.page.reload()
    offers(visitor, "Amazing Grace")


def test_a_token_can_be_pasted_and_forgotten(visit: Visit, secret: str) -> None:
    visitor = visit("/")
    visitor.sees("#pass", "This server is locked")
    assert not visitor.page.is_visible("#rooms")
    visitor.page.fill("#pass-token", "hello")
    visitor.page.click("#pass-form button")
    visitor.sees("#pass-problem", "This is no token.")
    visitor.page.fill("#pass-token", f"https://example.org/#token={token('ada', secret, 'list')}")
    visitor.page.click("#pass-form button")
    visitor.sees("#rooms .room-card", secret)
    visitor.page.click("#rooms .room-link")
    visitor.sees_here("Mata-Hari")
    visitor.page.click("#pass-forget")
    visitor.sees("#pass")
    assert not visitor.page.is_visible("#people")


def test_a_token_that_is_over_is_asked_for_again(visit: Visit, secret: str) -> None:
    visitor = visit(f"{room_path(secret)}#token={token('ada', secret)}")
    visitor.join("Ada")
    # Another link, in the same tab.
    visitor.open(f"{room_path(secret)}#token={token('ada', secret, ttl=-1)}")
    visitor.sees("#pass-problem", "The token has expired.")
    assert not visitor.page.is_visible("#people")
    visitor.page.fill("#pass-token", token("ada", secret))
    visitor.page.click("#pass-form button")
    # Back in the room without another word.
    visitor.is_in()


def test_the_overview_follows_the_rooms_of_its_token(
    visit: Visit, locked: LiveServer, secret: str
) -> None:
    visitor = visit(f"/#token={token('eve', f'{secret}*', 'list')}")
    visitor.is_live()
    visitor.sees("#rooms .room-card", secret)
    client = joined(locked, "bob", f"{secret}-2")
    visitor.sees("#rooms .room-card", f"{secret}-2")
    client.disconnect()


def test_axe_core_finds_nothing_with_or_without_a_token(visit: Visit, room: str) -> None:
    visitor = visit(room_path(room), width=360)
    visitor.sees("#pass")
    visitor.page.click("#pass-form button")
    assert findings(visitor) == []
    # Nothing leads beyond the edge of a phone.
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    # The page is open already, and loads itself again when its address gets a token.
    visitor.open(f"{room_path(room)}#token={token('ada', room)}")
    visitor.is_live()
    assert findings(visitor) == []


def test_the_doctor_tries_what_the_token_allows(visit: Visit, locked: LiveServer) -> None:
    visitor = visit("/doctor")
    visitor.sees("#check-rest[data-state=skipped]", "Needs a token")
    visitor.sees("#check-elsewhere[data-state=ok]", "Refused, as it should be")
    visitor.sees("#doctor-news:not(:has-text('Running'))")

    visitor.page.fill("#pass-token", token("ada", "doctor", EVERYTHING))
    visitor.page.click("#pass-form button")
    for name in ("rest", "polling", "websocket", "upgrade", "upload"):
        visitor.sees(f"#check-{name}[data-state=ok]")
    visitor.page.locator("#copy-report:enabled").wait_for()
    assert "doctor" not in ask(locked, "GET", ROOMS, admin("doctor")).json()


def test_lines_to_copy_name_the_token_and_never_show_it(visit: Visit, room: str) -> None:
    made = token("ada", room)
    visitor = visit(f"{room_path(room)}#token={made}")
    visitor.join("Ada")
    row = visitor.sees("#events .event.out", "join_room")
    row.locator("summary").click()
    visitor.sees("#events .event-code", '-H "Authorization: Bearer $TOKEN"')
    assert made not in visitor.page.inner_text("body")


def test_a_route_is_tried_with_the_token_of_the_tab(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    made = token("ada", room)
    assert ask(locked, "POST", f"{ROOMS}/{room}/join", made, json=join(room, "ada")).ok
    visitor = visit("/docs/api")
    for status in ("401", "200"):
        visitor.page.locator("#get-room [data-try]").click()
        form = visitor.page.locator("#get-room form")
        form.get_by_label("room_name").fill(room)
        form.locator("button.primary").click()
        visitor.sees("#get-room .tried-status", status)
        assert made not in visitor.page.inner_text("body")
        if status == "401":
            visitor.open(f"/#token={made}")
            visitor.is_live()
            visitor.open("/docs/api")
    visitor.sees("#get-room .tried", '"ada"')


def test_a_call_works_at_a_locked_server(visit: Visit, locked: LiveServer, room: str) -> None:
    client = joined(locked, "bob", room)
    visitor = visit(f"{room_path(room)}#token={token('ada', room)}")
    visitor.join("Ada")
    client.call("signal", {"to": "ada", "type": "hello", "data": 1})
    visitor.sees("#events .event.in", "signal")
    visitor.page.select_option("#events-direction", "")
    visitor.page.fill("#send-name", "broadcast")
    visitor.page.fill("#send-data", '{"event": "wave", "data": null}')
    visitor.page.click("#send-button")
    hears(client, "broadcast", lambda body: body["from"] == "ada")
    eventually(lambda: client.connected, "nobody was shown out")
    client.disconnect()


def test_on_the_page_of_a_room_one_waits_and_lets_in(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    assert ask(locked, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": True}).ok

    def open_as(name: str, grants: Any) -> Any:
        return visit(f"{room_path(room)}#token={token(name, room, grants)}")

    host, ada = open_as("host", (*EVERYTHING, "admit")), open_as("ada", EVERYTHING)
    host.join("Host")
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.sees("#you-news", "wait to be let in")
    host.sees("#lobby", "Ada")
    host.page.get_by_role("button", name="Refuse").click()
    ada.sees("#join-problem", "not admitted")
    assert not host.page.locator("#lobby-card").is_visible()
    ada.page.click("#join-button")
    host.page.get_by_role("button", name="Let in").click()
    ada.sees("#you-news", "You are in the room")
    host.sees_here("Ada")
    ada.sees_here("Host")


def test_what_a_token_is_not_for_is_neither_empty_nor_open_to_join(
    visit: Visit, locked: LiveServer, secret: str
) -> None:
    stranger = visit(f"{room_path(secret)}#token={token('eve', f'{secret}-2')}")
    stranger.sees("#shut", "The token does not allow this.")
    for part in ("#you", "#people-card", "#call-card", "#invite-card"):
        assert not stranger.page.is_visible(part)
    stranger.is_live()
    for selector in ("#summary", "#people", "#join-form", "#files-card"):
        assert not stranger.page.is_visible(selector), selector

    reader = visit(f"{room_path(secret)}#token={token('eve', secret, 'list')}")
    reader.sees_here("Mata-Hari")
    reader.sees("#looks-only", "not join it")
    for part in ("#you", "#call-card", "#board-card", "#drop", ".to-join"):
        assert not reader.page.is_visible(part)
    assert not reader.page.is_visible("#join-form")
    assert findings(reader) == []


def test_who_is_banned_sees_nothing_of_the_room_any_more(
    visit: Visit, locked: LiveServer, secret: str
) -> None:
    visitor = visit(f"{room_path(secret)}#token={token('ada', secret)}")
    visitor.join("Ada")
    visitor.sees_here("Mata-Hari")
    assert ask(locked, "POST", f"{ROOMS}/{secret}/peers/ada/ban", admin(secret), json={}).ok
    visitor.sees("#shut", "You are banned from this room until further notice.")
    for selector in ("#people", "#summary", "#join-form"):
        assert not visitor.page.is_visible(selector), selector


def test_an_uploaded_avatar_is_shown_and_no_other_rooms_file_is_signed(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    def come(peer_id: str, here: str, avatar: str) -> Any:
        body = {**join(here, peer_id), "user_data": {"avatar": avatar}}
        made = token(peer_id, here)
        assert ask(locked, "POST", f"{ROOMS}/{here}/join", made, json=body).ok
        picture = (SAMPLES / "photo.png").read_bytes()
        form = {"room_name": here, "peer_id": peer_id}
        files = {"file": ("p.png", picture)}
        answer = ask(locked, "POST", "/api/webrtc/upload", made, data=form, files=files)
        return answer.json()

    picture = (SAMPLES / "photo.png").read_bytes()
    elsewhere = come("bo", f"{room}-2", "")
    own = come("ada", room, "")
    for peer_id, address in (
        ("ada", own["file_url"]),
        ("cem", f"/uploads/{own['filename']}"),
        ("eve", f"/uploads/{elsewhere['filename']}"),
        ("fay", f"data:image/png;base64,{base64.b64encode(picture).decode()}"),
    ):
        come(peer_id, room, address)
    visitor = visit(f"{room_path(room)}#token={token('dora', room, 'list')}")
    visitor.sees_here("Eve")
    faces = visitor.page.locator("#people img.face")
    assert faces.count() == 3
    for face in faces.all():
        face.scroll_into_view_if_needed()
        width = "image => image.decode().then(() => image.naturalWidth)"
        assert face.evaluate(width) > 0
