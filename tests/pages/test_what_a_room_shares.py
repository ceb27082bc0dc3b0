"""What all in a room share: its data on the page, and who is away from keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.pages.over_rest import rest
from tests.pages.reading import HOSTILE_NAMES, join, read, words
from tests.support.axe import findings
from tests.support.clients import Client
from tests.support.visitors import Visitor, room_path


def share(site: LiveServer, room: str, data: dict[str, Any]) -> None:
    """Change the room's data as a backend does."""
    rest(site, room, "data", {"room_data": data})


def edit(visitor: Visitor, text: str) -> None:
    """Type the room's data, without saving it."""
    if not visitor.page.is_visible("#room-data-text"):
        visitor.page.click("#room-data-edit > summary")
    visitor.page.fill("#room-data-text", text)


def save(visitor: Visitor) -> None:
    visitor.page.click("#room-data-form button.primary")


def text_of(visitor: Visitor) -> Any:
    return json.loads(visitor.page.input_value("#room-data-text"))


def test_the_rooms_data_is_read_without_scripts(client: FlaskClient) -> None:
    assert "None yet" in words(read(client, "/rooms/studio"))
    join(client, "studio", "ada", "Ada")
    body = {"room_data": {"slide": 4, "<b>": ["deep"]}, "peer_id": "ada"}
    assert client.post("/api/webrtc/rooms/studio/data", json=body).status_code == 200
    page = words(read(client, "/rooms/studio"))
    assert "slide 4 <b>" in page
    assert "Last changed by Ada" in page


def test_what_one_gives_the_room_everybody_sees_at_once(visit: Visit, room: str) -> None:
    ada, bo, observer = (visit(room_path(room)) for _ in range(3))
    observer.sees("#room-data-card", "None yet")
    observer.sees_no("#room-data-edit")
    ada.join("Ada")
    bo.join("Bo")
    edit(ada, '{"slide": 1, "rules": {"turns": "short"}}')
    save(ada)
    ada.sees("#room-data-hint", "Saved")
    for visitor in (ada, bo, observer):
        visitor.sees("#data .tree", "short")
        visitor.sees("#data", "Last changed by Ada")
    edit(bo, '{"slide": 2}')
    save(bo)
    ada.sees("#data", "Last changed by Bo")
    ada.sees_no("#data .tree", "short")
    assert text_of(ada) == {"slide": 2}
    assert findings(ada) == []


def test_what_two_change_at_once_is_lost_by_neither(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    share(site, room, {"slide": 1, "topic": "tea"})
    ada.sees("#data .tree", "tea")
    edit(ada, '{"slide": 2, "topic": "tea"}')
    share(site, room, {"topic": "coffee", "more": True})
    ada.sees("#room-data-hint", "changed elsewhere")
    assert text_of(ada) == {"slide": 2, "topic": "tea"}
    save(ada)
    ada.sees("#room-data-hint", "Saved")
    assert text_of(ada) == {"slide": 2, "topic": "coffee", "more": True}


def test_a_conflict_is_told_and_keeps_what_was_typed(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    share(site, room, {"slide": 1, "topic": "tea"})
    ada.sees("#data .tree", "tea")
    edit(ada, '{"slide": 2, "topic": "tea"}')
    share(site, room, {"slide": 7, "more": True})
    ada.sees("#room-data-hint", "changed elsewhere")
    save(ada)
    ada.sees("#room-data-problem", "“slide” is 7 now")
    assert text_of(ada) == {"slide": 2, "topic": "tea"}
    assert ada.page.get_attribute("#room-data-text", "aria-invalid") == "true"
    save(ada)
    ada.sees("#room-data-hint", "Saved")
    assert text_of(ada) == {"slide": 2, "topic": "tea", "more": True}

    edit(ada, '{"slide": 3, "half": "typ')
    save(ada)
    ada.sees("#room-data-problem", "not JSON yet")
    share(site, room, {"slide": 9})
    ada.sees("#data .tree", "9")
    assert ada.page.input_value("#room-data-text") == '{"slide": 3, "half": "typ'
    ada.page.click("#room-data-revert")
    assert text_of(ada) == {"slide": 9, "topic": "tea", "more": True}


def test_who_is_away_from_keyboard_is_shown_apart_from_who_is_away(
    visit: Visit, site: LiveServer, connect: Callable[..., Client], room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    bo = [connect(site) for _ in range(2)]
    for client in bo:
        client.call("join_room", {"room_name": room, "peer_id": "bo", "username": "Bo"})
    ada.sees("#people .person", "2 sessions")
    bo[0].call("state", {"state": {"idle": True}})
    bo[1].call("state", {"state": {"cursor": [0, 0]}})
    ada.sees("#people .person:not(.idle)", "bo")
    bo[1].call("state", {"state": {"idle": True}})
    ada.sees("#people .person.idle:not(.away)", "away from keyboard")
    # It stays so whatever else changes in the list, and is over with a touch.
    bo[0].call("update_user_data", {"user_data": {"mood": "calm"}})
    ada.sees("#people .person.idle", "mood calm")
    assert findings(ada) == []
    bo[0].call("state", {"state": {"idle": False}})
    ada.sees_no("#people .person.idle")
    ada.sees("#people .person", "here")
    assert "states_changed" not in ada.page.inner_text("#events")
    bo[0].call("state", {"state": {"idle": True}})
    ada.sees("#people .person.idle")
    for client in bo:
        client.disconnect()
    ada.sees_away("Bo")
    ada.sees_no("#people .person.idle")


def test_a_page_that_nobody_touches_says_so_by_itself(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit()
    ada.join("Ada")
    bo.page.clock.install()
    bo.open(room_path(room))
    bo.join("Bo")
    ada.sees_here("Bo")
    bo.page.clock.fast_forward("05:01")
    ada.sees("#people .person.idle", "away from keyboard")
    bo.page.mouse.move(50, 60)
    ada.sees_no("#people .person.idle")
    ada.sees_here("Bo")


@pytest.mark.parametrize("text", ["null", "[1]", "3", '"text"'])
def test_only_an_object_is_taken(visit: Visit, site: LiveServer, room: str, text: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    share(site, room, {"slide": 1})
    ada.sees("#data .tree", "slide")
    edit(ada, text)
    save(ada)
    ada.sees("#room-data-problem", "room_data must be an object")
    ada.sees("#data .tree", "slide")


@pytest.mark.parametrize("name", HOSTILE_NAMES[::3])
def test_names_in_the_rooms_data_run_nothing(
    visit: Visit, site: LiveServer, room: str, name: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    share(site, room, {name: {name: name}, "__proto__": {"polluted": name}})
    ada.sees("#data .tree", name)
    edit(ada, json.dumps({**text_of(ada), "mine": 1}))
    save(ada)
    ada.sees("#room-data-hint", "Saved")
    assert text_of(ada)["__proto__"] == {"polluted": name}
    assert ada.page.evaluate("[window.hacked, {}.polluted]") == [None, None]
